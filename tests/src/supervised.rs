//! A server process that cannot outlive the test process: `supervise.sh` runs it, and stops it when our end of
//! its pipe closes, be it by `Drop`, by exit (statics are never dropped) or by SIGKILL.
//!
//! Output goes to a log file that is kept; errors quote its end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::places;
use crate::wait::POLL_INTERVAL;

const SUPERVISE: &str = include_str!("supervise.sh");
const LOG_LINES_SHOWN: usize = 30;

/// A running server. Dropping it stops the server, waits for its end and removes its folder.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: String,
    supervisor: Child,
    /// The server runs for as long as this is open.
    pipe: Option<ChildStdin>,
    log: PathBuf,
}

impl Supervised {
    /// Starts `command`. `stop_signal` is the one which ends it quickly and cleanly; `folder` is removed after it.
    pub(crate) fn start(
        name: &str,
        stop_signal: &str,
        folder: TempDir,
        command: &Command,
    ) -> anyhow::Result<Self> {
        let log = new_log(name)?;
        let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut supervisor = Command::new("bash");
        supervisor
            .args(["-c", SUPERVISE, "supervise", stop_signal])
            .arg(folder.path())
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => supervisor.env(variable, value),
                None => supervisor.env_remove(variable),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            supervisor.current_dir(directory);
        }
        let mut supervisor = supervisor.spawn().context("cannot run bash")?;
        let pipe = supervisor.stdin.take();
        let _ = folder.keep(); // from here on, removing it is the supervisor's task
        Ok(Self { name: name.to_owned(), supervisor, pipe, log })
    }

    /// Waits for `ready`; fails at once when the server ends before that, quoting its log.
    pub(crate) fn wait_until_ready(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        while !ready() {
            if let Some(status) = self.supervisor.try_wait()? {
                bail!("{} ended while starting ({status}){}", self.name, self.log_end());
            }
            if started.elapsed() > limit {
                bail!("{} is not ready after {} s{}", self.name, limit.as_secs(), self.log_end());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// All that the server has printed so far.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    fn log_end(&self) -> String {
        let text = self.log();
        let lines: Vec<_> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n");
        format!("\n--- the end of {} ---\n{end}\n---", self.log.display())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{} stops with its test{}", self.name, self.log_end());
        }
        drop(self.pipe.take());
        let _ = self.supervisor.wait(); // the supervisor itself sees to it that this ends
    }
}

/// The path of a log file that is kept.
pub(crate) fn new_log(name: &str) -> anyhow::Result<PathBuf> {
    let folder = places::kept("logs")?;
    Ok(folder.join(format!("{name}-{}-{}.log", std::process::id(), unique_number())))
}

/// A number that no other caller in this process gets.
pub(crate) fn unique_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// TCP ports of 127.0.0.1 that are free now. All are held at once while choosing, so that they differ.
pub(crate) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// Runs a command to its end; an error quotes the command's name and what it wrote to standard error.
pub(crate) fn output(command: &mut Command, input: Option<&[u8]>) -> anyhow::Result<Vec<u8>> {
    let name = Path::new(command.get_program())
        .file_name()
        .map(OsStr::to_string_lossy)
        .unwrap_or_default()
        .into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
    let pipe = child.stdin.take();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command that ends before it has read everything reports why by itself.
            pipe.map(|mut pipe| pipe.write_all(input.unwrap_or_default()))
        });
        child.wait_with_output()
    })?;
    if !result.status.success() {
        bail!("{name} failed ({}): {}", result.status, String::from_utf8_lossy(&result.stderr).trim_end());
    }
    Ok(result.stdout)
}
