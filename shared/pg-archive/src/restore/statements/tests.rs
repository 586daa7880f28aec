//! The statements, each in the form that `pg_restore` gives it.

use super::*;
use crate::restore::entry_for_tests;
use crate::restore::options::LeaveOut;
use crate::toc::Section;

fn entry(desc: &str, tag: &str, drop: &str) -> Entry {
    let mut entry = entry_for_tests(1, desc, tag, Section::PreData, &[]);
    entry.schema = Some("app".to_owned());
    entry.owner = Some("Bob".to_owned());
    entry.drop_statement = Some(drop.to_owned());
    entry
}

#[test]
fn each_kind_is_given_to_its_owner_in_its_own_way() {
    for (desc, tag, drop, expected) in [
        ("TABLE", "Orders", "DROP TABLE x;\n", Some("ALTER TABLE app.\"Orders\" OWNER TO \"Bob\";\n")),
        ("VIEW", "v", "DROP VIEW x;\n", Some("ALTER TABLE app.v OWNER TO \"Bob\";\n")),
        ("DOMAIN", "d", "DROP DOMAIN x;\n", Some("ALTER DOMAIN app.d OWNER TO \"Bob\";\n")),
        ("BLOB", "16400", "SELECT 1;\n", Some("ALTER LARGE OBJECT 16400 OWNER TO \"Bob\";\n")),
        (
            "FUNCTION",
            "f(integer)",
            "DROP FUNCTION app.f(a integer);\n",
            Some("ALTER FUNCTION app.f(a integer) OWNER TO \"Bob\";\n"),
        ),
        ("INDEX", "i", "DROP INDEX app.i;\n", None),
        ("TABLE", "t", "", None),
        ("COMMENT", "TABLE t", "", None),
    ] {
        assert_eq!(alter_owner(&entry(desc, tag, drop)).unwrap().as_deref(), expected, "{desc} {tag}");
    }
    let error = alter_owner(&entry("FLUX CAPACITOR", "x", "DROP FLUX CAPACITOR x;\n")).unwrap_err();
    assert_eq!(error.object.as_deref(), Some("FLUX CAPACITOR app.x"));
}

#[test]
fn owners_are_left_out_if_asked() {
    let leave_out = LeaveOut { owners: true, ..LeaveOut::default() };
    let options = RestoreOptions { leave_out, ..RestoreOptions::default() };
    assert_eq!(create(&entry("TABLE", "t", "DROP TABLE x;\n"), &options).unwrap(), "SELECT 1;\n");
    assert_eq!(
        create(&entry("SCHEMA", "S", "DROP SCHEMA x;\n"), &options).unwrap(),
        "CREATE SCHEMA \"S\";\n"
    );
}

#[test]
fn drop_statements_get_if_exists_where_the_grammar_has_it() {
    for (desc, drop, expected) in [
        ("TABLE", "DROP TABLE app.t;\n", "DROP TABLE IF EXISTS app.t;\n"),
        ("SCHEMA", "-- *not* dropping schema\n", "-- *not* dropping schema\n"),
        (
            "FK CONSTRAINT",
            "ALTER TABLE ONLY app.t DROP CONSTRAINT c;\n",
            "ALTER TABLE IF EXISTS ONLY app.t DROP CONSTRAINT IF EXISTS c;\n",
        ),
        (
            "DEFAULT",
            "ALTER TABLE app.t ALTER COLUMN a DROP DEFAULT;\n",
            "ALTER TABLE IF EXISTS app.t ALTER COLUMN a DROP DEFAULT;\n",
        ),
        (
            "RULE",
            "CREATE OR REPLACE VIEW app.v AS\nSELECT 1;\n",
            "CREATE OR REPLACE VIEW app.v AS\nSELECT 1;\n",
        ),
        ("TRIGGER", "DROP TRIGGER g ON app.t;\n", "DROP TRIGGER IF EXISTS g ON app.t;\n"),
    ] {
        assert_eq!(drop_if_exists(&entry(desc, "x", drop)).as_deref(), Some(expected));
    }
    assert_eq!(drop_if_exists(&entry("COMMENT", "x", "")), None);
    let mut blob = entry("BLOB", "16400", "SELECT pg_catalog.lo_unlink('16400');\n");
    blob.address.oid = 16_400;
    assert!(drop_if_exists(&blob).unwrap().contains("WHERE oid = '16400'"));
}

#[test]
fn a_session_is_switched_only_where_it_must_be() {
    let (settings, options) = (Settings::default(), RestoreOptions::default());
    let mut state = SessionState::default();
    let mut table = entry("TABLE", "t", "");
    table.tablespace = Some(String::new());
    table.table_access_method = Some("heap".to_owned());
    assert_eq!(
        state.switch_to(&table, &settings, &options),
        "SET default_tablespace = '';\nSET default_table_access_method = heap;\n"
    );
    assert_eq!(state.switch_to(&table, &settings, &options), "");
    assert_eq!(state.switch_to(&entry("FUNCTION", "f()", ""), &settings, &options), "");
    table.tablespace = Some("Fast".to_owned());
    assert_eq!(state.switch_to(&table, &settings, &options), "SET default_tablespace = \"Fast\";\n");

    let old = Settings { search_path: None, ..settings };
    assert_eq!(state.switch_to(&table, &old, &options), "SET search_path = app, pg_catalog;\n");
}

#[test]
fn a_materialized_view_shows_what_its_owner_may_see() {
    let sql = create(&entry("MATERIALIZED VIEW DATA", "m", ""), &RestoreOptions::default()).unwrap();
    assert_eq!(sql, "SET LOCAL row_security = on;\nSELECT 1;\n");
}

#[test]
fn a_subscription_is_parted_from_its_slot_before_it_is_dropped() {
    let sql = drop_if_exists(&entry("SUBSCRIPTION", "S'x", "DROP SUBSCRIPTION \"S'x\";\n")).unwrap();
    let order =
        ["IF EXISTS (SELECT", "DISABLE", "SET (slot_name = NONE)", "DROP SUBSCRIPTION IF EXISTS \"S'x\";"];
    let places: Vec<_> =
        order.iter().map(|part| sql.find(part).unwrap_or_else(|| panic!("{part} in {sql}"))).collect();
    assert!(places.is_sorted(), "{sql}");
    // The name stands in literals within a literal.
    assert!(sql.contains("s.subname = ''S''''x''") && sql.contains("ALTER SUBSCRIPTION \"S''x\""), "{sql}");
}
