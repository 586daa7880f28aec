use super::*;

#[test]
fn what_a_context_tells_without_quoting() {
    let row = |text: &str| Context::of(text).row;
    assert_eq!(row("COPY t, line 7, column c: \"secret\"").as_deref(), Some("COPY t, line 7, column c"));
    assert_eq!(row("COPY t, line 7, column c: null input").as_deref(), Some("COPY t, line 7, column c"));
    assert_eq!(row("COPY t, line 7: \"1\tsecret\"").as_deref(), Some("COPY t, line 7"));
    assert_eq!(row("COPY t, line 7").as_deref(), Some("COPY t, line 7"));
    // Another language, or no form that is known.
    assert_eq!(row("COPY t, Zeile 7, Spalte c: »secret«"), None);
    assert_eq!(row("COPY t, line 7 secret"), None);
    assert_eq!(row("COPY t, line 7, column secret"), None);
    // What a statement quotes is no line of the server's.
    assert_eq!(row("SQL statement \"select 1\nCOPY secret, line 1\""), None);

    let function = "PL/pgSQL function public.f(text) line 3 at RAISE";
    let raised = Context::of(&format!("{function}\nCOPY t, line 1: \"secret\""));
    assert_eq!((raised.origin, raised.row.as_deref()), (Origin::Function, Some("COPY t, line 1")));
    assert_eq!(raised.function, Some(format!("in {function}")));
    for (text, origin) in [
        ("", Origin::Server),
        ("parallel worker", Origin::Server),
        ("while checking uniqueness of tuple (0,1) in relation \"t\"", Origin::Server),
        ("COPY t, line 1: \"secret\"", Origin::Copy),
        ("SQL function \"f\" during inlining\nCOPY t, line 1: \"secret\"", Origin::FunctionText),
        ("SQL function \"f\" statement 1", Origin::Function),
        ("PL/pgSQL function f() line 1 at RETURN", Origin::FunctionText),
        ("PL/pgSQL function f() line 1 at EXECUTE", Origin::Function),
        ("SQL statement \"select 'secret'\"\nPL/pgSQL function f() line 1 at EXECUTE", Origin::Function),
        ("PL/Perl function \"f\"", Origin::Function),
        ("PL/pgSQL-Funktion f() Zeile 1 bei RAISE", Origin::Function),
    ] {
        assert_eq!(Context::of(text).origin, origin, "{text}");
    }
}

#[test]
fn what_statements_do_with_rows() {
    for (sql, rows) in [
        (
            "SET search_path = '';\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE t (\n    a integer\n);\n",
            Rows::Untouched,
        ),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'select 1;\nselect 2';\n", Rows::Untouched),
        ("CREATE VIEW v AS\n SELECT 1;\n", Rows::Untouched),
        ("CREATE MATERIALIZED VIEW v AS\n SELECT 1\n  WITH NO DATA;", Rows::Untouched),
        ("CREATE MATERIALIZED VIEW v AS\n SELECT 1;", Rows::Read),
        ("CREATE UNIQUE INDEX i ON t USING btree (a);", Rows::Indexed),
        ("ALTER TABLE ONLY t\n    ADD CONSTRAINT p PRIMARY KEY (a);", Rows::Indexed),
        ("ALTER TABLE t\n    ADD CONSTRAINT c CHECK ((a > 0));", Rows::Read),
        ("ALTER TABLE t OWNER TO r;", Rows::Untouched),
        ("REFRESH MATERIALIZED VIEW v;", Rows::Read),
        ("COPY t (a) FROM stdin;", Rows::Read),
        ("select secret from t", Rows::Read),
        ("do $$ begin end $$", Rows::Read),
        ("BEGIN", Rows::Untouched),
        ("ROLLBACK;", Rows::Untouched),
    ] {
        assert_eq!(Rows::of(sql), rows, "{sql}");
    }
}
