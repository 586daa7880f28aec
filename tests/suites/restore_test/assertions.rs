//! What users know of their data, as SQL.

use pgark_tests::Postgres;
use serde_json::json;

use crate::world::World;
use crate::{Result, binaries};

#[tokio::test(flavor = "multi_thread")]
async fn each_assertion_must_return_its_value() -> Result {
    let source = Postgres::shared(17)?.create_database("assertions")?;
    source.query("create table t as select i, 'n' || i as name from generate_series(1, 3) i")?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    std::fs::write(
        world.file("pgark.toml"),
        r#"
[[restore_test.assertions]]
name = "rows are there"
sql = "select count(*) > 0 from public.t"

[[restore_test.assertions]]
name = "three"
sql = "select count(*) from public.t;"
expect = 3

[[restore_test.assertions]]
name = "first"
sql = "select name from public.t where i = 1"
expect = "n1"

[[restore_test.assertions]]
name = "none is negative"
sql = "select exists (select from public.t where i < 0)"
expect = false
"#,
    )?;
    let bin = binaries(17)?;
    let settings = [("PGARK_POSTGRES_BIN", bin.as_str())];
    let report = world.done(&["restore-test"], &settings)?;
    let check = &report["checks"][4];
    assert_eq!(
        (&check["name"], &check["result"], &check["checked"]),
        (&json!("assertions"), &json!("passed"), &json!(4))
    );

    for (sql, expect, message) in [
        ("select count(*) from public.t", "4", r#"returned "3", and must return "4""#),
        ("select null", "true", r#"returned NULL, and must return "t""#),
        ("select i from public.t", "1", "returned 3 rows, and must return one"),
        ("select 1 where false", "1", "returned 0 rows, and must return one"),
        ("select 1, 2", "1", "returned 2 columns, and must return one"),
        ("select nonsense", "1", "cannot be run: column \"nonsense\" does not exist (SQLSTATE 42703)"),
        (
            "delete from public.t returning 1",
            "1",
            "cannot be run: cannot execute DELETE in a read-only transaction (SQLSTATE 25006)",
        ),
    ] {
        let assertion =
            format!("[[restore_test.assertions]]\nname = \"wrong\"\nsql = '''{sql}'''\nexpect = {expect}\n");
        std::fs::write(world.file("pgark.toml"), assertion)?;
        let (code, report) = world.run(&["restore-test"], &settings)?;
        let expected =
            json!([{ "code": "assertion.failed", "object": "assertion wrong", "message": message }]);
        assert_eq!((code, &report["checks"][4]["differences"]), (3, &expected), "{sql}: {report:#}");
    }
    Ok(())
}

#[test]
fn assertions_that_make_no_sense_are_settings_that_are_wrong() -> Result {
    let world = World::new()?;
    for (text, part) in [
        ("[[restore_test.assertions]]\nname = 'a'\n", "missing field `sql`"),
        (
            "[[restore_test.assertions]]\nname = 'a'\nsql = 'select 1'\nexpects = 1\n",
            "unknown field `expects`",
        ),
        ("[restore_test]\nassertions = []\nother = 1\n", "unknown field `other`"),
        ("[[restore_test.assertions]]\nname = ' '\nsql = 'select 1'\n", "assertion 1 has no name or no sql"),
        (
            "[[restore_test.assertions]]\nname = 'a'\nsql = 'x'\n[[restore_test.assertions]]\nname = 'a'\nsql = 'y'\n",
            "two assertions are called \"a\"",
        ),
    ] {
        std::fs::write(world.file("pgark.toml"), text)?;
        let (code, report) = world.run(&["restore-test"], &[])?;
        assert_eq!((code, &report["error"]["code"]), (2, &json!("settings.invalid")), "{text}");
        let message = report["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{text}: {message}");
    }
    Ok(())
}
