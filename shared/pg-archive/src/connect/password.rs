//! Passwords that are made for each connection: tokens that are good for minutes, while a dump opens sessions for hours.
//!
//! Where they come from is the caller's: this crate knows no cloud. They are sent over TLS only (`attempt`).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Makes a password for a connection that is about to be opened.
pub trait PasswordSource: Send + Sync {
    /// The password for this place and role; an error is a phrase that says why there is none.
    fn password<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        user: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;
}

/// A source, as a target holds it.
#[derive(Clone)]
pub(super) struct Passwords(pub(super) Arc<dyn PasswordSource>);

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

impl PartialEq for Passwords {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Passwords {}
