//! `pgark keys`

use std::path::{Path, PathBuf};

use pgark::app::Outside;
use pgark::seal::KeyPair;
use pgark::signature::SigningKey;
use pgark::{Exit, Result};

use crate::{args, output};

const ENCRYPTION_FILE: &str = "pgark-key.txt";
const SIGNING_FILE: &str = "pgark-signing.key";

pub(crate) fn run(args: &args::Keys, json: bool) -> Result<Exit> {
    let default = if args.signing { SIGNING_FILE } else { ENCRYPTION_FILE };
    let file = args.file.clone().unwrap_or_else(|| PathBuf::from(default));
    if args.signing { signing(&file, json) } else { encryption(&file, json) }
}

fn encryption(file: &Path, json: bool) -> Result<Exit> {
    let pair = KeyPair::generate((Outside::real().now)());
    pair.write_file(file)?;
    let (recipient, file) = (pair.recipient().to_string(), file.display().to_string());
    if json {
        output::json(&serde_json::json!({ "recipient": recipient, "identity_file": file }));
    } else {
        output::fields(&[("public key", recipient.clone()), ("secret key in", file.clone())]);
        output::line("");
        output::line(
            "Backups are encrypted to the public key, and the secret key alone opens them. Where backups are",
        );
        output::line(&format!("written, set   PGARK_RECIPIENTS={recipient}"));
        output::line(&format!("to restore, set  PGARK_IDENTITY_FILE={file}"));
        output::line(
            "Keep the file away from the store and from the machine that writes backups, with a copy in a",
        );
        output::line("safe place: without it, nobody can restore.");
    }
    Ok(Exit::Done)
}

fn signing(file: &Path, json: bool) -> Result<Exit> {
    let key = SigningKey::generate()?;
    let public_file = key.write_files(file)?.display().to_string();
    let (public, file) = (key.public().to_string(), file.display().to_string());
    if json {
        output::json(&serde_json::json!({
            "verification_key": public, "verification_key_file": public_file, "signing_key_file": file,
        }));
    } else {
        output::fields(&[
            ("public key", public.clone()),
            ("also in", public_file),
            ("secret key in", file.clone()),
        ]);
        output::line("");
        output::line(
            "The secret key signs backups, and the public key tells whether a backup is one of yours. Where",
        );
        output::line(&format!("backups are written, set  PGARK_SIGNING_KEY_FILE={file}"));
        output::line(&format!("where they are read, set  PGARK_VERIFICATION_KEY={public}"));
        output::line("It has no password. Only what writes backups may read it.");
    }
    Ok(Exit::Done)
}
