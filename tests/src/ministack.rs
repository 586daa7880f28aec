//! Many AWS services in one process: ministack. Used for Secrets Manager, SNS, CloudWatch and Scheduler; objects go
//! to [`crate::ObjectStore`], because ministack does not check signatures.

mod stacks;
mod watching;

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use crate::http::{self, Request};
use crate::places;
use crate::supervised::{Supervised, free_ports, unique_number};

pub use stacks::Stack;
pub use watching::Topic;

const START_LIMIT: Duration = Duration::from_mins(1);

/// A running ministack. It stops when this is dropped or the test process ends.
#[derive(Debug)]
pub struct Ministack {
    endpoint: String,
    process: Supervised,
}

impl Ministack {
    /// Starts one for one test alone.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with([])
    }

    /// Starts one for one test alone, with variables that its functions see too.
    pub fn start_with<'a>(environment: impl IntoIterator<Item = (&'a str, String)>) -> anyhow::Result<Self> {
        let program = places::tool("ministack", "bin/ministack")?;
        let folder = tempfile::TempDir::with_prefix("pgark-tests-aws-")?;
        let [port] = free_ports()?;
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env("GATEWAY_PORT", port.to_string());
        // By default it listens on all addresses, and for MQTT too.
        command.env("BIND_HOST", "127.0.0.1").env("IOT_MTLS_ENABLED", "0");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.envs(environment);
        let process = Supervised::start("ministack", "TERM", folder, &command)?;
        let mut ministack = Self { endpoint: format!("http://127.0.0.1:{port}"), process };
        let endpoint = ministack.endpoint.clone();
        ministack.process.wait_until_ready(START_LIMIT, || http::answers(&endpoint))?;
        Ok(ministack)
    }

    /// The one which all tests of the process share. Started when first asked for.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SERVER: OnceLock<Result<Ministack, String>> = OnceLock::new();
        SERVER
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// For example `http://127.0.0.1:4566`, the same for every service.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its port of 127.0.0.1.
    pub fn port(&self) -> anyhow::Result<u16> {
        let port = self.endpoint.rsplit(':').next().and_then(|port| port.parse().ok());
        port.with_context(|| format!("{} has no port", self.endpoint))
    }

    /// The variables by which AWS's SDKs find it. For one service alone, use its own, such as
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`, with [`Ministack::endpoint`].
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// Creates a secret whose name starts with `prefix` and that no other test has; returns its ARN.
    pub fn create_secret(&self, prefix: &str, text: &str) -> anyhow::Result<String> {
        let name = format!("{prefix}-{}-{}", std::process::id(), unique_number());
        let created = self.secrets("CreateSecret", &json!({ "Name": name, "SecretString": text }))?;
        created["ARN"].as_str().map(str::to_owned).with_context(|| format!("no ARN in {created}"))
    }

    /// Gives a secret a new current version, as a rotation does.
    pub fn rotate_secret(&self, arn: &str, text: &str) -> anyhow::Result<()> {
        self.secrets("PutSecretValue", &json!({ "SecretId": arn, "SecretString": text })).map(drop)
    }

    fn secrets(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        let answer = Request::new("POST", &self.endpoint)?
            .header("x-amz-target", &format!("secretsmanager.{operation}"))
            .body_of_type("application/x-amz-json-1.1", input.to_string().as_bytes())
            .sign("secretsmanager", "us-east-1", "test", "test")
            .send()?;
        Ok(serde_json::from_slice(&answer.success().with_context(|| operation.to_owned())?)?)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
