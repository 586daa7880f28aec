//! What each test of the suite has for itself: a bucket, a key pair whose secret half the function never sees, and the
//! function in front of them.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use pgark::config::StoreUrl;
use pgark::repository::Repository;
use pgark::seal::KeyPair;
use pgark::signature::SigningKey;
use pgark::store::{Store, StoreOptions};
use pgark_tests::{ObjectStore, Rie, workspace_binary};
use serde_json::Value;
use tempfile::TempDir;

use crate::{PASSWORD, lines};

pub(crate) struct World {
    store: &'static ObjectStore,
    bucket: String,
    recipient: String,
    keys: TempDir,
}

impl World {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (store, keys) = (ObjectStore::shared()?, tempfile::tempdir()?);
        let pair = KeyPair::generate(jiff::Timestamp::now());
        pair.write_file(&keys.path().join("identity.txt"))?;
        SigningKey::generate()?.write_files(&keys.path().join("signing.key"))?;
        let recipient = pair.recipient().to_string();
        Ok(Self { store, bucket: store.create_bucket("lambda")?, recipient, keys })
    }

    /// The text of a file of keys: `identity.txt`, `signing.key` or `signing.key.pub`.
    pub(crate) fn key(&self, file: &str) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.keys.path().join(file))?)
    }

    /// The public key that checks signatures.
    pub(crate) fn verification_key(&self) -> anyhow::Result<String> {
        let text = self.key("signing.key.pub")?;
        Ok(text.lines().last().context("an empty key file")?.to_owned())
    }

    /// The variable of the key that opens the backups.
    pub(crate) fn identity(&self) -> (&'static str, String) {
        ("PGARK_IDENTITY_FILE", self.keys.path().join("identity.txt").display().to_string())
    }

    pub(crate) fn recipient(&self) -> &str {
        &self.recipient
    }

    /// The function `backup`, with settings that come before those which every test has.
    pub(crate) fn function<const N: usize>(
        &self,
        settings: [(&'static str, String); N],
    ) -> anyhow::Result<Rie> {
        let recipient = ("PGARK_RECIPIENTS", self.recipient.clone());
        self.start("backup", [recipient].into_iter().chain(settings))
    }

    /// A function, with its settings.
    pub(crate) fn start(
        &self,
        binary: &str,
        settings: impl IntoIterator<Item = (&'static str, String)>,
    ) -> anyhow::Result<Rie> {
        let mut environment = self.store.environment().to_vec();
        environment.extend([
            ("PGARK_STORE", format!("s3://{}/backups", self.bucket)),
            ("PGARK_SOURCE", "shop".to_owned()),
        ]);
        environment.extend(settings);
        Rie::start(&workspace_binary(binary)?, environment)
    }

    /// An object of the bucket.
    pub(crate) fn get(&self, key: &str) -> anyhow::Result<Vec<u8>> {
        // The only character of our keys that a signed URL has escaped.
        self.store.get(&self.bucket, &key.replace('=', "%3D"))
    }

    /// Puts other bytes in the place of an object.
    pub(crate) fn replace(&self, key: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.store.put(&self.bucket, &key.replace('=', "%3D"), bytes)
    }

    /// All keys but those of records of runs and leases, which a failed run leaves too.
    pub(crate) fn keys(&self) -> anyhow::Result<Vec<String>> {
        let mut keys = self.all_keys()?;
        keys.retain(|key| !key.starts_with("backups/runs/") && !key.starts_with("backups/leases/"));
        Ok(keys)
    }

    pub(crate) fn all_keys(&self) -> anyhow::Result<Vec<String>> {
        self.store.keys(&self.bucket)
    }

    /// Sets a part of the bucket's configuration.
    pub(crate) fn configure_bucket(&self, part: &str, xml: &str) -> anyhow::Result<()> {
        self.store.configure(&self.bucket, part, xml)
    }

    pub(crate) fn unfinished_uploads(&self) -> anyhow::Result<Vec<String>> {
        self.store.unfinished_uploads(&self.bucket)
    }

    /// The bucket as a folder, so that the library can read it without the credentials of the environment.
    pub(crate) async fn copy_of_bucket(&self) -> anyhow::Result<Copy> {
        let folder = TempDir::with_prefix("pgark-tests-copy-")?;
        for key in self.keys()? {
            let file = folder.path().join(&key);
            std::fs::create_dir_all(file.parent().context("a key has no folder")?)?;
            std::fs::write(file, self.get(&key)?)?;
        }
        Copy::open(folder).await
    }
}

pub(crate) struct Copy {
    root: PathBuf,
    pub(crate) repository: Repository,
    _folder: TempDir,
}

impl Copy {
    async fn open(folder: TempDir) -> anyhow::Result<Self> {
        let root = folder.path().join("backups");
        let store = Store::open(&StoreUrl::Folder(root.clone()), &StoreOptions::default()).await?;
        Ok(Self { root, repository: Repository::new(store), _folder: folder })
    }

    pub(crate) fn bytes(&self, key: &str) -> anyhow::Result<Vec<u8>> {
        std::fs::read(self.root.join(key)).with_context(|| format!("{key} is not in the bucket"))
    }
}

/// The one line of level ERROR. It is there when the answer is.
pub(crate) fn last_error(function: &Rie) -> anyhow::Result<Value> {
    let mut errors = lines::of(&function.output())?;
    errors.retain(|line| line["level"] == "ERROR");
    ensure!(errors.len() == 1, "not one error but {}: {errors:?}", errors.len());
    errors.pop().context("there is no error")
}

/// Neither the password nor a part of it that a badly escaped URL would show.
pub(crate) fn assert_no_secret_in_log(function: &Rie) {
    let log = function.log();
    for part in [PASSWORD, "s3cr", "p%40ss", "p@ss"] {
        assert!(!log.contains(part), "the log shows {part}: {log}");
    }
}
