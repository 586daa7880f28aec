//! The Cloudflare Worker's own tests: TypeScript checked, then the Worker in workerd with its scheduled event, against a
//! server that checks signatures (infra/cloudflare-worker/test).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use pgark_tests::{repository, tool};
use tempfile::TempDir;

use crate::Result;

/// Node.js finds packages beside the code that asks for them, so the code is copied to where they are.
fn worker() -> Result<TempDir> {
    let folder = TempDir::with_prefix("pgark-tests-worker-")?;
    let source = repository().join("infra/cloudflare-worker");
    for part in ["src", "test"] {
        copy(&source.join(part), &folder.path().join(part))?;
    }
    for file in ["package.json", "tsconfig.json", "wrangler.toml"] {
        fs::copy(source.join(file), folder.path().join(file)).with_context(|| file.to_owned())?;
    }
    std::os::unix::fs::symlink(tool("worker", "node_modules")?, folder.path().join("node_modules"))?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn node(folder: &Path, arguments: &[&str]) -> Result {
    let output = Command::new(tool("worker", "node")?).args(arguments).current_dir(folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "node {}: {text}", arguments.join(" "));
    Ok(())
}

#[test]
fn the_worker_is_well_typed() -> Result {
    node(worker()?.path(), &["node_modules/typescript/bin/tsc", "--noEmit"])
}

#[test]
fn the_worker_invokes_functions_signed_once_and_tells_when_it_cannot() -> Result {
    node(worker()?.path(), &["--test", "test/worker.test.mjs"])
}
