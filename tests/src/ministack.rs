//! Many AWS services in one process: ministack. Used for Secrets Manager, SNS, CloudWatch and Scheduler; objects go
//! to [`crate::ObjectStore`], because ministack does not check signatures.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::anyhow;

use crate::supervised::{Supervised, free_ports};
use crate::{http, places};

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
        let program = places::tool("ministack", "bin/ministack")?;
        let folder = tempfile::TempDir::with_prefix("pgark-tests-aws-")?;
        let [port] = free_ports()?;
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env("GATEWAY_PORT", port.to_string());
        // By default it listens on all addresses, and for MQTT too.
        command.env("BIND_HOST", "127.0.0.1").env("IOT_MTLS_ENABLED", "0");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
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

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
