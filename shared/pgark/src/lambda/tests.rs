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

fn outside(environment: fn(&str) -> Option<String>) -> Outside {
    Outside { environment, ..Outside::real() }
}

fn good(name: &str) -> Option<String> {
    static VARIABLES: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
        let store = format!("file://{}", std::env::temp_dir().join("pgark-lambda-tests").display());
        [("PGARK_DATABASE_URL", "postgresql://u:p@h/db".to_owned()), ("PGARK_STORE", store)].into()
    });
    VARIABLES.get(name).cloned()
}

const NEEDS: Needs = Needs {
    database: true,
    store: true,
    encryption: false,
    signing: false,
    identity: false,
    restore_test: false,
};

async fn invoke(
    event: Value,
    deadline_unix_ms: u64,
    job: impl AsyncFn(Job, &App, &CancellationToken) -> Result<u32>,
) -> Result<Value, Diagnostic> {
    let function = Function::init(NEEDS, outside(good)).await.unwrap();
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
    let error = Function::init(NEEDS, outside(|_| None)).await.err().unwrap();
    let line = failure::line(&error);
    assert!(line.contains("PGARK_DATABASE_URL") && line.contains("PGARK_STORE"), "{line}");
    let wrong_url = |name: &str| match name {
        "PGARK_DATABASE_URL" => Some("postgresql://u:p@h/db?sslmode=perhaps".to_owned()),
        _ => good(name),
    };
    let error = Function::init(NEEDS, outside(wrong_url)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let secret = |name: &str| match name {
        "PGARK_DATABASE_URL" => None,
        "PGARK_DATABASE_SECRET" => Some("prod/db".to_owned()),
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        _ => good(name),
    };
    assert!(Function::init(NEEDS, outside(secret)).await.unwrap().secrets.is_some());
}
