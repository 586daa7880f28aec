//! Messages as Slack's incoming webhooks take them, and Mattermost, Discord (with `/slack`) and others besides.
//!
//! Only `text` is used, which all of them know ("Sending messages using incoming webhooks", Slack's documentation).

use bytes::Bytes;
use serde_json::json;

use super::notice::Notice;

/// The body of the request.
pub(super) fn body(notice: &Notice) -> Bytes {
    let mark = if notice.event.is_bad() { ":rotating_light:" } else { ":white_check_mark:" };
    let text = notice.text();
    let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let rest = escape(rest.trim()).replace("```", "'''");
    let text = format!("{mark} *{}*\n```{rest}```", escape(title));
    Bytes::from(json!({ "text": text }).to_string())
}

/// "Escaping text" in "Formatting text with mrkdwn": only these three.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
