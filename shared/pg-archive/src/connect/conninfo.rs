//! Reads `key=value` connection strings (libpq manual, chapter 34.1.1.1; `conninfo_parse` in fe-connect.c).

use std::iter::Peekable;
use std::str::Chars;

use super::parameters::Parameters;
use super::problems::Findings;

/// Reads every word of the string into the parameters.
pub(super) fn parse(text: &str, parameters: &mut Parameters, findings: &mut Findings) {
    let mut chars = text.chars().peekable();
    for word in 1.. {
        skip_blanks(&mut chars);
        if chars.peek().is_none() {
            return;
        }
        let mut name = String::new();
        while let Some(&c) = chars.peek() {
            if c == '=' || c.is_ascii_whitespace() {
                break;
            }
            name.push(c);
            chars.next();
        }
        skip_blanks(&mut chars);
        if chars.next_if_eq(&'=').is_none() {
            // The word may be the tail of an unquoted password, so it is counted and not shown.
            findings
                .add(format!("word {word} has no \"=\" (a value that holds blanks is put in single quotes)"));
            continue;
        }
        skip_blanks(&mut chars);
        match value(&mut chars) {
            Some(value) => parameters.set(&name, value, findings),
            None => findings.add(format!("the quoted value of {name:?} never ends")),
        }
    }
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(char::is_ascii_whitespace).is_some() {}
}

/// Reads a plain or quoted value; nothing if a quote never closes.
fn value(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.extend(chars.next()),
            '\'' if quoted => return Some(value),
            c if !quoted && c.is_ascii_whitespace() => return Some(value),
            c => value.push(c),
        }
    }
    (!quoted).then_some(value)
}
