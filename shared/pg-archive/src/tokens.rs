//! Cuts SQL into tokens, so that names can be told from literals that look like them.
//!
//! It is for SQL of this crate and of `pg_dump`, as archives and globals hold it: `standard_conforming_strings = on`,
//! no dollar quotes, no block comments outside of literals. A literal with backslashes is `E'…'` with each of them
//! doubled (`simple_quote_literal` in `ruleutils.c`), so a quote always ends it. Nothing is lost: the tokens' texts put
//! together are the text.

use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Space, and comments up to the end of their line.
    Space,
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A literal in single quotes.
    Literal,
    /// Any other character.
    Other,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// In how many parentheses it stands.
    pub(crate) depth: usize,
}

impl<'a> Token<'a> {
    /// Whether it is this keyword, given in capitals, outside of parentheses.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.depth == 0 && self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// The name that it stands for, if it is one.
    pub(crate) fn name(&self) -> Option<Cow<'a, str>> {
        match self.kind {
            Kind::Word if self.text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Some(self.text.to_ascii_lowercase().into())
            }
            Kind::Word => Some(self.text.into()),
            Kind::Quoted => {
                let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
                Some(inner.replace("\"\"", "\"").into())
            }
            _ => None,
        }
    }
}

/// The tokens of a text.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        let (kind, bytes) = next(rest, first);
        let (text, after) = rest.split_at(bytes);
        if kind == Kind::Other && text == ")" {
            depth = depth.saturating_sub(1);
        }
        tokens.push(Token { kind, text, depth });
        if kind == Kind::Other && text == "(" {
            depth += 1;
        }
        rest = after;
    }
    tokens
}

/// Kind and length of the first token.
fn next(text: &str, first: char) -> (Kind, usize) {
    let until = |end: &dyn Fn(char) -> bool| text.find(end).unwrap_or(text.len());
    match first {
        '\'' | '"' => {
            // Two quotes are one in the text: the next token would begin with it, so they are taken together.
            let kind = if first == '"' { Kind::Quoted } else { Kind::Literal };
            let mut end = 1;
            loop {
                let Some(at) = text[end..].find(first) else { return (kind, text.len()) };
                end += at + 1;
                if !text[end..].starts_with(first) {
                    return (kind, end);
                }
                end += 1;
            }
        }
        '-' if text.starts_with("--") => (Kind::Space, until(&|char| char == '\n')),
        _ if first.is_ascii_whitespace() => (Kind::Space, until(&|char| !char.is_ascii_whitespace())),
        _ if first.is_ascii_alphabetic() || first == '_' || !first.is_ascii() => {
            let inside = |char: char| char.is_ascii_alphanumeric() || "_$".contains(char) || !char.is_ascii();
            (Kind::Word, until(&|char| !inside(char)))
        }
        _ => (Kind::Other, first.len_utf8()),
    }
}

/// The statements of a text: each with the semicolon that ends it, and what is in front of it.
pub(crate) fn statements<'a, 't>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = &'t [Token<'a>]> {
    tokens.split_inclusive(|token| token.kind == Kind::Other && token.text == ";" && token.depth == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_literals_and_parentheses_are_told_apart() {
        let text = "-- ann's\nGRANT \"x\"\"y\" TO Ann;'it''s ann'(e'\\\\' ann);";
        let tokens = tokens(text);
        assert_eq!(tokens.iter().map(|token| token.text).collect::<String>(), text);
        let names: Vec<_> = tokens.iter().filter_map(|t| Some((t.name()?.into_owned(), t.depth))).collect();
        let name = |name: &str, depth| (name.to_owned(), depth);
        assert_eq!(
            names,
            [name("grant", 0), name("x\"y", 0), name("to", 0), name("ann", 0), name("e", 1), name("ann", 1)]
        );
        let literals: Vec<_> =
            tokens.iter().filter(|token| token.kind == Kind::Literal).map(|t| t.text).collect();
        assert_eq!(literals, ["'it''s ann'", "'\\\\'"]);
        assert_eq!(statements(&tokens).count(), 2);
    }

    #[test]
    fn what_never_ends_is_one_token() {
        for text in ["'a", "\"a", "--a"] {
            assert_eq!(tokens(text).len(), 1, "{text}");
        }
    }
}
