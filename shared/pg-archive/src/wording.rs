//! Whether two texts of a definition say the same in other words.
//!
//! A server words some definitions differently once it has read its own text (`ruleutils.c` and the parser):
//! `(ARRAY['a'::varchar, 'b'::varchar])::text[]` becomes `ARRAY[('a'::varchar)::text, ('b'::varchar)::text]`, and
//! `((a AND b) AND c)` becomes `(a AND b AND c)`. What changes is where parentheses and casts stand, and the order of
//! columns that a child table has from its parents. So parentheses, casts and order are what is left out here; no name,
//! constant, operator or keyword is. Two texts with the same content may still mean different things: whoever needs more
//! has the server read both. (That nothing else changes was measured: PostgreSQL's regression database, 1,805 entries, and
//! the definitions of `tests/fixtures/wall` on 13 to 18.)

use crate::tokens::{Kind, Token, tokens};

/// Whether two texts have the same names, constants, operators and keywords, each as often.
pub fn same_content(one: &str, other: &str) -> bool {
    content(one) == content(other)
}

/// The tokens but for space, parentheses and casts, sorted.
fn content(text: &str) -> Vec<&str> {
    let tokens: Vec<Token<'_>> = tokens(text).into_iter().filter(|token| token.kind != Kind::Space).collect();
    let mut content = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.text == ":" && is(&tokens, at + 1, ":") {
            at = after_type(&tokens, at + 2);
        } else {
            if token.text != "(" && token.text != ")" {
                content.push(token.text);
            }
            at += 1;
        }
    }
    content.sort_unstable();
    content
}

fn is(tokens: &[Token<'_>], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// Where the name of a type ends, as `format_type` writes it: `numeric(5,2)`, `timestamp(3) with time zone`, `s."T"[]`.
fn after_type(tokens: &[Token<'_>], mut at: usize) -> usize {
    at += 1;
    while is(tokens, at, ".") {
        at += 2;
    }
    loop {
        if is(tokens, at, "varying") || is(tokens, at, "precision") {
            at += 1;
        } else if (is(tokens, at, "with") || is(tokens, at, "without")) && is(tokens, at + 1, "time") {
            at += 3;
        } else if is(tokens, at, "[") && is(tokens, at + 1, "]") {
            at += 2;
        } else if let Some(end) = after_modifier(tokens, at) {
            at = end;
        } else {
            return at;
        }
    }
}

/// Behind `(10,2)`.
fn after_modifier(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let inside = tokens.get(at).filter(|token| token.text == "(").and(tokens.get(at + 1..))?;
    let digits = |token: &Token<'_>| {
        token.text == "," || token.text == "-" || token.text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let length = inside.iter().take_while(|token| digits(token)).count();
    (length > 0 && inside.get(length)?.text == ")").then_some(at + length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_and_casts_are_wording() {
        for (one, other) in [
            (
                "CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
                "CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
            ),
            ("(((a >= 1) AND (a <= 5)) AND (b))", "((a >= 1) AND (a <= 5) AND (b))"),
            ("'x'::character varying(10)", "'x'"),
            ("n::numeric(5,2)[] AND t", "n AND t"),
            ("now()::timestamp(3) with time zone AT TIME ZONE 'UTC'", "now() AT TIME ZONE 'UTC'"),
            ("'x'::\"S\".\"T\"[]", "'x'::\"S\".\"T\""),
            (
                "CREATE TABLE t (\n    b text,\n    a integer\n)",
                "CREATE TABLE t (\n    a integer,\n    b text\n)",
            ),
        ] {
            assert!(same_content(one, other), "{one}\n{other}");
        }
    }

    #[test]
    fn anything_else_is_content() {
        for (one, other) in [
            ("CHECK (a > 1)", "CHECK (a > 2)"),
            ("a AND a", "a"),
            ("a integer NOT NULL", "a integer"),
            ("USING (a) WITH CHECK (a)", "USING (a)"),
            ("SELECT a FROM t WHERE b", "SELECT a FROM t"),
            ("INDEX i ON t (a) WHERE b", "INDEX i ON t (a)"),
            ("a::integer", "a::integer WITH CHECK (b)"),
            ("'x'::text", "'y'::text"),
            ("f(1)", "f(1, 2)"),
        ] {
            assert!(!same_content(one, other), "{one}\n{other}");
        }
    }
}
