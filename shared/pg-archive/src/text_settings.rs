//! The settings that the text of values depends on, in both directions.
//!
//! A database and a role may have settings of their own, which begin with each session. What a value's text depends on
//! is therefore set in every session that reads or writes values, and what a dump was made under is recorded. Sources:
//! manual, chapters "Client Connection Defaults" and "Data Types"; `setup_connection` in `pg_dump.c`; `cash_out` in
//! `cash.c`.

use crate::quote::literal;

/// What the output of every type depends on, but for the encoding and `lc_monetary`.
const OF_OUTPUT: &[(&str, &str)] = &[
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
];

/// What else a session needs that reads values: names as they are, and every row, whatever is the matter with it.
const OF_READERS: &[(&str, &str)] = &[
    // `to_char` fails where a locale's names of months cannot be converted to the database's encoding.
    ("lc_time", "C"),
    ("lc_numeric", "C"),
    ("quote_all_identifiers", "off"),
    ("standard_conforming_strings", "on"),
    ("synchronize_seqscans", "off"),
    ("row_security", "off"),
    ("gin_fuzzy_search_limit", "0"),
    ("zero_damaged_pages", "off"),
    ("ignore_checksum_failure", "off"),
    ("exit_on_error", "off"),
    ("restrict_nonsystem_relation_kind", "view, foreign-table"),
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
];

/// What a session needs that writes definitions and values. What has other names in servers to come is not asked for.
const OF_WRITERS: &[(&str, &str)] = &[
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("backslash_quote", "safe_encoding"),
    ("transform_null_equals", "off"),
    ("escape_string_warning", "off"),
    ("check_function_bodies", "off"),
    ("row_security", "off"),
    ("gin_fuzzy_search_limit", "0"),
    ("exit_on_error", "off"),
    ("session_replication_role", "origin"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("client_min_messages", "warning"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("transaction_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
];

/// The locale whose amounts of money every server reads and writes alike.
const MONETARY: &str = "C";

/// The text that a dump is made of, as far as that is not always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextForm {
    /// `client_encoding`; without one, the encoding of the database, so that nothing is converted.
    pub encoding: Option<String>,
    /// `lc_monetary`; without one, that of the session, as in backups of format 1.0.
    pub lc_monetary: Option<String>,
}

impl Default for TextForm {
    /// That of a backup: the database's own bytes, and money as no country writes it.
    fn default() -> Self {
        Self { encoding: None, lc_monetary: Some(MONETARY.to_owned()) }
    }
}

impl TextForm {
    /// Sets up a session that reads.
    pub(crate) fn reading(&self, lock_timeout_millis: u128) -> String {
        let encoding = match &self.encoding {
            Some(encoding) => literal(encoding),
            None => "pg_catalog.getdatabaseencoding()".to_owned(),
        };
        let lock_timeout = lock_timeout_millis.to_string();
        let mut settings = vec![("lock_timeout", lock_timeout.as_str())];
        settings.extend(self.lc_monetary.as_deref().map(|value| ("lc_monetary", value)));
        settings.extend(OF_OUTPUT.iter().chain(OF_READERS));
        // The search path comes first: even `=` is looked up in it.
        format!(
            "SELECT pg_catalog.set_config('search_path', '', false);\n\
             SELECT pg_catalog.set_config('client_encoding', {encoding}, false);\n{}",
            set_those_that_differ(&settings)
        )
    }

    /// What a backup records: every setting that the text of its rows depends on, with its value.
    pub(crate) fn recorded(&self, client_encoding: &str) -> Vec<(String, String)> {
        let mut settings = vec![("client_encoding", client_encoding)];
        settings.extend(self.lc_monetary.as_deref().map(|value| ("lc_monetary", value)));
        settings.extend(OF_OUTPUT);
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// What an archive tells whoever restores it: statements for each session, behind the one for the search path.
    pub(crate) fn for_readers_of_the_archive(&self) -> String {
        let monetary =
            self.lc_monetary.as_deref().map(|value| format!("SET lc_monetary = {};\n", literal(value)));
        format!("SET IntervalStyle = 'postgres';\nSET array_nulls = on;\n{}", monetary.unwrap_or_default())
    }
}

/// Sets up a session that writes. What the archive asks for itself comes behind it.
pub(crate) fn writing() -> String {
    set_those_that_differ(OF_WRITERS)
}

/// Sets what the server knows and what differs: to be allowed to is needed for nothing else.
fn set_those_that_differ(settings: &[(&str, &str)]) -> String {
    let values: Vec<String> =
        settings.iter().map(|(name, value)| format!("({}, {})", literal(name), literal(value))).collect();
    format!(
        "SELECT pg_catalog.set_config(s.name, w.value, false) FROM (VALUES {}) AS w (name, value) \
         JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) w.name \
         WHERE s.setting OPERATOR(pg_catalog.<>) w.value;\n",
        values.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_records_what_it_was_made_under() {
        let recorded = TextForm::default().recorded("EUC_JP");
        let of =
            |name: &str| recorded.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        assert_eq!(of("client_encoding"), Some("EUC_JP"));
        assert_eq!(of("lc_monetary"), Some("C"));
        assert_eq!(of("extra_float_digits"), Some("3"));
        let old = TextForm { encoding: Some("UTF8".to_owned()), lc_monetary: None };
        assert!(!old.reading(1).contains("lc_monetary"));
        assert!(!old.for_readers_of_the_archive().contains("lc_monetary"));
    }
}
