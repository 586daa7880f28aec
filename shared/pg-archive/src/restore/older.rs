//! An archive of a newer server on an older one: what can be said in the older one's words is, and how it differs is
//! named. Pure. What it does not know at all is for the server to refuse.

use std::fmt::Write as _;

use crate::toc::Entry;
use crate::tokens::{Token, statements, tokens};

/// The version from which tables have MAINTAIN (release notes of 17).
const MAINTAIN_SINCE: u32 = 170_000;
/// The version from which subscriptions stream in parallel (release notes of 16).
const PARALLEL_STREAMING_SINCE: u32 = 160_000;

/// What a server takes in place of an entry's definition, and how that differs; nothing if it takes it as it is. A version
/// of 0 is not known.
pub(super) fn in_its_words(version_num: u32, entry: &Entry) -> Option<(String, &'static str)> {
    let definition = entry.definition.as_deref().filter(|_| version_num > 0)?;
    match entry.desc.as_str() {
        "ACL" | "DEFAULT ACL" if version_num < MAINTAIN_SINCE => {
            let text = without_privilege(definition, "MAINTAIN")?;
            Some((text, "without the privilege MAINTAIN"))
        }
        "SUBSCRIPTION" if version_num < PARALLEL_STREAMING_SINCE => {
            let (before, options) = definition.rsplit_once(" WITH (")?;
            let options = options.replacen("streaming = parallel", "streaming = on", 1);
            let text = format!("{before} WITH ({options}");
            (text != definition).then_some((text, "with streaming = on, since there is no parallel"))
        }
        _ => None,
    }
}

/// GRANT and REVOKE statements without one of their privileges; nothing if none names it.
fn without_privilege(sql: &str, privilege: &str) -> Option<String> {
    let all = tokens(sql);
    if !all.iter().any(|token| token.is(privilege)) {
        return None;
    }
    let text = |tokens: &[Token<'_>]| tokens.iter().map(|token| token.text).collect::<String>();
    let mut changed = String::new();
    let mut any = false;
    for statement in statements(&all) {
        let verb = statement.iter().position(|token| token.is("GRANT") || token.is("REVOKE"));
        let on = statement.iter().position(|token| token.is("ON"));
        let (Some(verb), Some(on)) = (verb, on.filter(|on| verb < Some(*on))) else {
            changed.push_str(&text(statement));
            continue;
        };
        let list = text(&statement[verb + 1..on]);
        let kept: Vec<&str> = list.split(',').map(str::trim).filter(|one| *one != privilege).collect();
        any |= kept.len() < list.split(',').count();
        if !kept.is_empty() {
            let (before, after) = (text(&statement[..=verb]), text(&statement[on..]));
            let _ = write!(changed, "{before} {} {after}", kept.join(","));
        }
    }
    any.then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::entry_for_tests;
    use crate::toc::Section;

    #[test]
    fn an_older_server_gets_what_it_knows() {
        let acl = "GRANT SELECT,MAINTAIN ON TABLE s.\"a ON MAINTAIN\" TO ann;\nSET SESSION AUTHORIZATION ann;\n\
                   GRANT MAINTAIN ON TABLE s.t TO bob;\nRESET SESSION AUTHORIZATION;\n";
        let less = "GRANT SELECT ON TABLE s.\"a ON MAINTAIN\" TO ann;\nSET SESSION AUTHORIZATION ann;\n\
                    RESET SESSION AUTHORIZATION;";
        let defaults = "ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT MAINTAIN,UPDATE ON TABLES  TO b;\n";
        for (desc, version_num, text, expected) in [
            ("ACL", 160_000, acl, Some(less)),
            ("ACL", 170_000, acl, None),
            ("ACL", 0, acl, None),
            ("ACL", 130_000, "GRANT SELECT ON TABLE s.\"MAINTAIN\" TO maintain2;\n", None),
            (
                "DEFAULT ACL",
                150_000,
                defaults,
                Some("ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT UPDATE ON TABLES  TO b;"),
            ),
            (
                "SUBSCRIPTION",
                150_000,
                "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false, streaming = parallel);\n",
                Some(
                    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false, streaming = on);",
                ),
            ),
            ("TABLE", 150_000, "CREATE TABLE maintain (i int);\n", None),
        ] {
            let entry = Entry {
                definition: Some(text.to_owned()),
                ..entry_for_tests(1, desc, "t", Section::None, &[])
            };
            let found = in_its_words(version_num, &entry).map(|(text, _)| text.trim_end().to_owned());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
