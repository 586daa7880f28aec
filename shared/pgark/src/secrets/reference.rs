//! Which secret is meant: a name, or an ARN.

use std::fmt;
use std::str::FromStr;

/// The longest name that Secrets Manager gives (CreateSecret, API reference).
const NAME_BYTES_MAX: usize = 512;

/// A secret's name or ARN. No secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    id: String,
    region: Option<String>,
}

impl SecretReference {
    /// How references are written.
    pub const RULE: &str = "Give the name of a secret in AWS Secrets Manager, such as prod/shop, or its ARN.";

    /// What Secrets Manager is asked for.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The region that an ARN names.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }
}

impl FromStr for SecretReference {
    type Err = String;

    /// The text is not repeated in errors: it may be a password in the wrong place.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, region) = match text.strip_prefix("arn:") {
            Some(arn) => {
                let parts: Vec<_> = arn.splitn(6, ':').collect();
                let [partition, "secretsmanager", region, account, "secret", name] = parts[..] else {
                    return Err(
                        "is no ARN of a secret (arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME)".into()
                    );
                };
                if partition.is_empty() || region.is_empty() || account.is_empty() {
                    return Err("is an ARN without partition, region or account".into());
                }
                (name, Some(region.to_owned()))
            }
            None => (text, None),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-!".contains(c);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(allowed) {
            return Err("is no name of a secret: letters, digits and /_+=.@-! only".into());
        }
        Ok(Self { id: text.to_owned(), region })
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/shop-AbCdEf";
        let managed = "rds!db-7d1f2a3b-aaaa"; // RDS names its own secrets so
        assert_eq!(arn.parse::<SecretReference>().unwrap().region(), Some("eu-west-1"));
        assert_eq!(" prod/shop ".parse::<SecretReference>().unwrap().id(), "prod/shop");
        let managed = format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{managed}-AbCdEf");
        assert_eq!(managed.parse::<SecretReference>().unwrap().id(), managed);
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated() {
        for wrong in [
            "",
            "a b",
            "postgresql://u:hunter2@h/db",
            "arn:aws:s3:::bucket",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:secretsmanager::123456789012:secret:x",
            &"n".repeat(513),
        ] {
            let message = wrong.parse::<SecretReference>().unwrap_err();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
