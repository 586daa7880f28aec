//! HTTP for webhooks and pings: one POST, tried a few times, with a limit on each try.
//!
//! On the client that the AWS SDK brings, with the machine's certificates. Safe because no error holds the URL, which is
//! a secret, nor what the server answered, which may repeat it. Redirects are not followed: a webhook that has moved
//! gets a new URL by its owner, not by whoever answers.

use std::time::Duration;

use bytes::Bytes;
use ct_codecs::{Base64, Encoder as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::percent_decode_str;

use crate::secret::Secret;

/// How often and how long is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) tries: u32,
    pub(super) try_max: Duration,
    /// Before the second try; doubled for each further one.
    pub(super) pause: Duration,
}

impl Patience {
    /// For messages at the end of a run: 17 seconds at the worst.
    pub(super) const MESSAGE: Self =
        Self { tries: 3, try_max: Duration::from_secs(5), pause: Duration::from_millis(500) };
    /// For a ping at the start, which must not hold the run up.
    pub(super) const START: Self = Self { tries: 1, try_max: Duration::from_secs(3), pause: Duration::ZERO };
}

/// What is posted.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) content_type: &'static str,
    /// The same in each try, so that a receiver can tell a repetition.
    pub(super) id: String,
    pub(super) body: Bytes,
}

enum Failure {
    /// Trying again may help.
    Passing(String),
    Lasting(String),
}

/// Posts, and waits for a status of the 200s. The error is a phrase for a sentence.
pub(super) async fn post(url: &Secret, post: &Post, patience: Patience) -> Result<(), String> {
    let (uri, authorization) = address(url)?;
    let connector = match hyper_rustls::HttpsConnectorBuilder::new().with_native_roots() {
        Ok(builder) => builder.https_or_http().enable_http1().build(),
        Err(error) => return Err(format!("this machine has no certificates to trust: {error}")),
    };
    let client: Client<HttpsConnector<HttpConnector>, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build(connector);
    let mut pause = patience.pause;
    for attempt in 1.. {
        let mut request = Request::builder().method(Method::POST).uri(uri.clone());
        request = request.header(CONTENT_TYPE, post.content_type).header("idempotency-key", &post.id);
        request = request.header(USER_AGENT, concat!("pgark/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(post.body.clone())).map_err(|_| "the URL is none")?;
        let answer = tokio::time::timeout(patience.try_max, client.request(request)).await;
        let failure = match answer {
            Ok(Ok(answer)) => match judge(answer.status()) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
            Ok(Err(error)) => Failure::Passing(crate::telemetry::chain(&error)),
            Err(_) => Failure::Passing(format!("no answer within {} s", patience.try_max.as_secs_f64())),
        };
        match failure {
            Failure::Lasting(why) => return Err(why),
            Failure::Passing(why) if attempt >= patience.tries => {
                return Err(if attempt == 1 { why } else { format!("{why}, in {attempt} tries") });
            }
            Failure::Passing(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    unreachable!("the loop ends by returning")
}

fn judge(status: StatusCode) -> Result<(), Failure> {
    let code = status.as_u16();
    match code {
        200..=299 => Ok(()),
        300..=399 => Err(Failure::Lasting(format!("HTTP status {code}, a redirect, which is not followed"))),
        408 | 425 | 429 | 500..=599 => Err(Failure::Passing(format!("HTTP status {code}"))),
        _ => Err(Failure::Lasting(format!("HTTP status {code}"))),
    }
}

/// The URL without user and password, and these as a header (RFC 7617).
fn address(url: &Secret) -> Result<(Uri, Option<String>), String> {
    const WRONG: &str = "the URL is none";
    let uri: Uri = url.expose().parse().map_err(|_| WRONG)?;
    let Some((user, host)) = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')) else {
        return Ok((uri, None));
    };
    let plain: Vec<u8> = percent_decode_str(user).collect();
    let plain = if plain.contains(&b':') { plain } else { [plain, b":".to_vec()].concat() };
    let credentials = Base64::encode_to_string(&plain).map_err(|_| WRONG)?;
    let host = host.to_owned();
    let mut parts = uri.into_parts();
    parts.authority = Some(host.parse().map_err(|_| WRONG)?);
    Ok((Uri::from_parts(parts).map_err(|_| WRONG)?, Some(format!("Basic {credentials}"))))
}

#[cfg(test)]
mod tests;
