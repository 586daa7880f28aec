//! The database URL in a secret: plain, or as the JSON that RDS writes and rotates.
//!
//! The JSON's keys are those of "JSON structure of AWS Secrets Manager secrets" (Secrets Manager User Guide). A secret
//! which RDS manages holds user name and password only; then host and database come from libpq's `PGHOST`, `PGPORT`,
//! `PGDATABASE` and `PGSSLMODE`, as they do for any URL without them. Errors name keys, never values.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::config::LIBPQ_HOST;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// All but what RFC 3986, section 2.3 lets stand in any part of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const FORM: &str = "Store the connection URL itself (postgresql://user:password@host/database), or JSON with username, password, host, port and dbname.";

/// The connection URL in a secret. A secret without a host needs one in the environment; a variable set to nothing is
/// none, because the template sets it whether it is used or not.
///
/// # Errors
/// When the text is neither a URL nor such JSON.
pub fn database_url(text: &Secret, environment: impl Fn(&str) -> Option<String>) -> Result<Secret> {
    let text = text.expose().trim();
    if !text.starts_with('{') {
        // Key=value connection strings are no less plain than URLs; what is wrong in either, the parser of them says.
        return if text.contains("://") || text.contains('=') {
            Ok(Secret::new(text))
        } else {
            Err(invalid("holds neither a connection URL nor JSON"))
        };
    }
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err(invalid("holds JSON that cannot be read"));
    };
    let engine = field(&fields, "engine")?.unwrap_or_default();
    if !engine.is_empty() && !engine.contains("postgres") {
        return Err(invalid("is for a database which is not PostgreSQL, by its key `engine`"));
    }
    let optional = |key| Ok::<_, Error>(field(&fields, key)?.filter(|text| !text.is_empty()));
    let needed = |key| optional(key)?.ok_or_else(|| invalid(format!("has no key `{key}`")));
    let (user, password) = (needed("username")?, needed("password")?);
    let host_elsewhere = environment(LIBPQ_HOST).is_some_and(|host| !host.is_empty());
    let host = if host_elsewhere { optional("host")? } else { Some(needed("host")?) };
    let port = optional("port")?.unwrap_or_default();
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return Err(invalid("has a `port` that is no port number"));
    }
    let colon = if port.is_empty() { "" } else { ":" };
    let [user, password, database] =
        [user, password, optional("dbname")?.unwrap_or_default()].map(|text| encoded(&text));
    Ok(Secret::new(format!("postgresql://{user}:{password}@{}{colon}{port}/{database}", host_part(host))))
}

/// A value as text: RDS writes the port as a number, people write it as a string.
fn field(fields: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(invalid(format!("has a key `{key}` that is neither text nor a number"))),
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// IPv6 addresses stand in brackets, which must not be encoded.
fn host_part(host: Option<String>) -> String {
    let host = host.unwrap_or_default();
    if host.contains(':') { format!("[{host}]") } else { encoded(&host) }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::SecretInvalid, message).hint(FORM)
}

#[cfg(test)]
mod tests {
    use pg_archive::connect::Target;

    use super::*;

    /// `host` is that of the environment.
    fn url(text: &str, host: Option<&str>) -> Result<String> {
        let environment = |name: &str| host.filter(|_| name == "PGHOST").map(str::to_owned);
        database_url(&Secret::new(text), environment).map(|url| url.expose().to_owned())
    }

    #[test]
    fn urls_and_the_json_of_rds() {
        let rds = r#"{"engine":"postgres","username":"pg:ark","password":"p@ss/w%rd ü","host":"db.example","port":5432,"dbname":"shop","dbInstanceIdentifier":"x"}"#;
        let encoded = "postgresql://pg%3Aark:p%40ss%2Fw%25rd%20%C3%BC@db.example:5432/shop";
        for (text, host, expected) in [
            (" postgresql://u:p@h/db\n", None, "postgresql://u:p@h/db"),
            ("host=h user=u", None, "host=h user=u"),
            (rds, None, encoded),
            (rds, Some(""), encoded),
            (rds, Some("other"), encoded),
            (
                r#"{"username":"u","password":"p","host":"::1","port":"6432"}"#,
                None,
                "postgresql://u:p@[::1]:6432/",
            ),
            (r#"{"username":"u","password":"p","dbname":null}"#, Some("h"), "postgresql://u:p@/"),
        ] {
            assert_eq!(url(text, host).unwrap(), expected);
            assert!(Target::parse(expected, |_| None).is_ok(), "{expected}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_value_is() {
        for (text, part) in [
            ("", "neither a connection URL nor JSON"),
            ("hunter2", "neither a connection URL nor JSON"),
            (r#"{"username": "hunter2""#, "cannot be read"),
            (r#"{"username":"u","password":"hunter2"}"#, "no key `host`"),
            (r#"{"password":"hunter2","host":"h"}"#, "no key `username`"),
            (r#"{"username":"u","password":"","host":"h"}"#, "no key `password`"),
            (r#"{"username":"u","password":{"hunter2":1},"host":"h"}"#, "key `password`"),
            (r#"{"username":"u","password":"x","host":"h","port":"hunter2"}"#, "`port`"),
            (r#"{"engine":"mysql","username":"u","password":"hunter2","host":"h"}"#, "`engine`"),
        ] {
            for host in [None, Some("")] {
                let error = url(text, host).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::SecretInvalid);
                assert!(error.message().contains(part), "{text}: {error}");
                assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            }
        }
    }
}
