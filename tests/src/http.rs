//! HTTP requests of the tests, by way of curl: it signs for S3 too, and brings no second HTTP stack into the build.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{binaries, supervised};

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body, if the status is of the 200s; an error quotes the body.
    pub fn success(self) -> anyhow::Result<Vec<u8>> {
        if !(200..300).contains(&self.status) {
            bail!("HTTP status {}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        Ok(self.body)
    }
}

/// A request that is being put together.
#[derive(Debug)]
pub(crate) struct Request {
    command: Command,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, url: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(binaries::on_path("curl", "curl")?);
        command.args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "120"]);
        // The status goes last, on three digits, so that a body may hold anything.
        command.args(["--path-as-is", "--write-out", "%{http_code}"]);
        if method == "HEAD" {
            command.arg("--head");
        } else {
            command.args(["--request", method]);
        }
        command.args(["--url", url]);
        Ok(Self { command, body: None })
    }

    pub(crate) fn body(self, body: &[u8]) -> Self {
        self.body_of_type("application/octet-stream", body)
    }

    pub(crate) fn body_of_type(self, content_type: &str, body: &[u8]) -> Self {
        let mut request = self.header("content-type", content_type);
        request.command.args(["--data-binary", "@-"]);
        request.body = Some(body.to_owned());
        request
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.command.args(["--header", &format!("{name}: {value}")]);
        self
    }

    /// Signs with AWS Signature Version 4, for S3.
    pub(crate) fn sign_for_s3(self, region: &str, access_key: &str, secret_key: &str) -> Self {
        self.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").sign("s3", region, access_key, secret_key)
    }

    /// Signs with AWS Signature Version 4.
    pub(crate) fn sign(mut self, service: &str, region: &str, access_key: &str, secret_key: &str) -> Self {
        self.command
            .args(["--aws-sigv4", &format!("aws:amz:{region}:{service}")])
            .args(["--user", &format!("{access_key}:{secret_key}")]);
        self
    }

    pub(crate) fn send(mut self) -> anyhow::Result<Response> {
        let mut body = supervised::output(&mut self.command, self.body.as_deref())?;
        let status = body.split_off(body.len().saturating_sub(3));
        let status = std::str::from_utf8(&status).ok().and_then(|status| status.parse().ok());
        Ok(Response { status: status.context("curl reports no status")?, body })
    }
}

/// Whether a server answers at all.
pub(crate) fn answers(url: &str) -> bool {
    Request::new("GET", url).and_then(Request::send).is_ok_and(|response| response.status < 500)
}
