use super::*;
use crate::restore::entry_for_tests;
use crate::toc::Section;

fn map(pairs: &[&str]) -> RoleMap {
    RoleMap::parse(&pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn roles_are_renamed_and_nothing_else() {
    let map = map(&["ann=Zoë", "bob=ann"]);
    for (sql, expected) in [
        ("GRANT SELECT ON TABLE ann.ann TO ann;\n", "GRANT SELECT ON TABLE ann.ann TO \"Zoë\";\n"),
        (
            "GRANT SELECT(ann),UPDATE(ann) ON TABLE s.t TO bob;",
            "GRANT SELECT(ann),UPDATE(ann) ON TABLE s.t TO ann;",
        ),
        (
            "SET SESSION AUTHORIZATION bob;\nGRANT ALL ON FUNCTION ann.ann(ann ann) TO ann WITH GRANT OPTION;\n\
             RESET SESSION AUTHORIZATION;\n",
            "SET SESSION AUTHORIZATION ann;\nGRANT ALL ON FUNCTION ann.ann(ann ann) TO \"Zoë\" WITH GRANT OPTION;\n\
             RESET SESSION AUTHORIZATION;\n",
        ),
        ("REVOKE ALL ON SCHEMA ann FROM PUBLIC;", "REVOKE ALL ON SCHEMA ann FROM PUBLIC;"),
        ("REVOKE ALL ON TABLE s.\"TO\" FROM \"ann\";", "REVOKE ALL ON TABLE s.\"TO\" FROM \"Zoë\";"),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE ann IN SCHEMA ann GRANT SELECT ON TABLES  TO bob;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"Zoë\" IN SCHEMA ann GRANT SELECT ON TABLES  TO ann;",
        ),
        (
            "CREATE POLICY ann ON ann.ann AS RESTRICTIVE FOR SELECT TO bob, carl, ann USING ((ann = 'ann'::text)) WITH CHECK ((bob > 1));",
            "CREATE POLICY ann ON ann.ann AS RESTRICTIVE FOR SELECT TO ann, carl, \"Zoë\" USING ((ann = 'ann'::text)) WITH CHECK ((bob > 1));",
        ),
        (
            "CREATE POLICY \"TO\" ON ann USING ((a IN (SELECT ann FROM bob)));",
            "CREATE POLICY \"TO\" ON ann USING ((a IN (SELECT ann FROM bob)));",
        ),
        ("DROP POLICY ann ON ann;", "DROP POLICY ann ON ann;"),
        (
            "CREATE USER MAPPING FOR ann SERVER ann OPTIONS (\n    ann 'ann'\n);",
            "CREATE USER MAPPING FOR \"Zoë\" SERVER ann OPTIONS (\n    ann 'ann'\n);",
        ),
        ("DROP USER MAPPING FOR bob SERVER bob;", "DROP USER MAPPING FOR ann SERVER bob;"),
        (
            "ALTER ROLE ann IN DATABASE ann SET ann.ann TO 'ann';",
            "ALTER ROLE \"Zoë\" IN DATABASE ann SET ann.ann TO 'ann';",
        ),
        ("ALTER DATABASE ann SET ann.ann TO 'ann';", "ALTER DATABASE ann SET ann.ann TO 'ann';"),
        (
            "-- ann\nGRANT ann TO bob WITH ADMIN OPTION, INHERIT FALSE GRANTED BY carl;",
            "-- ann\nGRANT \"Zoë\" TO ann WITH ADMIN OPTION, INHERIT FALSE GRANTED BY carl;",
        ),
        (
            "CREATE TABLESPACE ann OWNER ann LOCATION '/ann';",
            "CREATE TABLESPACE ann OWNER \"Zoë\" LOCATION '/ann';",
        ),
        ("ALTER TABLESPACE ann SET (a=1);", "ALTER TABLESPACE ann SET (a=1);"),
        ("GRANT ALL ON TABLESPACE ann TO ann;", "GRANT ALL ON TABLESPACE ann TO \"Zoë\";"),
        ("COMMENT ON TABLESPACE ann IS 'ann';", "COMMENT ON TABLESPACE ann IS 'ann';"),
        ("COMMENT ON ROLE ann IS 'ann';", "COMMENT ON ROLE \"Zoë\" IS 'ann';"),
        ("SECURITY LABEL FOR ann ON ROLE ann IS 'ann';", "SECURITY LABEL FOR ann ON ROLE \"Zoë\" IS 'ann';"),
        ("ALTER ROLE ALL SET a TO 'ann';", "ALTER ROLE ALL SET a TO 'ann';"),
        ("GRANT ann TO granted GRANTED BY by;", "GRANT \"Zoë\" TO granted GRANTED BY by;"),
        ("GRANT granted TO by;", "GRANT granted TO by;"),
        ("GRANT SELECT ON TABLE revoke TO bob;", "GRANT SELECT ON TABLE revoke TO ann;"),
        ("", ""),
    ] {
        assert_eq!(map.rename_in(sql).unwrap(), expected, "{sql}");
    }
}

#[test]
fn a_statement_of_an_unknown_form_is_refused() {
    for sql in [
        "DROP OWNED BY ann;",
        "GRANT SELECT ON TABLE t TO ann, bob;",
        "GRANT SELECT ON TABLE t;",
        "SET SESSION AUTHORIZATION;",
    ] {
        assert!(map(&["ann=bob"]).rename_in(sql).is_err(), "{sql}");
    }
}

#[test]
fn maps_are_pairs_of_names() {
    assert_eq!(map(&["\"a=\"\"b\"=c=d"]), RoleMap([("a=\"b".to_owned(), "c=d".to_owned())].into()));
    assert_eq!(map(&["Ann=\"Bob\""]), map(&["Ann=Bob"]));
    for wrong in ["ann", "=bob", "ann=", "\"ann=bob", "an\"n=bob", "\"ann\"x=bob", "ann=\"b\"c"] {
        assert!(RoleMap::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
    }
    let twice = ["ann=bob".to_owned(), "ann=carl".to_owned()];
    assert!(RoleMap::parse(&twice).unwrap_err().message.contains("both bob and carl"));
}

#[test]
fn entries_are_renamed_by_kind_and_an_unknown_role_is_named() {
    let mut entries: Vec<Entry> = ["TABLE", "ACL", "FUNCTION"]
        .into_iter()
        .map(|desc| Entry {
            owner: Some("ann".to_owned()),
            definition: Some("GRANT SELECT ON TABLE ann TO bob;\n".to_owned()),
            ..entry_for_tests(1, desc, "ann", Section::PreData, &[])
        })
        .collect();
    let map = map(&["ann=x", "bob=y"]);
    map.check_known(&entries, None).unwrap();
    map.rename(&mut entries).unwrap();
    let definitions: Vec<_> = entries.iter().map(|entry| entry.definition.as_deref().unwrap()).collect();
    let before = "GRANT SELECT ON TABLE ann TO bob;\n";
    assert_eq!(definitions, [before, "GRANT SELECT ON TABLE ann TO y;\n", before]);
    assert!(entries.iter().all(|entry| entry.owner.as_deref() == Some("x") && entry.tag == "ann"));
    let error = map.check_known(&entries, Some("CREATE ROLE bob;")).unwrap_err();
    assert!(
        error.message.contains("no role ann,") && error.hint.unwrap().contains("bob, x, y"),
        "{}",
        error.message
    );
}
