//! What an invocation answers, without a runtime around it.

use std::collections::HashMap;
use std::sync::LazyLock;

use lambda_runtime::{Context, Diagnostic};
use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Job {
    number: u32,
}

const FAR: u64 = u64::MAX / 2;

fn good(name: &str) -> Option<String> {
    static VARIABLES: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
        let store = format!("file://{}", std::env::temp_dir().join("pgark-lambda-tests").display());
        [("PGARK_DATABASE_URL", "postgresql://u:p@h/db".to_owned()), ("PGARK_STORE", store)].into()
    });
    VARIABLES.get(name).cloned()
}

const NEEDS: Needs = Needs { database: true, ..Needs::STORE };

async fn init(environment: fn(&str) -> Option<String>) -> Result<Function> {
    let outside = Outside { environment, ..Outside::real() };
    let log = Log::new(&outside);
    Function::init(NEEDS, outside, log).await
}

async fn invoke(
    event: Value,
    deadline_unix_ms: u64,
    job: impl AsyncFn(Job, &App, &CancellationToken) -> Result<u32>,
) -> Result<Value, Diagnostic> {
    let function = init(good).await.unwrap();
    let mut context = Context::default();
    context.deadline = deadline_unix_ms;
    function.invoke(LambdaEvent::new(event, context), &job).await.map_err(Diagnostic::from)
}

#[tokio::test]
async fn a_report_is_the_answer() {
    let answer = invoke(json!({ "number": 6 }), FAR, async |job, _, _| Ok(job.number * 7)).await;
    assert_eq!(answer, Ok(json!(42)));
}

#[tokio::test]
async fn an_error_answers_with_its_code() {
    let fail = async |_: Job, _: &App, _: &CancellationToken| {
        Err(Error::new(ErrorKind::StoreFull, "no room").on("s3://b").hint("Make room."))
    };
    let answer = invoke(json!({}), FAR, fail).await.unwrap_err();
    assert_eq!(answer.error_type, "store.full");
    assert_eq!(answer.error_message, "s3://b: no room. Make room.");
    let answer = invoke(json!({ "nubmer": 6 }), FAR, async |_, _, _| Ok(1)).await.unwrap_err();
    assert_eq!(answer.error_type, "usage.invalid");
    assert!(answer.error_message.contains("unknown field `nubmer`"), "{answer:?}");
}

#[tokio::test]
async fn a_panic_answers_as_a_fault_of_ours() {
    let answer = invoke(json!({}), FAR, async |_, _, _| panic!("at the disco")).await.unwrap_err();
    assert_eq!(answer.error_type, "internal");
    assert!(answer.error_message.starts_with("panicked: at the disco. "), "{answer:?}");
}

#[tokio::test]
async fn a_deadline_stops_the_job() {
    let wait = async |_: Job, _: &App, stop: &CancellationToken| {
        stop.cancelled().await;
        Err(Error::new(ErrorKind::Stopped, "was stopped"))
    };
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
    let answer = invoke(json!({}), now + 1000, wait).await.unwrap_err();
    assert_eq!(answer.error_type, "stopped");
    assert!(answer.error_message.contains("the time of the function was up"), "{answer:?}");
}

#[tokio::test]
async fn what_is_wrong_with_the_settings_is_found_before_the_first_event() {
    let error = init(|_| None).await.err().unwrap();
    let line = failure::line(&error);
    assert!(line.contains("PGARK_DATABASE_URL") && line.contains("PGARK_STORE"), "{line}");
    let wrong_url = |name: &str| match name {
        "PGARK_DATABASE_URL" => Some("postgresql://u:p@h/db?sslmode=perhaps".to_owned()),
        _ => good(name),
    };
    let error = init(wrong_url).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let secret = |name: &str| match name {
        "PGARK_DATABASE_URL" => None,
        "PGARK_DATABASE_SECRET" => Some("prod/db".to_owned()),
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        _ => good(name),
    };
    assert!(init(secret).await.is_ok());
    // A secret whose region nobody knows is found here, also that of one of several sources.
    let no_region = |name: &str| match name {
        "PGARK_SOURCES" => Some("[sources.crm]\ndatabase_secret = 'prod/crm'".to_owned()),
        "PGARK_DATABASE_URL" => None,
        _ => good(name),
    };
    let function = init(no_region).await;
    if std::env::var_os("AWS_REGION").is_none() && std::env::var_os("AWS_DEFAULT_REGION").is_none() {
        assert_eq!(function.err().unwrap().object(), Some("prod/crm"));
    }
}

#[tokio::test]
async fn a_function_of_one_database_refuses_another_source() {
    let work = async |_: Job, app: &App, _: &CancellationToken| {
        Ok(u32::from(app.settings.source.as_ref().is_some_and(|source| source.as_str() == "db")))
    };
    assert_eq!(invoke(json!({ "source": "db" }), FAR, work).await, Ok(json!(1)));
    let error = invoke(json!({ "source": "crm", "number": 1 }), FAR, work).await.unwrap_err();
    assert_eq!(error.error_type, "usage.invalid");
    assert!(error.error_message.contains("`source` is crm, and this function's is db"), "{error:?}");
}

#[test]
fn an_event_says_what_is_to_be_done_once() {
    let envelope = |kind: &str, detail: Value| json!({ "id": "7", "time": "2026-11-21T02:00:00Z", "source": "aws.events", "detail-type": kind, "detail": detail });
    for (event, slot, source) in [
        (Value::Null, None, None),
        (json!({}), None, None),
        (json!({ "slot": "2026-11-21T02:00:00Z" }), Some("2026-11-21T02:00:00Z"), None),
        (json!({ "number": 1, "source": "shop" }), None, Some("shop")),
        (json!({ "slot": null, "source": null }), None, None),
        (envelope("Scheduled Event", json!({})), Some("2026-11-21T02:00:00Z"), None),
        (envelope("Scheduled Event", json!("{}")), Some("2026-11-21T02:00:00Z"), None),
        (
            envelope("Scheduled Event", json!({ "slot": "mine", "source": "shop" })),
            Some("mine"),
            Some("shop"),
        ),
        (envelope("Deployed", json!({ "state": "done" })), Some("7"), None),
    ] {
        let parsed: Event<Job> = event::parse(event.clone()).unwrap();
        let found = (parsed.slot.as_deref(), parsed.source.as_ref().map(SourceName::as_str));
        assert_eq!(found, (slot, source), "{event}");
    }
    for (event, part) in [
        (json!({ "slot": 7 }), "`slot`: invalid type"),
        (json!({ "source": "No Name" }), "`source`: is no name for a source"),
        (json!({ "slots": "x" }), "unknown field `slots`"),
    ] {
        let error = arguments::<Job>(event).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.hint_text().unwrap().contains("number, source, slot"), "{error:?}");
    }
}
