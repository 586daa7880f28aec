//! One Lambda function under AWS's own runtime interface emulator: it speaks the Lambda Runtime API to the real
//! binary, enforces the time-out and restarts what crashed. It measures no memory.
//!
//! What the function prints goes to a file of its own, so that nothing of the emulator's is in between, and what was
//! printed before an answer is there when the answer is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::http::Request;
use crate::places;
use crate::supervised::{Supervised, free_ports, new_log};
use crate::wait::wait_until;

const START_LIMIT: Duration = Duration::from_secs(30);

/// Becomes the function, `$0`.
const APART: &str = r#"exec "$0" >>"$1" 2>&1"#;

/// A function that waits for invocations. It stops when this is dropped or the test process ends.
#[derive(Debug)]
pub struct Rie {
    endpoint: String,
    output: PathBuf,
    process: Supervised,
}

impl Rie {
    /// Puts `binary` behind the emulator, with these variables. The binary starts at the first invocation.
    /// `AWS_LAMBDA_FUNCTION_TIMEOUT` (seconds) and `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` (MB) are settings too.
    pub fn start<'a>(
        binary: &Path,
        environment: impl IntoIterator<Item = (&'a str, String)>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::TempDir::with_prefix("pgark-tests-lambda-")?;
        let [port, runtime_port] = free_ports()?;
        let output = new_log("function")?;
        let mut command = Command::new(places::tool("rie", "aws-lambda-rie")?);
        command
            .current_dir(folder.path())
            .envs(environment)
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{runtime_port}")])
            .args(["/bin/sh", "-c", APART])
            .arg(binary)
            .arg(&output);
        let mut process = Supervised::start("lambda", "TERM", folder, &command)?;
        // Asking it anything would invoke the function, so its listening is all that is waited for.
        process
            .wait_until_ready(START_LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        let endpoint = format!("http://127.0.0.1:{port}/2015-03-31/functions/function/invocations");
        Ok(Self { endpoint, output, process })
    }

    /// Invokes the function and returns its answer. An error of the function is an answer too: an object with
    /// `errorType` and `errorMessage`.
    pub fn invoke(&self, event: &Value) -> anyhow::Result<Value> {
        let response = Request::new("POST", &self.endpoint)?.body(event.to_string().as_bytes()).send()?;
        let text = String::from_utf8_lossy(&response.body);
        serde_json::from_slice(&response.body)
            .with_context(|| format!("the answer (HTTP {}) is not JSON: {text}", response.status))
    }

    /// What the emulator, and then what the function has printed so far.
    pub fn log(&self) -> String {
        self.process.log() + &self.output()
    }

    /// What the function itself has printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.output).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Waits until the log holds a text. What the emulator prints reaches it a moment after the answer.
    pub fn wait_for_log(&self, text: &str) -> anyhow::Result<()> {
        wait_until(Duration::from_secs(10), &format!("the log holds {text:?}"), || self.log().contains(text))
    }
}
