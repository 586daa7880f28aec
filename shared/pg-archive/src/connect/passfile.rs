//! The password file, `~/.pgpass` (libpq manual, chapter 34.16; `passwordFromFile` in fe-connect.c).

use std::path::Path;

use super::secret::Secret;
use super::settings::SOCKET_DIRECTORIES;
use super::target::Endpoint;

/// What to look up.
pub(super) struct Key<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The password of the first line that matches. A file that is absent, or that others may read, counts as empty;
/// the latter with a warning, as in libpq.
pub(super) async fn look_up(file: &Path, key: &Key<'_>) -> Option<Secret> {
    let metadata = tokio::fs::metadata(file).await.ok()?;
    if !metadata.is_file() {
        tracing::warn!(file = %file.display(), "password file ignored: it is not a plain file");
        return None;
    }
    if is_open_to_others(&metadata) {
        tracing::warn!(
            file = %file.display(),
            "password file ignored: group or others have access, so set its permissions to u=rw (0600) or less"
        );
        return None;
    }
    match tokio::fs::read_to_string(file).await {
        Ok(text) => find(&text, key),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "password file ignored: it cannot be read");
            None
        }
    }
}

#[cfg(unix)]
fn is_open_to_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

/// The password of the first matching line, `host:port:database:user:password`.
fn find(text: &str, key: &Key<'_>) -> Option<Secret> {
    // The default socket directories go by the name of localhost.
    let host = match key.endpoint.name() {
        name if SOCKET_DIRECTORIES.contains(&name.as_ref()) => "localhost".into(),
        name => name,
    };
    let wanted = [host.as_ref(), &key.endpoint.port().to_string(), key.database, key.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = split(line.trim_end_matches('\r'));
        let (password, patterns) = (fields.get(4)?, &fields[..4]);
        let matches = patterns.iter().zip(wanted).all(|(pattern, wanted)| pattern.matches(wanted));
        matches.then(|| Secret::new(password.text.clone()))
    })
}

/// One field of a line, without its escapes.
struct Field {
    text: String,
    /// A bare `*`; an escaped one stands for itself.
    any: bool,
}

impl Field {
    fn matches(&self, wanted: &str) -> bool {
        self.any || self.text == wanted
    }
}

/// Splits at colons; a backslash makes the next character plain.
fn split(line: &str) -> Vec<Field> {
    let mut fields = vec![Field { text: String::new(), any: false }];
    let (mut raw_len, mut chars) = (0, line.chars());
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            ':' => {
                fields.push(Field { text: String::new(), any: false });
                raw_len = 0;
                continue;
            }
            // A backslash at the very end stands for itself.
            '\\' => fields[last].text.push(chars.next().unwrap_or('\\')),
            c => fields[last].text.push(c),
        }
        raw_len += 1;
        fields[last].any = c == '*' && raw_len == 1;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str, endpoint: &Endpoint) -> Option<String> {
        find(text, &Key { endpoint, database: "app", user: "alice" }).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn first_matching_line_counts() {
        let host = Endpoint::Host { name: "db.example".into(), address: None, port: 5432 };
        let ipv6 = Endpoint::Host { name: "::1".into(), address: None, port: 5432 };
        let default = Endpoint::Socket { directory: "/tmp".into(), port: 5432 };
        let other = Endpoint::Socket { directory: "/srv/pg".into(), port: 5432 };
        let cases = [
            ("exact", "db.example:5432:app:alice:pw", &host, Some("pw")),
            ("wildcards", "*:*:*:*:pw", &host, Some("pw")),
            ("one wildcard", "db.example:*:app:alice:pw", &host, Some("pw")),
            ("order", "*:*:*:*:first\ndb.example:5432:app:alice:second", &host, Some("first")),
            ("other host", "db.other:5432:app:alice:pw", &host, None),
            ("other port", "db.example:5433:app:alice:pw", &host, None),
            ("other database", "db.example:5432:apps:alice:pw", &host, None),
            ("other user", "db.example:5432:app:bob:pw", &host, None),
            ("a wildcard is a whole field", "*e:5432:app:alice:pw", &host, None),
            ("an escaped star is a star", r"\*:5432:app:alice:pw", &host, None),
            ("escapes in the password", r"*:*:*:*:a\:b\\c", &host, Some(r"a:b\c")),
            ("password ends at a colon", "*:*:*:*:pw:rest", &host, Some("pw")),
            ("escaped colons of IPv6", r"\:\:1:5432:app:alice:pw", &ipv6, Some("pw")),
            ("comment", "#*:*:*:*:no\n*:*:*:*:pw", &host, Some("pw")),
            ("CRLF", "*:*:*:*:pw\r\n", &host, Some("pw")),
            ("short line", "*:*:*:pw", &host, None),
            ("empty file", "", &host, None),
            ("default socket is localhost", "localhost:*:*:*:pw", &default, Some("pw")),
            ("other socket is its directory", "/srv/pg:*:*:*:pw", &other, Some("pw")),
        ];
        for (case, text, endpoint, expected) in cases {
            assert_eq!(password(text, endpoint).as_deref(), expected, "{case}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn files_that_others_may_read_are_ignored() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        std::fs::write(&file, "*:*:*:*:pw\n").unwrap();
        let endpoint = Endpoint::Host { name: "h".into(), address: None, port: 1 };
        for (mode, read) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o610, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = look_up(&file, &Key { endpoint: &endpoint, database: "d", user: "u" }).await;
            assert_eq!(found.is_some(), read, "{mode:o}");
        }
        let absent = folder.path().join("absent");
        assert!(look_up(&absent, &Key { endpoint: &endpoint, database: "d", user: "u" }).await.is_none());
        assert!(
            look_up(folder.path(), &Key { endpoint: &endpoint, database: "d", user: "u" }).await.is_none()
        );
    }
}
