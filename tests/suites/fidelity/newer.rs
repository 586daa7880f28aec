//! A backup restored into a newer server, which is how most people upgrade: it brings what stock tools bring, that is
//! what `pg_dump` of the old server and psql make of the same database on the new one. What the versions themselves
//! differ in is the same in both, so that whatever is left is ours.

use std::process::Command;

use anyhow::Context as _;
use pgark_tests::postgres::{MAJORS, client};
use pgark_tests::{Postgres, fixtures, postgres_15, postgres_16};

use crate::text::Text;
use crate::vault::{Vault, succeed};
use crate::{Result, load};

fn newer_servers_get_what_stock_tools_bring(major: u32) -> Result {
    let source = load(Postgres::shared(major)?, &[fixtures::CONTENT, fixtures::KINDS])?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let script = stock_script(major, &source.url())?;
    for newer in MAJORS.into_iter().filter(|newer| *newer > major) {
        let context = || format!("PostgreSQL {major} into {newer}");
        let server = Postgres::shared(newer)?;
        server.psql(fixtures::ROLES)?;
        let expected = {
            let stock = server.create_database("stock")?;
            stock.query(&script).with_context(context)?;
            if newer < 15 {
                // pg_dump 15 takes it for granted that not everybody may create objects in `public`, which is so in
                // new databases of 15 or later. In the original, everybody may not.
                stock.query("revoke create on schema public from public")?;
            }
            if major == 16 && newer >= 18 {
                // pg_dump 16 leaves out `streaming = off`, which is the default until 17 and not in 18. We do not.
                let not_streaming = "select format('alter subscription %I set (streaming = off);', subname)
                    from pg_subscription join pg_database d on d.oid = subdbid and datname = current_database()
                    where substream = 'f'";
                stock.query(&source.query(not_streaming)?)?;
            }
            Text::of(&stock.url())?
        };
        let restored = server.create_database("restored")?;
        vault.run(&["restore", "latest", "--to", &restored.url()], &[]).with_context(context)?;
        let text = Text::of(&restored.url())?;
        expected.must_equal(&text).with_context(context)?;
        assert!(text.lines() > 6500 && text.tables() > 80, "{}: {}", context(), text.tables());
    }
    Ok(())
}

/// The text of the oldest `pg_dump` at hand that reads this server. A newer one than the server's own can err: 18
/// prints NOT NULL of inherited columns in a form that only 18 reads, and takes the privileges of owners as they were
/// before 17 for less than all.
fn stock_script(major: u32, url: &str) -> anyhow::Result<String> {
    let mut pg_dump = match major {
        ..=15 => Command::new(postgres_15("pg_dump")?),
        16 => Command::new(postgres_16("pg_dump")?),
        _ => client("pg_dump")?,
    };
    let text = succeed(pg_dump.args(["--restrict-key=pgark", "--dbname", url]))?.stdout;
    String::from_utf8(text).context("pg_dump's text is not UTF-8")
}

macro_rules! for_each_older_major {
    ($($name:ident: $major:literal),*) => { $(
        #[test]
        fn $name() -> Result {
            newer_servers_get_what_stock_tools_bring($major)
        }
    )* };
}

for_each_older_major!(
    newer_servers_get_what_stock_tools_bring_from_13: 13,
    newer_servers_get_what_stock_tools_bring_from_14: 14,
    newer_servers_get_what_stock_tools_bring_from_15: 15,
    newer_servers_get_what_stock_tools_bring_from_16: 16,
    newer_servers_get_what_stock_tools_bring_from_17: 17
);
