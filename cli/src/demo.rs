//! `pgark demo`: the main job from end to end, on a throw-away server that needs nothing from the user.

use std::path::{Path, PathBuf};

use pg_archive::session::Session;
use pgark::app::{App, Outside};
use pgark::config::{Needs, RawSettings, variable};
use pgark::embedded::{Options, Server, binaries};
use pgark::jobs::backup::Backup;
use pgark::jobs::compare::compare;
use pgark::jobs::list::List;
use pgark::jobs::restore::Restore;
use pgark::jobs::verify::Verify;
use pgark::repository::BackupId;
use pgark::seal::KeyPair;
use pgark::signature::SigningKey;
use pgark::{Error, ErrorKind, Exit, Result};
use std::sync::Arc;

use crate::commands::print as commands_print;
use crate::output::{self, count};
use crate::progress::{BackupProgress, RestoreProgress};
use crate::{args, stop};

/// A shop with customers, orders and stock.
const SHOP: &str = include_str!("demo/shop.sql");

/// Runs the demo.
pub(crate) async fn run(args: &args::Demo, json: bool) -> Result<Exit> {
    let outside = Outside::real();
    let folder = folder(args, outside)?;
    let stop = stop::token();
    say(json, "1. a throw-away PostgreSQL, with a shop database");
    let server = start_server(outside).await?;
    let postgres = server.target("postgres")?;
    Session::open(&postgres).await?.execute("CREATE DATABASE shop").await?;
    Session::open(&server.target("shop")?).await?.execute(SHOP).await?;
    say(json, &format!("   it runs in {}", server.folder().display()));

    say(json, "2. a key to encrypt with, a key to sign with, and a backup");
    let (key, store) = (folder.join("key.txt"), folder.join("store"));
    std::fs::create_dir(&store).map_err(|source| file_error(&store, source))?;
    let pair = KeyPair::generate((outside.now)());
    pair.write_file(&key)?;
    let (signer, signing_file) = (SigningKey::generate()?, folder.join("signing.key"));
    signer.write_files(&signing_file)?;
    let flags = RawSettings {
        database_url: Some(server.connection_string("shop")),
        store: Some(format!("file://{}", store.display())),
        recipients: Some(pair.recipient().to_string()),
        signing_key_file: Some(signing_file.display().to_string()),
        verification_key: Some(signer.public().to_string()),
        identity_file: Some(key.display().to_string()),
        ..RawSettings::default()
    };
    let needs = Needs { database: true, store: true, encryption: true, ..Needs::default() };
    // The demo is not to be led astray by variables that are meant for a real database.
    let app = App::open(flags, None, needs, 2, Outside { environment: |_| None, ..outside }).await?;
    let progress = BackupProgress::new(json);
    let backup = Backup::default().run(&app, &progress, &stop).await;
    progress.finish();
    let backup = backup?;
    let listed = List::default().run(&app.repository, (app.outside.now)()).await?;
    if !json {
        commands_print::backup(&backup);
        say(json, "3. pgark list");
        commands_print::list(&listed);
    }

    say(json, "4. pgark verify");
    let verified = Verify::default().run(&app, &(), &stop).await?;
    if !json {
        commands_print::verify(&verified);
    }

    say(json, "5. a restore into a second database");
    let restore = Restore {
        backup: "latest".to_owned(),
        to: server.connection_string("postgres"),
        create: Some("shop_restored".to_owned()),
        ..Restore::default()
    };
    let prepared = restore.prepare(&app).await?;
    let progress = Arc::new(RestoreProgress::new(backup.plain_bytes, json));
    let restored = prepared.run(&app, Arc::clone(&progress) as _, &stop).await;
    progress.finish();
    let restored = restored?;
    if !json {
        commands_print::restore(&restored);
    }

    say(json, "6. a comparison of the restored database with the backup");
    let comparison = compare(&app, "latest", &server.target("shop_restored")?, &(), &stop).await?;
    server.stop().await;
    if json {
        output::json(&serde_json::json!({
            "backup": backup, "verify": verified, "restore": restored, "comparison": comparison, "folder": folder,
        }));
    } else {
        for difference in &comparison.differences {
            output::warning(&difference.to_string());
        }
        if comparison.differences.is_empty() {
            say(
                json,
                &format!(
                    "   the same: {} definitions, {} tables, {} rows",
                    count(comparison.definitions as u64),
                    comparison.tables,
                    count(comparison.rows)
                ),
            );
        }
        say(json, "");
        say(json, &format!("The backup is in   {}", backup.location));
        say(json, &format!("and its key in     {}", key.display()));
        say(json, "The server is gone. Look into the backup with");
        say(json, &format!("  pgark show latest --tables --store file://{}", store.display()));
    }
    let good = verified.good && comparison.differences.is_empty();
    Ok(if good { Exit::Done } else { Exit::Damaged })
}

fn say(json: bool, text: &str) {
    if !json {
        output::line(text);
    }
}

/// A server from the best programs that there are: the first on the PATH, or the newest that is installed.
async fn start_server(outside: Outside) -> Result<Server> {
    let (named, path) = ((outside.environment)(variable::postgres_bin), std::env::var_os("PATH"));
    let found = binaries::find(named.as_deref(), path.as_deref())?;
    let Some(binaries) = found.first() else {
        let missing = "PostgreSQL's server programs are not on this machine";
        return Err(Error::new(ErrorKind::EmbeddedMissing, missing).hint(format!(
            "Run `make demo`, which fetches them; or install PostgreSQL (Debian: apt-get install postgresql); or set {} \
             to the folder of initdb.",
            variable::postgres_bin
        )));
    };
    Server::start(binaries, &Options { superuser: "postgres".to_owned(), relations: 0 }).await
}

/// A new folder for this run, so that no run meets another's key.
fn folder(args: &args::Demo, outside: Outside) -> Result<PathBuf> {
    let base = args.directory.clone().unwrap_or_else(|| std::env::temp_dir().join("pgark-demo"));
    #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
    let run = BackupId::new((outside.now)(), (outside.random)() as u32);
    let folder = std::path::absolute(&base).unwrap_or(base).join(run.to_string());
    std::fs::create_dir_all(&folder).map_err(|source| file_error(&folder, source))?;
    Ok(folder)
}

fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::LocalFile, "cannot be written").on(path.display().to_string()).because(source)
}
