//! The project as somebody has it who deploys it: the real Makefile, templates and events, and a samconfig.toml of their
//! own. `make` and SAM do here what they do for them, at a stand-in for AWS.
//!
//! Only the compiler is spared: where `sam build` calls cargo-lambda, the binaries of this workspace are taken, which are
//! the same code. What cargo-lambda makes of it, `make package` looks at.
//!
//! Nothing leaves the machine: the environment's credentials, profiles and settings for AWS are withheld.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use crate::binaries::workspace_binary;
use crate::ministack::Ministack;
use crate::places;
use crate::supervised;

const CONFIG: &str = "samconfig.toml";
const COPIED: [&str; 2] = ["template.yaml", CONFIG];
const LINKED: [&str; 5] = ["Makefile", "infra", "functions", "events", "tests"];
/// Longer than all that a target does here; `timeout` ends it then.
const SECONDS_MAX: &str = "180";
const CARGO_LAMBDA: &str = include_str!("sam/cargo-lambda.sh");

/// A checkout whose stacks are at a stand-in.
#[derive(Debug)]
pub struct SamProject {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl SamProject {
    /// A fresh one, as it is cloned, with SAM in `.tools`.
    pub fn clone_for(aws: &Ministack) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("pgark-tests-sam-")?;
        let (here, repository) = (folder.path(), places::repository());
        for name in LINKED {
            symlink(repository.join(name), here.join(name))?;
        }
        // SAM takes paths for relative to where a template really is.
        for name in COPIED {
            fs::copy(repository.join(name), here.join(name))?;
        }

        let tools = here.join(".tools/sam/bin");
        fs::create_dir_all(&tools)?;
        symlink(places::tool("sam", "bin/sam")?, tools.join("sam"))?;
        fs::write(tools.join("cargo-lambda"), CARGO_LAMBDA)?;
        fs::set_permissions(tools.join("cargo-lambda"), fs::Permissions::from_mode(0o755))?;
        let binaries = workspace_binary("backup")?;
        let binaries = binaries.parent().context("a binary is in a folder")?.display().to_string();

        // SAM asks weekly whether there is a newer one.
        let settings = here.join("sam");
        fs::create_dir(&settings)?;
        let asked = json!({ "lastVersionCheck": Timestamp::now().as_second() });
        fs::write(settings.join("metadata.json"), asked.to_string())?;

        let mut environment = aws.environment().to_vec();
        environment.extend([
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("__SAM_CLI_APP_DIR", settings.display().to_string()),
            ("SAM_CLI_TELEMETRY", "0".to_owned()),
            // Seconds between two looks at a stack; SAM takes five.
            ("SAM_CLI_POLL_DELAY", "0.2".to_owned()),
            ("CARGO_TARGET_DIR", here.join("target").display().to_string()),
            ("PGARK_TEST_BUILT", binaries),
        ]);
        Ok(Self { folder, environment })
    }

    /// Sets parameters of the application in samconfig.toml: what stands there is changed, and the rest is added.
    pub fn set(&self, parameters: &[(&str, String)]) -> anyhow::Result<()> {
        let path = self.folder.path().join(CONFIG);
        let mut config: Vec<String> = fs::read_to_string(&path)?.lines().map(str::to_owned).collect();
        for (name, value) in parameters {
            let set = format!("{name} = {}", json!(value));
            let start = format!("{name} = ");
            // The application's parameters are the last table.
            match config.iter_mut().find(|line| line.starts_with(&start)) {
                Some(line) => *line = set,
                None => config.push(set),
            }
        }
        Ok(fs::write(path, config.join("\n") + "\n")?)
    }

    /// Runs `make` to its end and returns what was printed on standard output. `answers` is typed in.
    pub fn make(&self, arguments: &[&str], answers: &str) -> anyhow::Result<String> {
        let mut command = self.command(arguments);
        let printed = supervised::output(&mut command, Some(answers.as_bytes()))
            .with_context(|| format!("make {}", arguments.join(" ")))?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// Runs a target of `make` that never ends until it has printed `expected`, and then stops it.
    pub fn make_until(&self, target: &str, expected: &str) -> anyhow::Result<()> {
        let (reader, writer) = std::io::pipe()?;
        let mut command = self.command(&[target]);
        command.process_group(0).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn().context("cannot run make")?;
        drop(command); // and with it our ends of the pipe
        let (mut printed, mut lines) = (String::new(), BufReader::new(reader));
        while !printed.contains(expected) && lines.read_line(&mut printed)? > 0 {}
        Command::new("kill").args(["--", &format!("-{}", child.id())]).status()?;
        child.wait()?;
        ensure!(printed.contains(expected), "make {target} did not print {expected}, but:\n{printed}");
        Ok(())
    }

    /// A path inside, for what a test puts there.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args([SECONDS_MAX, "make", "--silent"]).args(arguments).current_dir(self.folder.path());
        // `make test` leaves its own flags.
        command.env_remove("MAKEFLAGS").env_remove("MFLAGS");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().cloned());
        command
    }
}
