//! The entries that say how a restoring session must be set up: ENCODING, STDSTRINGS, SEARCHPATH.
//!
//! `pg_restore` takes them apart when it reads them, so they have one exact form (`dumpEncoding`, `dumpStdStrings`,
//! `dumpSearchPath` in `pg_dump.c`; `processEncodingEntry`, `processStdStringsEntry` and `processSearchPathEntry` in
//! `pg_backup_archiver.c`).

use super::{Entry, Section};
use crate::catalog::{Address, DumpId};
use crate::{Error, ErrorKind, Result, quote};

/// How the texts of an archive are to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `client_encoding` of the definitions and the data files: the encoding of the database that was dumped.
    pub encoding: String,
    /// `standard_conforming_strings` of the definitions.
    pub standard_conforming_strings: bool,
    /// The statement that sets `search_path`. Without one (archives from before 2018), each entry relies on its
    /// own schema being searched. Every session of a restore runs it as it is (`_doSetFixedOutputState` in
    /// `pg_backup_archiver.c`), so other settings that the text depends on may follow in it.
    pub search_path: Option<String>,
}

impl Default for Settings {
    /// What pgark dumps under, but for the encoding: standard strings, nothing searched but `pg_catalog`.
    fn default() -> Self {
        Self {
            encoding: "UTF8".to_owned(),
            standard_conforming_strings: true,
            search_path: Some("SELECT pg_catalog.set_config('search_path', '', false);\n".to_owned()),
        }
    }
}

impl Settings {
    /// The three entries, which come before all others in a table of contents.
    pub fn entries(&self, ids: [DumpId; 3]) -> [Entry; 3] {
        let strings = if self.standard_conforming_strings { "on" } else { "off" };
        [
            entry(ids[0], "ENCODING", format!("SET client_encoding = {};\n", quote::literal(&self.encoding))),
            entry(ids[1], "STDSTRINGS", format!("SET standard_conforming_strings = '{strings}';\n")),
            entry(ids[2], "SEARCHPATH", self.search_path.clone().unwrap_or_default()),
        ]
    }

    /// What the entries of an archive say. Entries that are missing leave what `pg_restore` takes then:
    /// the server's encoding is not known, so UTF-8 is; standard strings are off.
    pub fn of(entries: &[Entry]) -> Result<Self> {
        let mut settings =
            Self { encoding: "UTF8".to_owned(), standard_conforming_strings: false, search_path: None };
        for entry in entries {
            let text = entry.definition.as_deref().unwrap_or_default();
            let value = text.split('\'').nth(1);
            let damaged =
                || Error::new(ErrorKind::Archive, format!("has an unknown form: {text:?}")).on(entry.label());
            match (entry.desc.as_str(), value) {
                ("ENCODING", Some(encoding)) if is_encoding_name(encoding) => {
                    encoding.clone_into(&mut settings.encoding);
                }
                ("STDSTRINGS", Some("on")) => settings.standard_conforming_strings = true,
                ("STDSTRINGS", Some("off")) => settings.standard_conforming_strings = false,
                ("SEARCHPATH", _) if !text.is_empty() => settings.search_path = Some(text.to_owned()),
                ("ENCODING" | "STDSTRINGS" | "SEARCHPATH", _) => return Err(damaged()),
                _ => {}
            }
        }
        Ok(settings)
    }
}

/// Whether an entry is one of the three.
pub fn is_setting(entry: &Entry) -> bool {
    matches!(entry.desc.as_str(), "ENCODING" | "STDSTRINGS" | "SEARCHPATH")
}

fn is_encoding_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-')
}

fn entry(id: DumpId, name: &str, definition: String) -> Entry {
    Entry {
        id,
        address: Address::default(),
        tag: name.to_owned(),
        desc: name.to_owned(),
        section: Section::PreData,
        definition: Some(definition),
        drop_statement: None,
        copy_statement: None,
        schema: None,
        tablespace: None,
        table_access_method: None,
        owner: None,
        dependencies: Vec::new(),
        data_file: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [DumpId; 3] = [DumpId(1), DumpId(2), DumpId(3)];

    #[test]
    fn the_entries_have_the_exact_form_that_pg_restore_takes_apart() {
        let entries = Settings::default().entries(IDS);
        let texts: Vec<_> = entries.iter().map(|entry| entry.definition.as_deref().unwrap()).collect();
        assert_eq!(
            texts,
            [
                "SET client_encoding = 'UTF8';\n",
                "SET standard_conforming_strings = 'on';\n",
                "SELECT pg_catalog.set_config('search_path', '', false);\n",
            ]
        );
        assert!(entries.iter().all(|entry| entry.section == Section::PreData && is_setting(entry)));
    }

    #[test]
    fn settings_come_back_from_their_entries() {
        let other = Settings {
            encoding: "LATIN1".to_owned(),
            standard_conforming_strings: false,
            ..Settings::default()
        };
        for settings in [Settings::default(), other] {
            assert_eq!(Settings::of(&settings.entries(IDS)).unwrap(), settings);
        }
    }

    #[test]
    fn an_unknown_form_is_refused() {
        for (at, text) in
            [(0, "SET client_encoding = UTF8"), (0, "SET x = 'a;b'"), (1, "SET x = 'maybe'"), (2, "")]
        {
            let mut entries = Settings::default().entries(IDS);
            entries[at].definition = Some(text.to_owned());
            assert_eq!(Settings::of(&entries).unwrap_err().kind, ErrorKind::Archive, "{text}");
        }
    }
}
