//! The address of a store: `s3://bucket/prefix` or `file:///folder`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// A parsed store address. It never holds credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A bucket and a prefix without slashes at its ends, which may be empty.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
    /// An absolute folder.
    Folder(PathBuf),
}

impl StoreUrl {
    /// Whether it is a bucket.
    pub fn is_s3(&self) -> bool {
        matches!(self, Self::S3 { .. })
    }
}

/// What S3 allows in a key is 1,024 bytes; the rest is for the keys of backups.
const PREFIX_BYTES_MAX: usize = 100;

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return s3(rest);
        }
        if let Some(rest) = text.strip_prefix("file://") {
            let path =
                percent_decode_str(rest).decode_utf8().map_err(|_| "the folder is not UTF-8".to_owned())?;
            if !path.starts_with('/') {
                return Err(format!("the folder is not absolute; for a local folder write file:///{path}"));
            }
            return Ok(Self::Folder(PathBuf::from(path.into_owned())));
        }
        match text.split_once("://") {
            Some((scheme, _)) => Err(format!("`{scheme}://` is no known kind of store")),
            None if text.starts_with('/') => Err(format!("this is a plain path; write file://{text}")),
            None => Err("this is no URL; for a local folder write file:///absolute/folder".to_owned()),
        }
    }
}

fn s3(rest: &str) -> Result<StoreUrl, String> {
    // Someone may have put keys in front of an @: nothing of such an address is repeated.
    if rest.contains(['@', '?', '#']) {
        return Err(
            "an S3 address is a bucket and a prefix only; credentials go into the AWS variables".to_owned()
        );
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, and capitals and underscores for
    // old buckets and other servers.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !(3..=255).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
        return Err(format!("`{bucket}` is no bucket name"));
    }
    if prefix.len() > PREFIX_BYTES_MAX {
        return Err(format!("the prefix is longer than {PREFIX_BYTES_MAX} bytes"));
    }
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
    if !prefix.is_empty() && prefix.split('/').any(odd) {
        return Err("the prefix has an empty, `.` or `..` component".to_owned());
    }
    Ok(StoreUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let s3 = |bucket: &str, prefix: &str| StoreUrl::S3 { bucket: bucket.into(), prefix: prefix.into() };
        for (text, url) in [
            ("s3://bucket", s3("bucket", "")),
            ("s3://bucket/", s3("bucket", "")),
            ("s3://bucket/a/b/", s3("bucket", "a/b")),
            ("file:///srv/backups", StoreUrl::Folder("/srv/backups".into())),
            ("file:///srv/my%20backups", StoreUrl::Folder("/srv/my backups".into())),
        ] {
            assert_eq!(text.parse(), Ok(url), "{text}");
        }
    }

    #[test]
    fn wrong_addresses_say_what_to_write() {
        for (text, part) in [
            ("/srv/backups", "file:///srv/backups"),
            ("backups", "file:///absolute/folder"),
            ("file://backups", "file:///backups"),
            ("https://bucket.s3.amazonaws.com", "no known kind"),
            ("s3://", "no bucket name"),
            ("s3://a b/c", "no bucket name"),
            ("s3://bucket/a//b", "component"),
            ("s3://bucket/../b", "component"),
        ] {
            let message = text.parse::<StoreUrl>().unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
        let message = "s3://AKIA:hunter2@bucket".parse::<StoreUrl>().unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
