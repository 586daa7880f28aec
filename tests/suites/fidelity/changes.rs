//! `pgark diff`: what changed between two backups.

use pgark_tests::Postgres;
use serde_json::{Value, json};

use crate::Result;
use crate::vault::{Vault, succeed};

#[test]
fn two_backups_are_told_apart() -> Result {
    let source = Postgres::shared(16)?.create_database("changes")?;
    source.query(
        "create table same as select 1 as i; create table more as select 1 as i; create table other as select 1 as i;
         create table gone as select 1 as i; create table wider (i integer); create index more_i on more (i);",
    )?;
    let vault = Vault::new()?;
    let id = |report: &Value| report["id"].as_str().unwrap_or_default().to_owned();
    let before = id(&vault.backup(&source.url(), &[])?);
    source.query(
        "insert into more values (2), (3); update other set i = 2; drop table gone; create table new as select 1 as i;
         alter table wider add j integer; drop index more_i; create index more_i on more (i desc); create view v as select 1;",
    )?;
    let after = id(&vault.backup(&source.url(), &[])?);
    let report = vault.run(&["diff", &before, &after], &[])?;
    let tables: Vec<Value> = report["tables"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|table| {
            json!([
                table["table"],
                table["change"],
                table["before"]["rows"],
                table["after"]["rows"],
                table["columns_added"]
            ])
        })
        .collect();
    assert_eq!(
        tables,
        [
            json!(["public.gone", "removed", 1, null, []]),
            json!(["public.more", "changed", 1, 3, []]),
            json!(["public.new", "added", null, 1, []]),
            json!(["public.other", "changed", 1, 1, []]),
            json!(["public.wider", "changed", 0, 0, ["j"]]),
        ]
    );
    assert_eq!(report["tables_unchanged"], 1);
    assert_eq!(
        report["definitions"],
        json!([
            { "object": "INDEX public.more_i", "change": "changed" },
            { "object": "TABLE public.gone", "change": "removed" },
            { "object": "TABLE public.new", "change": "added" },
            { "object": "TABLE public.wider", "change": "changed" },
            { "object": "VIEW public.v", "change": "added" },
        ])
    );

    // Without the key, manifests tell of rows; definitions are said not to be compared.
    let mut command = vault.pgark(&["diff", &before, &after], &[])?;
    let output = succeed(command.env_remove("PGARK_IDENTITY_FILE"))?;
    let without: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&without["tables"], &without["definitions"]), (&report["tables"], &Value::Null));
    let reason = without["definitions_not_compared"].as_str().unwrap_or_default();
    assert!(reason.contains("no identity file is set"), "{without}");

    let same = vault.run(&["diff", &after, &after], &[])?;
    assert_eq!((&same["tables"], &same["definitions"]), (&json!([]), &json!([])));
    Ok(())
}
