//! What is wrong with a connection string: every problem at once, so that one round of editing mends it.
//!
//! No text here repeats a piece of the string that could be part of a password: a password with an
//! unescaped `/`, `@` or blank spills into the host, the port or the next word.

use std::fmt;

/// Everything that is wrong with a connection string and the environment it was read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Stable code of this error, listed in the manual.
    pub fn code(&self) -> &'static str {
        "connect.settings"
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "Write postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with : / ? # @ and blanks in \
         the user name or password percent-encoded, or key=value words as in the libpq manual, chapter 34.1."
    }

    /// One sentence for each problem.
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection string: {}", self.0.join("; "))
    }
}

impl std::error::Error for Problems {}

/// Gathers problems while parsing goes on.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    pub(super) fn add(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Turns the value into the result unless there was a problem.
    pub(super) fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(value) } else { Err(Problems(self.0)) }
    }
}
