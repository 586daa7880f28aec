//! Certificates for a test server: an authority made for it alone, and a server certificate from that.

use std::fs;
use std::path::{Path, PathBuf};

use crate::account::ServerAccount;

use super::{openssl, run};

/// Two sections of X.509 extensions. rustls refuses a server certificate that is an authority too, and one without
/// a subject alternative name.
const CONFIGURATION: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = pgark test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
";

pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Writes them into `folder`; the server's user owns the key, as PostgreSQL demands.
pub(super) fn issue(folder: &Path, account: &ServerAccount) -> anyhow::Result<Certificates> {
    let file = |name: &str| folder.join(name);
    let configuration = file("openssl.cnf");
    fs::write(&configuration, CONFIGURATION)?;
    let request = |extensions: &str, key: &Path, certificate: &Path| {
        let mut command = openssl()?;
        command
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-extensions", extensions, "-config"])
            .arg(&configuration)
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(certificate);
        anyhow::Ok(command)
    };
    let (authority_key, authority) = (file("authority.key"), file("authority.crt"));
    run(&mut request("authority", &authority_key, &authority)?)?;
    let (key, certificate) = (file("server.key"), file("server.crt"));
    run(request("server", &key, &certificate)?.arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key))?;
    account.own(&key)?;
    Ok(Certificates { authority, certificate, key })
}
