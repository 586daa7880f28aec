//! IAM's decision over statements as a role has them, and which right each request of a function takes.
//!
//! "Policy evaluation logic" (IAM User Guide): what no statement allows is denied, and a denial wins. Conditions are those
//! that template.yaml uses; an unknown one is an error, not a guess.

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::Result;
use crate::template::list;

/// A right that a request takes, and on what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) resource: String,
    /// The service in whose name the request comes, if it is not the function itself.
    pub(crate) via: Option<String>,
}

impl Call {
    pub(crate) fn new(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), via: None }
    }
}

/// The numbers of the statements that allow a call; none if it is denied.
pub(crate) fn allowed_by(statements: &[Value], call: &Call) -> Result<Vec<usize>> {
    let mut allowing = Vec::new();
    for (number, statement) in statements.iter().enumerate() {
        if !applies(statement, call).with_context(|| statement.to_string())? {
            continue;
        }
        match statement["Effect"].as_str() {
            Some("Allow") => allowing.push(number),
            Some("Deny") => return Ok(Vec::new()),
            other => bail!("an effect {other:?}"),
        }
    }
    Ok(allowing)
}

/// The actions and resources of a statement that a call matches, as they are written there.
pub(crate) fn patterns<'a>(statement: &'a Value, call: &Call) -> Vec<&'a str> {
    let actions = list(&statement["Action"]).into_iter();
    let actions = actions.filter(|pattern| matches(&pattern.to_lowercase(), &call.action.to_lowercase()));
    let resources = list(&statement["Resource"]).into_iter();
    actions.chain(resources.filter(|pattern| matches(pattern, &call.resource))).collect()
}

fn applies(statement: &Value, call: &Call) -> Result<bool> {
    let action = list(&statement["Action"])
        .iter()
        .any(|pattern| matches(&pattern.to_lowercase(), &call.action.to_lowercase()));
    let resource = list(&statement["Resource"]).iter().any(|pattern| matches(pattern, &call.resource));
    Ok(action && resource && condition_holds(&statement["Condition"], call)?)
}

fn condition_holds(condition: &Value, call: &Call) -> Result<bool> {
    let mut holds = true;
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        for (key, expected) in keys.as_object().into_iter().flatten() {
            holds &= match (operator.as_str(), key.as_str()) {
                ("StringEquals", "kms:ViaService") => call.via.as_deref() == expected.as_str(),
                // There is one key, behind S3; `rules` says that it has the alias which roles name.
                ("ForAnyValue:StringEquals", "kms:ResourceAliases") => expected == "alias/pgark-storage",
                // The functions have one namespace, the stack's name, and `drift` sees to that.
                ("StringEquals", "cloudwatch:namespace") => expected == "pgark",
                ("ArnLike", "lambda:SourceFunctionArn") => call.via.is_none(),
                other => bail!("nobody knows the condition {other:?}"),
            };
        }
    }
    Ok(holds)
}

/// `*` stands for anything, also for slashes, and `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..])),
        '?' => text.chars().next().is_some_and(|one| matches(rest, &text[one.len_utf8()..])),
        literal => text.strip_prefix(literal).is_some_and(|text| matches(rest, text)),
    }
}

mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_match_as_iam_says() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a/*", "a/b/c", true),
            ("a/*", "a", false),
            ("*/manifest.json", "daily/shop/1/manifest.json", true),
            ("*/manifest.json", "daily/shop/1/manifest.json.minisig", false),
            ("runs/*.backup.*", "runs/shop/2026-11/1.backup.end.json", true),
            ("runs/*.backup.*", "runs/shop/2026-11/1.prune.end.json", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_denied_and_a_denial_wins() {
        let statements = [
            json!({ "Effect": "Allow", "Action": ["s3:Get*", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*" }),
            json!({ "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/yearly/*" }),
            json!({ "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                    "Condition": { "StringEquals": { "kms:ViaService": "s3.us-east-1.amazonaws.com" },
                                   "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/pgark-storage" } } }),
            json!({ "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                    "Condition": { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/another" } } }),
        ];
        let allowed = |call: &Call| allowed_by(&statements, call).unwrap();
        assert_eq!(allowed(&Call::new("s3:GetObject", "arn:aws:s3:::b/daily/x")), [0]);
        assert_eq!(allowed(&Call::new("s3:getobject", "arn:aws:s3:::b/daily/x")), [0]);
        assert!(allowed(&Call::new("s3:GetObject", "arn:aws:s3:::b/yearly/x")).is_empty());
        assert!(allowed(&Call::new("s3:DeleteObject", "arn:aws:s3:::b/daily/x")).is_empty());
        assert!(allowed(&Call::new("s3:GetObject", "arn:aws:s3:::c/daily/x")).is_empty());
        let decrypt = Call::new("kms:Decrypt", "key");
        assert!(allowed(&decrypt).is_empty());
        assert_eq!(allowed(&Call { via: Some("s3.us-east-1.amazonaws.com".into()), ..decrypt }), [2]);
        let odd = [
            json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": { "Bool": { "x": "y" } } }),
        ];
        assert!(allowed_by(&odd, &Call::new("a", "b")).is_err());
    }
}
