//! All that is wrong with the settings, gathered, so that one run tells everything.

use crate::error::{Error, ErrorKind};

/// One thing that is wrong, and its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable, or the key in pgark.toml.
    pub setting: String,
    /// What is wrong: lowercase, no full stop, no secret.
    pub message: String,
    /// What to do, in full sentences.
    pub fix: String,
}

/// Gathers problems.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, setting: &str, message: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Problem { setting: setting.to_owned(), message: message.into(), fix: fix.into() });
    }

    /// Keeps a good value; notes a bad one, with the fix.
    pub(super) fn keep<T>(
        &mut self,
        setting: &str,
        parsed: Option<Result<T, impl Into<String>>>,
        fix: &str,
    ) -> Option<T> {
        match parsed? {
            Ok(value) => Some(value),
            Err(message) => {
                self.add(setting, message, fix);
                None
            }
        }
    }
}

/// One error for all problems.
pub(super) fn error(problems: &[Problem]) -> Error {
    let line = |problem: &Problem| format!("{}: {}. {}", problem.setting, problem.message, problem.fix);
    let lines: Vec<_> = problems.iter().map(line).collect();
    let count = match problems.len() {
        1 => "1 setting is wrong or missing".to_owned(),
        count => format!("{count} settings are wrong or missing"),
    };
    Error::new(ErrorKind::Settings, format!("{count}\n  {}", lines.join("\n  ")))
}
