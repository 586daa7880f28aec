//! A real S3 server: SeaweedFS. It checks signatures and checksums, and lets exactly one of racing create-only
//! uploads win, which most stand-ins do not.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::http::{self, Request, Response};
use crate::places;
use crate::supervised::{Supervised, free_ports, unique_number};

const ACCESS_KEY: &str = "pgark-tests";
const SECRET_KEY: &str = "secret-of-pgark-tests";
const REGION: &str = "us-east-1";
const START_LIMIT: Duration = Duration::from_mins(1);

/// A running S3 server. It stops, and its data is removed, when this is dropped or the test process ends.
#[derive(Debug)]
pub struct ObjectStore {
    endpoint: String,
    process: Supervised,
}

impl ObjectStore {
    /// Starts a server for one test alone.
    pub fn start() -> anyhow::Result<Self> {
        let weed = places::tool("seaweedfs", "bin/weed")?;
        let folder = tempfile::TempDir::with_prefix("pgark-tests-s3-")?; // it runs as the tests' own user
        let identities = folder.path().join("s3.json");
        fs::write(&identities, identities_json())?;
        let [s3, s3_grpc, filer, filer_grpc, master, master_grpc, volume, volume_grpc] = free_ports()?;

        let mut command = Command::new(weed);
        command
            .current_dir(folder.path())
            .env("WEED_S3_SSE_KEY", "any")
            .args(["-logtostderr=true", "server"]);
        let mut flag = |name: &str, value: &str| {
            command.arg(format!("-{name}={value}"));
        };
        flag("dir", &folder.path().to_string_lossy());
        flag("ip", "127.0.0.1");
        flag("ip.bind", "127.0.0.1");
        for (name, port) in [
            ("s3.port", s3),
            ("s3.port.grpc", s3_grpc),
            ("s3.port.iceberg", 0),
            ("s3.port.lance", 0),
            ("filer.port", filer),
            ("filer.port.grpc", filer_grpc),
            ("master.port", master),
            ("master.port.grpc", master_grpc),
            ("volume.port", volume),
            ("volume.port.grpc", volume_grpc),
        ] {
            flag(name, &port.to_string());
        }
        flag("s3", "true");
        flag("s3.config", &identities.to_string_lossy());
        flag("s3.iam", "false");
        flag("s3.localSocket", &folder.path().join("s3.sock").to_string_lossy());
        flag("filer.localSocket", &folder.path().join("filer.sock").to_string_lossy());
        flag("master.volumeSizeLimitMB", "1024");
        flag("master.telemetry", "false");
        // A bucket has several volumes of its own, and a suite dozens of buckets.
        flag("volume.max", "1000");

        // Its data is worth nothing, and a clean shutdown takes ten seconds.
        let process = Supervised::start("seaweedfs", "KILL", folder, &command)?;
        let mut store = Self { endpoint: format!("http://127.0.0.1:{s3}"), process };
        let probe = store.bucket_url("ready");
        // Creating a bucket needs every part of it up.
        let created = || store_request("PUT", &probe).and_then(Request::send).is_ok_and(|r| r.status == 200);
        store.process.wait_until_ready(START_LIMIT, created)?;
        Ok(store)
    }

    /// The server which all tests of the process share. Started when first asked for.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SERVER: OnceLock<Result<ObjectStore, String>> = OnceLock::new();
        SERVER
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// For example `http://127.0.0.1:8333`. Buckets are part of the path.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The access key that may do everything.
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// Its secret.
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// The region to sign for.
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The variables by which AWS's SDKs take its credentials, for a process that is to be started before a server is.
    pub fn credentials() -> [(&'static str, &'static str); 3] {
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY), ("AWS_REGION", REGION)]
    }

    /// The variables by which AWS's SDKs, and so our programs, find the server.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
        ]
    }

    /// Creates a bucket whose name starts with `prefix` and that no other test has.
    pub fn create_bucket(&self, prefix: &str) -> anyhow::Result<String> {
        let name = format!("{prefix}-{}-{}", std::process::id(), unique_number());
        let response = store_request("PUT", &self.bucket_url(&name))?.send()?;
        response.success().with_context(|| format!("cannot create bucket {name}"))?;
        Ok(name)
    }

    /// Sets a part of a bucket's configuration, such as `versioning`.
    pub fn configure(&self, bucket: &str, part: &str, xml: &str) -> anyhow::Result<()> {
        let request = store_request("PUT", &format!("{}?{part}=", self.bucket_url(bucket)))?;
        request.body_of_type("application/xml", xml.as_bytes()).send()?.success().map(drop)
    }

    /// Creates a bucket with Object Lock, whose name starts with `prefix` and that no other test has.
    pub fn create_bucket_with_lock(&self, prefix: &str) -> anyhow::Result<String> {
        let name = format!("{prefix}-{}-{}", std::process::id(), unique_number());
        let request = Request::new("PUT", &self.bucket_url(&name))?;
        let request = request.header("x-amz-bucket-object-lock-enabled", "true");
        let response = request.sign_for_s3(REGION, ACCESS_KEY, SECRET_KEY).send()?;
        response.success().with_context(|| format!("cannot create bucket {name}"))?;
        Ok(name)
    }

    /// Puts headers of Object Lock, such as `x-amz-object-lock-legal-hold`, on a new object.
    pub fn put_locked(
        &self,
        bucket: &str,
        key: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut request = Request::new("PUT", &format!("{}/{key}", self.bucket_url(bucket)))?;
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.sign_for_s3(REGION, ACCESS_KEY, SECRET_KEY).body(body).send()?.success().map(drop)
    }

    /// Stores an object, bypassing all code under test. The key must need no escaping in a URL.
    pub fn put(&self, bucket: &str, key: &str, body: &[u8]) -> anyhow::Result<()> {
        self.object("PUT", bucket, key)?.body(body).send()?.success().map(drop)
    }

    /// Reads an object.
    pub fn get(&self, bucket: &str, key: &str) -> anyhow::Result<Vec<u8>> {
        self.object("GET", bucket, key)?.send()?.success()
    }

    /// Deletes an object.
    pub fn delete(&self, bucket: &str, key: &str) -> anyhow::Result<()> {
        self.object("DELETE", bucket, key)?.send()?.success().map(drop)
    }

    /// The keys of a bucket, in order; 1,000 at most.
    pub fn keys(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let list = store_request("GET", &format!("{}?list-type=2", self.bucket_url(bucket)))?.send()?;
        Ok(elements(&String::from_utf8_lossy(&list.success()?), "Key"))
    }

    /// What a server answers to a listing that ignores the prefix: all keys of the bucket.
    pub fn listing_of_everything(&self, bucket: &str) -> anyhow::Result<String> {
        let object = |key: String| {
            format!(
                "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            )
        };
        let objects: String = self.keys(bucket)?.into_iter().map(object).collect();
        Ok(format!("<ListBucketResult><IsTruncated>false</IsTruncated>{objects}</ListBucketResult>"))
    }

    /// The keys of multipart uploads which were neither completed nor aborted.
    pub fn unfinished_uploads(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let list = store_request("GET", &format!("{}?uploads=", self.bucket_url(bucket)))?.send()?;
        Ok(elements(&String::from_utf8_lossy(&list.success()?), "Key"))
    }

    /// A request without a signature, which the server must refuse.
    pub fn get_unsigned(&self, bucket: &str, key: &str) -> anyhow::Result<Response> {
        Request::new("GET", &format!("{}/{key}", self.bucket_url(bucket)))?.send()
    }

    /// Whether the server answers.
    pub fn answers(&self) -> bool {
        http::answers(&self.endpoint)
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn bucket_url(&self, bucket: &str) -> String {
        format!("{}/{bucket}", self.endpoint)
    }

    fn object(&self, method: &str, bucket: &str, key: &str) -> anyhow::Result<Request> {
        store_request(method, &format!("{}/{key}", self.bucket_url(bucket)))
    }
}

fn store_request(method: &str, url: &str) -> anyhow::Result<Request> {
    Ok(Request::new(method, url)?.sign_for_s3(REGION, ACCESS_KEY, SECRET_KEY))
}

fn identities_json() -> String {
    serde_json::json!({ "identities": [{
        "name": "pgark-tests",
        "credentials": [{ "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY }],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }]})
    .to_string()
}

/// The texts of all elements of this name. Enough for S3's flat lists, whose keys here need no unescaping.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(text, _)| text.to_owned())
        .collect()
}
