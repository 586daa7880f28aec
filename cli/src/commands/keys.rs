//! `pgark keys`

use pgark::app::Outside;
use pgark::seal::KeyPair;
use pgark::{Exit, Result};

use crate::{args, output};

pub(crate) fn run(args: &args::Keys, json: bool) -> Result<Exit> {
    let pair = KeyPair::generate((Outside::real().now)());
    pair.write_file(&args.file)?;
    let (recipient, file) = (pair.recipient().to_string(), args.file.display().to_string());
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
