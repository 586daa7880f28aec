//! What a user knows of a database and wants to hold in every restored copy: SQL with the result it must have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// SQL with the one value it must return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// What it is called in reports.
    pub name: String,
    /// A query of one row and one column.
    pub sql: String,
    /// The value; without one, true.
    #[serde(default)]
    pub expect: ExpectedValue,
}

/// A value as PostgreSQL writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExpectedValue {
    /// `t` or `f`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Any other value, as text.
    Text(String),
}

impl Default for ExpectedValue {
    fn default() -> Self {
        Self::Flag(true)
    }
}

impl fmt::Display for ExpectedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(true) => f.write_str("t"),
            Self::Flag(false) => f.write_str("f"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What is wrong with a list of assertions as a whole, if anything is.
pub(crate) fn problem(assertions: &[Assertion]) -> Option<String> {
    for (at, assertion) in assertions.iter().enumerate() {
        if assertion.name.trim().is_empty() || assertion.sql.trim().is_empty() {
            return Some(format!("assertion {} has no name or no sql", at + 1));
        }
        if assertions[..at].iter().any(|other| other.name == assertion.name) {
            return Some(format!("two assertions are called {:?}", assertion.name));
        }
    }
    None
}
