//! Runs `pgark` as a user does: its own process, an environment of its own, an empty working folder. Every run's output
//! is searched for secrets, whatever the test is about.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use pgark_tests::postgres::PASSWORD;
use pgark_tests::{wait_until, workspace_binary};
use serde_json::Value;
use tempfile::TempDir;

use super::Result;

/// Longer than any run here takes, a dead store's retries included.
const RUN_LIMIT: Duration = Duration::from_mins(3);

/// What must never be printed, besides what a test adds: passwords, the store's secret, any age secret key.
const SECRETS: [&str; 2] = [PASSWORD, "AGE-SECRET-KEY-"];

/// A call of the program in the making.
pub(crate) struct Pgark {
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    secrets: Vec<String>,
    /// Working folder and home, with nothing in it but a pgark.toml.
    folder: TempDir,
    file_bytes_max: Option<u64>,
}

impl Pgark {
    /// A call with these arguments and no settings at all.
    pub(crate) fn new<const N: usize>(arguments: [&str; N]) -> Result<Self> {
        Ok(Self {
            arguments: arguments.map(str::to_owned).to_vec(),
            variables: BTreeMap::new(),
            secrets: Vec::new(),
            folder: tempfile::tempdir()?,
            file_bytes_max: None,
        })
    }

    /// Adds arguments.
    pub(crate) fn with<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    /// Takes an argument away again.
    pub(crate) fn without(mut self, argument: &str) -> Self {
        self.arguments.retain(|one| one != argument);
        self
    }

    /// Sets a variable.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Sets several.
    pub(crate) fn set_all<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Writes the pgark.toml of the working folder.
    pub(crate) fn config(self, text: &str) -> Result<Self> {
        fs::write(self.folder.path().join("pgark.toml"), text)?;
        Ok(self)
    }

    /// One more text that must not be printed.
    pub(crate) fn secret(mut self, text: impl Into<String>) -> Self {
        self.secrets.push(text.into());
        self
    }

    /// No file may become larger, as on a full disk or under a quota: a multiple of 1,024.
    pub(crate) fn file_bytes_max(mut self, bytes: u64) -> Self {
        self.file_bytes_max = Some(bytes);
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> Result<Running> {
        let program = workspace_binary("pgark")?;
        let mut command = match self.file_bytes_max {
            None => Command::new(&program),
            Some(bytes) => limited(&program, bytes),
        };
        let mut child = command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(&self.variables)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let outputs = (read(child.stdout.take()), read(child.stderr.take()));
        Ok(Running { call: self, child, outputs, started: Instant::now() })
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Result<Ended> {
        self.start()?.end()
    }
}

/// The limit's signal would kill the program; ignored, it leaves the error that a full disk gives, too.
fn limited(program: &Path, bytes: u64) -> Command {
    let mut shell = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 1024);
    shell.args(["-c", &script, "bash"]).arg(program);
    shell
}

fn read<T: std::io::Read + Send + 'static>(pipe: Option<T>) -> Output {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes)).map(|_| bytes)
    })
}

/// A thread that reads what the program prints.
type Output = JoinHandle<std::io::Result<Vec<u8>>>;

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Running {
    call: Pgark,
    child: Child,
    outputs: (Output, Output),
    started: Instant,
}

impl Running {
    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) -> Result {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status()?;
        anyhow::ensure!(status.success(), "kill: {status}");
        Ok(())
    }

    /// Waits for its end, and looks for secrets in all it printed.
    pub(crate) fn end(mut self) -> Result<Ended> {
        let call = self.call;
        let child = &mut self.child;
        let mut status = None;
        let ended = wait_until(RUN_LIMIT, "pgark ends", || {
            status = child.try_wait().ok().flatten();
            status.is_some()
        });
        if ended.is_err() {
            let _ = child.kill();
        }
        let text = |output: Output| -> Result<String> {
            let bytes = output.join().map_err(|_| anyhow::anyhow!("reading the output panicked"))??;
            Ok(String::from_utf8(bytes)?)
        };
        let (out, err) = (text(self.outputs.0)?, text(self.outputs.1)?);
        ended.with_context(|| format!("{out}\n{err}"))?;
        let status = status.context("no status")?;
        let Some(code) = status.code() else { bail!("pgark was killed: {status}\n{err}") };
        let ended = Ended { code, out, err, took: self.started.elapsed() };
        let variables =
            call.variables.iter().filter(|(name, value)| name.contains("SECRET") && !value.is_empty());
        let own = call.secrets.iter().chain(variables.map(|(_, value)| value)).map(String::as_str);
        for secret in SECRETS.into_iter().chain(own) {
            let shown = ended.out.contains(secret) || ended.err.contains(secret);
            assert!(!shown, "{secret:?} was printed:\n{ended}");
        }
        Ok(ended)
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// How long it ran.
    pub(crate) took: Duration,
}

impl Ended {
    /// It is done: the document of a `--json` run.
    pub(crate) fn done(self) -> Result<Value> {
        anyhow::ensure!(self.code == 0, "should be done:\n{self}");
        self.document()
    }

    /// It failed with this exit code and, printed for programs, this stable code. Whatever it says, all of `parts` must
    /// be in it, and a cure.
    pub(crate) fn failed(&self, exit: i32, code: &str, parts: &[&str]) -> Result<Failure> {
        anyhow::ensure!(self.code == exit, "should exit with {exit}:\n{self}");
        let failure: Failure = Failure::read(&self.document()?).with_context(|| self.to_string())?;
        anyhow::ensure!(failure.code == code, "should have the code {code}:\n{self}");
        let Failure { object, message, causes, hint, .. } = &failure;
        let text = format!("{object}: {message} {} {hint}", causes.join(" "));
        for part in parts {
            anyhow::ensure!(text.contains(part), "should say {part:?}:\n{self}");
        }
        anyhow::ensure!(failure.hint.ends_with(['.', '…', ')']), "the hint is no sentence:\n{self}");
        Ok(failure)
    }

    /// It failed over its settings: each problem has its cure beside it instead of one for all.
    pub(crate) fn failed_with_hints_inside(&self, code: &str, parts: &[&str]) -> Result {
        anyhow::ensure!(self.code == 2, "should exit with 2:\n{self}");
        let failure = Failure::read(&self.document()?).with_context(|| self.to_string())?;
        anyhow::ensure!(failure.code == code, "should have the code {code}:\n{self}");
        for part in parts {
            anyhow::ensure!(failure.message.contains(part), "should say {part:?}:\n{self}");
        }
        Ok(())
    }

    /// It failed with this exit code and told a person so: on standard error only, with the stable code.
    pub(crate) fn failed_for_people(&self, exit: i32, code: &str, parts: &[&str]) -> Result {
        anyhow::ensure!(self.code == exit, "should exit with {exit}:\n{self}");
        anyhow::ensure!(self.out.is_empty(), "should print to standard error only:\n{self}");
        for part in [&[code], parts].concat() {
            anyhow::ensure!(self.err.contains(part), "should say {part:?}:\n{self}");
        }
        Ok(())
    }

    /// The one JSON document on standard output.
    fn document(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("is no single JSON document:\n{self}"))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, out, err, took } = self;
        write!(f, "exit code {code} after {took:?}\n--- stdout\n{out}\n--- stderr\n{err}\n---")
    }
}

/// What the document of a failed run says.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    /// The stable code.
    pub(crate) code: String,
    /// The object.
    pub(crate) object: String,
    /// What failed and why.
    pub(crate) message: String,
    /// The errors underneath.
    pub(crate) causes: Vec<String>,
    /// What to do.
    pub(crate) hint: String,
}

impl Failure {
    fn read(document: &Value) -> Result<Self> {
        let error = document.get("error").context("no error")?;
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let causes = error["causes"].as_array().context("no causes")?;
        Ok(Self {
            code: text("code"),
            object: text("object"),
            message: text("message"),
            causes: causes.iter().map(|cause| cause.as_str().unwrap_or_default().to_owned()).collect(),
            hint: text("hint"),
        })
    }
}
