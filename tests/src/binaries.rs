//! Programs that tests run: our own, built by cargo; PostgreSQL's clients; age and minisign.
//! A missing one is an error that names the package to install: no test is skipped for want of a tool.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, anyhow, bail};

use crate::{places, supervised};

/// One of this workspace's own binaries (`pgark`, `backup`, ...), built from the code as it stands.
///
/// `PGARK_TEST_BINARIES` names a folder of binaries to test instead, say those of a release.
pub fn workspace_binary(name: &str) -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = BUILT
        .get_or_init(|| build_binaries().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("{error}"))?;
    let binary = folder.join(name);
    if !binary.is_file() {
        bail!("the workspace has no binary {name}: {} does not exist", binary.display());
    }
    Ok(binary)
}

/// Builds all binaries at once, as `make test` did just before: naming one package would make cargo unify features
/// differently, and so build most dependencies a second time.
fn build_binaries() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("PGARK_TEST_BINARIES") {
        return Ok(folder.into());
    }
    let folder = places::profile_folder()?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => bail!("{} names no profile", folder.display()),
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(places::repository())
        .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile, "--target-dir"])
        .arg(folder.parent().context("the target folder has no parent")?);
    supervised::output(&mut cargo, None)?;
    Ok(folder)
}

/// A client program of PostgreSQL 18 (`psql`, `pg_dump`, `pg_restore`, ...). They serve servers since 12; they are
/// built without TLS.
pub fn postgres_18(program: &str) -> anyhow::Result<PathBuf> {
    places::tool("clients", &format!("postgresql/{program}"))
}

/// A client program of PostgreSQL 15 (`psql`, `pg_dump`, `pg_restore`), with TLS.
pub fn postgres_15(program: &str) -> anyhow::Result<PathBuf> {
    installed(&Path::new("/usr/lib/postgresql/15/bin").join(program), "postgresql-client-15")
}

/// A client program of PostgreSQL 16 (`pg_dump`, `pg_restore`), without TLS.
pub fn postgres_16(program: &str) -> anyhow::Result<PathBuf> {
    places::tool("pgvector", &format!("postgresql-16/{program}"))
}

/// The folder of pgvector for PostgreSQL 18: `extension` with its SQL in it, and its library beside that.
pub fn pgvector() -> anyhow::Result<PathBuf> {
    let control = places::tool("pgvector", "postgresql-18/extension/vector.control")?;
    control.ancestors().nth(2).map(Path::to_owned).context("pgvector has no folder")
}

/// The `age` program.
pub fn age() -> anyhow::Result<PathBuf> {
    on_path("age", "age")
}

/// The `age-keygen` program.
pub fn age_keygen() -> anyhow::Result<PathBuf> {
    on_path("age-keygen", "age")
}

/// The `minisign` program.
pub fn minisign() -> anyhow::Result<PathBuf> {
    on_path("minisign", "minisign")
}

/// The `pgbouncer` program, which Debian installs where only root's PATH looks.
pub fn pgbouncer() -> anyhow::Result<PathBuf> {
    on_path("pgbouncer", "pgbouncer").or_else(|_| installed(Path::new("/usr/sbin/pgbouncer"), "pgbouncer"))
}

pub(crate) fn on_path(program: &str, package: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("{program} is not on the PATH; install Debian's package {package}"))
}

fn installed(file: &Path, package: &str) -> anyhow::Result<PathBuf> {
    if !file.is_file() {
        bail!("{} is missing; install Debian's package {package}", file.display());
    }
    Ok(file.to_owned())
}
