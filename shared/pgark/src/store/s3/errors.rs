//! From what S3 servers answer to the kinds of error that jobs tell apart, each with its cure.
//!
//! Codes are those of the S3 API reference ("Error responses") and of MinIO and B2 where they have their own.

use std::error::Error as StdError;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Error, ErrorKind};

/// Maps a failed request. The caller names the object.
pub(super) fn map<E>(error: SdkError<E>) -> Error
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    let (kind, message, hint) = match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            of_answer(service.err().code().unwrap_or(""), service.err().message().unwrap_or(""), status)
        }
        SdkError::TimeoutError(_) => unreachable_store("did not answer in time"),
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) if tells_of_credentials(&error) => (
            ErrorKind::StoreCredentials,
            "no usable AWS credentials were found".to_owned(),
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the function or machine a role.",
        ),
        SdkError::DispatchFailure(_) => unreachable_store("cannot be reached"),
        SdkError::ResponseError(response) if response.raw().status().as_u16() >= 500 => busy(),
        _ => (ErrorKind::StoreFailed, "the request to the store failed".to_owned(), ""),
    };
    let mapped = Error::new(kind, message);
    let mapped = if hint.is_empty() { mapped } else { mapped.hint(hint) };
    mapped.because(error)
}

/// The code of the server's answer, or nothing.
pub(super) fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or("")
}

/// The status of the server's answer, or 0.
pub(super) fn status<E>(error: &SdkError<E>) -> u16 {
    error.raw_response().map_or(0, |response| response.status().as_u16())
}

/// Whether the server does not know the checksum headers (B2: 400 `InvalidArgument`, "Unsupported header …").
pub(super) fn refuses_checksums<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or("");
    matches!(status(error), 400 | 501)
        && message.contains("checksum")
        && message.contains("nsupported header")
}

/// Whether the server does not know `If-None-Match` and says so.
pub(super) fn refuses_conditions<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == 501
}

type Mapped = (ErrorKind, String, &'static str);

fn of_answer(code: &str, message: &str, status: u16) -> Mapped {
    let said = |text: &str| format!("{text} ({code})");
    match (code, status) {
        ("NoSuchBucket", _) => (
            ErrorKind::StoreMissing,
            "the bucket does not exist".to_owned(),
            "Create the bucket, or correct PGARK_STORE.",
        ),
        ("NoSuchKey" | "NotFound" | "NoSuchUpload", _) => (
            ErrorKind::ObjectMissing,
            "does not exist".to_owned(),
            "Use another backup, and find out who or which lifecycle rule removed the object.",
        ),
        ("PreconditionFailed" | "ConditionalRequestConflict", _) | (_, 412) => {
            (ErrorKind::ObjectExists, "exists already".to_owned(), "Objects are never overwritten.")
        }
        (
            "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "EntityQuotaExceeded",
            _,
        )
        | (_, 507) => full(),
        // B2 says so only in words.
        (_, 403) if message.contains("cap exceeded") => full(),
        ("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch", _) => (
            ErrorKind::ObjectChecksum,
            said("the bytes that reached the store are not those that were sent"),
            "Run it again. If it happens again, suspect the memory, the network or a proxy in between.",
        ),
        ("EntityTooLarge", _) | (_, 413) => {
            (ErrorKind::ObjectTooLarge, said("is too large for the store"), "")
        }
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "TokenRefreshRequired",
            _,
        ) => (
            ErrorKind::StoreRefused,
            said("the store does not accept the credentials"),
            "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; temporary ones expire.",
        ),
        ("RequestTimeTooSkewed", _) => (
            ErrorKind::StoreRefused,
            said("the clock of this machine is wrong"),
            "Set the clock; requests are signed with the time.",
        ),
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => (
            ErrorKind::StoreRefused,
            said("the bucket is in another region"),
            "Set AWS_REGION to the region of the bucket.",
        ),
        (_, 401 | 403) => (
            ErrorKind::StoreRefused,
            "access denied".to_owned(),
            "Allow s3:PutObject, s3:GetObject, s3:ListBucket, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads on this bucket and prefix, and s3:DeleteObject to the one that prunes.",
        ),
        ("SlowDown" | "Throttling" | "RequestLimitExceeded", _) | (_, 429 | 503) => busy(),
        (_, 500..) => (
            ErrorKind::StoreFailed,
            said("the store had an error of its own"),
            "Run it again a little later.",
        ),
        _ => (ErrorKind::StoreFailed, said("the store refused the request"), ""),
    }
}

fn full() -> Mapped {
    (ErrorKind::StoreFull, "the store has no room left".to_owned(), "Raise the quota, or prune old backups.")
}

fn busy() -> Mapped {
    (
        ErrorKind::StoreBusy,
        "the store asked to slow down until the tries ran out".to_owned(),
        "Lower PGARK_JOBS, or run it at another time.",
    )
}

fn unreachable_store(message: &str) -> Mapped {
    (
        ErrorKind::StoreUnreachable,
        format!("the store {message}"),
        "Check AWS_ENDPOINT_URL, AWS_REGION and the network; a function in a VPC needs a gateway endpoint or NAT to reach S3.",
    )
}

/// The SDK has no public kind for this; the text of its own error types is all there is.
fn tells_of_credentials(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.contains("credential") || text.contains("identity") {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_map_to_kinds() {
        for (code, message, status, kind) in [
            ("AccessDenied", "", 403, ErrorKind::StoreRefused),
            ("SignatureDoesNotMatch", "", 403, ErrorKind::StoreRefused),
            ("AccessDenied", "Cannot upload files, storage cap exceeded.", 403, ErrorKind::StoreFull),
            ("NoSuchBucket", "", 404, ErrorKind::StoreMissing),
            ("NoSuchKey", "", 404, ErrorKind::ObjectMissing),
            ("PreconditionFailed", "", 412, ErrorKind::ObjectExists),
            ("ConditionalRequestConflict", "", 409, ErrorKind::ObjectExists),
            ("SlowDown", "", 503, ErrorKind::StoreBusy),
            ("", "", 429, ErrorKind::StoreBusy),
            ("XMinioStorageFull", "", 507, ErrorKind::StoreFull),
            ("BadDigest", "", 400, ErrorKind::ObjectChecksum),
            ("InternalError", "", 500, ErrorKind::StoreFailed),
            ("Whatever", "", 400, ErrorKind::StoreFailed),
        ] {
            assert_eq!(of_answer(code, message, status).0, kind, "{code} {status}");
        }
    }
}
