//! Many databases: `[sources.NAME]` for one, `[servers.NAME]` for those that are found on a server.
//!
//! A table holds the keys of any settings, and what it does not say is taken from outside of it: flags win over the table,
//! the table over variables and the rest of the file, because it is the more particular. Which database is never taken
//! from outside. The tables stand in pgark.toml, or, for functions, in the variable `PGARK_SOURCES` as TOML or JSON, which
//! then replaces those of the file. Connecting and looking for databases is left to [`crate::runs::sources`].

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::problems::Problems;
use super::{Assertion, Needs, RawSettings, Settings, file, over, validate};
use crate::repository::{SERVER_BYTES_MAX, SourceName, keys};

/// The variable that holds the tables, for functions, which have no file.
pub const SOURCES: &str = "PGARK_SOURCES";
const EVERY_DATABASE: &str = "*";

/// The databases to look after, if they are several.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Databases by name.
    pub databases: BTreeMap<SourceName, Settings>,
    /// Servers by name, whose databases are found when they are needed.
    pub servers: BTreeMap<SourceName, Server>,
}

impl Settings {
    /// The settings of one source: those of its table, or of its server's; without either these, told which source is meant.
    #[must_use]
    pub fn of_source(&self, source: &SourceName) -> Self {
        let one = if let Some(settings) = self.sources.databases.get(source) {
            settings.clone()
        } else if let Some((_, server, database_name)) = self.sources.server_of(source) {
            Self { database_name, ..server.settings.clone() }
        } else {
            Self { sources: Sources::default(), ..self.clone() }
        };
        Self { source: Some(source.clone()), ..one }
    }

    /// The same, told which source is meant.
    #[must_use]
    pub fn naming(&self, source: SourceName) -> Self {
        Self { source: Some(source), ..self.clone() }
    }

    /// The settings of a server as a whole, for which its name stands.
    #[must_use]
    pub fn of_server(server: &Server, name: &SourceName) -> Self {
        Self { source: Some(name.clone()), ..server.settings.clone() }
    }
}

/// A server, and which of its databases are meant.
#[derive(Debug, Clone)]
pub struct Server {
    /// The settings, with the database to connect to first.
    pub settings: Settings,
    databases: Vec<DatabasePattern>,
    exclude: Vec<DatabasePattern>,
}

impl Sources {
    /// Whether there are none: then one database is looked after, that of the settings themselves.
    pub fn is_empty(&self) -> bool {
        self.databases.is_empty() && self.servers.is_empty()
    }

    /// The server of a source that is called as one of its databases would be; and the database's name, unless that is
    /// too long to be told from the source's.
    pub fn server_of(&self, source: &SourceName) -> Option<(&SourceName, &Server, Option<String>)> {
        self.servers.iter().find_map(|(name, server)| {
            let database = source.as_str().strip_prefix(name.as_str())?.strip_prefix('.')?;
            // Escaped names have no dot: it would be another server, whose name goes on.
            (!database.contains('.')).then(|| (name, server, keys::unescape(database)))
        })
    }

    /// The names, for messages.
    pub fn names(&self) -> String {
        let databases = self.databases.keys().map(ToString::to_string);
        databases.chain(self.servers.keys().map(|name| format!("{name}.*"))).collect::<Vec<_>>().join(", ")
    }
}

impl Server {
    /// Whether a database is meant; if not, why.
    ///
    /// # Errors
    /// With the reason, when it is not.
    pub fn wants(&self, database: &str) -> Result<(), String> {
        if let Some(pattern) = self.exclude.iter().find(|pattern| pattern.matches(database)) {
            return Err(format!("excluded by {:?}", pattern.0));
        }
        if self.databases.iter().any(|pattern| pattern.matches(database)) {
            Ok(())
        } else {
            Err("not among `databases`".to_owned())
        }
    }
}

/// A database's name, in which `*` stands for any text and `?` for any character.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DatabasePattern(String);

impl DatabasePattern {
    fn matches(&self, name: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let name: Vec<char> = name.chars().collect();
        // reached[n]: what was looked at of the pattern can stand for the first n characters of the name.
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for wanted in pattern {
            if wanted == '*' {
                let first = reached.iter().position(|reached| *reached).unwrap_or(reached.len());
                reached[first..].fill(true);
            } else {
                for n in (0..name.len()).rev() {
                    reached[n + 1] = reached[n] && (wanted == '?' || wanted == name[n]);
                }
                reached[0] = false;
            }
        }
        reached.last() == Some(&true)
    }
}

/// The tables, before anything is validated.
#[derive(Default)]
pub(super) struct RawSources {
    databases: Vec<(String, RawTable)>,
    servers: Vec<(String, RawTable, Vec<String>, Vec<String>)>,
}

/// What a table says.
type RawTable = (RawSettings, Option<Vec<Assertion>>);

impl RawSources {
    pub(super) fn is_empty(&self) -> bool {
        self.databases.is_empty() && self.servers.is_empty()
    }

    /// Takes the tables `sources` and `servers` out of a file's content.
    pub(super) fn take(content: &mut Table, problems: &mut Problems) -> Self {
        let mut raw = Self::default();
        for (name, table) in tables("sources", content, problems) {
            let table = file::settings(table, &format!("sources.{name}"), problems);
            raw.databases.push((name, table));
        }
        for (name, mut table) in tables("servers", content, problems) {
            let place = format!("servers.{name}");
            let mut patterns =
                |key: &str| table.remove(key).map(|value| patterns(value, &place, key, problems));
            let (databases, exclude) = (patterns("databases"), patterns("exclude"));
            let table = file::settings(table, &place, problems);
            let databases = databases.unwrap_or_else(|| vec![EVERY_DATABASE.to_owned()]);
            raw.servers.push((name, table, databases, exclude.unwrap_or_default()));
        }
        raw
    }

    /// Reads the variable: TOML, or the same as JSON.
    pub(super) fn of_variable(text: &str, problems: &mut Problems) -> Self {
        let parsed = if text.trim_start().starts_with('{') {
            // Not the errors' own texts, which may quote a password.
            serde_json::from_str::<Table>(text)
                .map_err(|error| format!("line {} is not JSON of tables", error.line()))
        } else {
            file::toml(text)
        };
        let fix = "Give the tables [sources.NAME] and [servers.NAME] as in pgark.toml, or as JSON: {\"sources\": {\"NAME\": {…}}}.";
        let Some(mut content) = problems.keep(SOURCES, Some(parsed), fix) else { return Self::default() };
        let raw = Self::take(&mut content, problems);
        for key in content.keys() {
            problems.add(SOURCES, format!("unknown key `{key}`"), fix);
        }
        if raw.is_empty() && problems.0.is_empty() {
            problems.add(SOURCES, "names no database", fix);
        }
        raw
    }

    /// Validates each source, with what stands outside of its table.
    pub(super) fn validate(
        self,
        outside: &Outside<'_>,
        needs: Needs,
        cores: usize,
        problems: &mut Problems,
    ) -> Sources {
        let mut sources = Sources::default();
        for (name, table) in self.databases {
            let place = format!("sources.{name}");
            let settings = outside.validate(table, &place, needs, cores, problems);
            if let Some(name) = source_name(&place, &name, problems) {
                let settings = Settings { source: Some(name.clone()), ..settings };
                sources.databases.insert(name, settings);
            }
        }
        for (name, table, databases, exclude) in self.servers {
            let place = format!("servers.{name}");
            let settings = outside.validate(table, &place, needs, cores, problems);
            let [databases, exclude] =
                [databases, exclude].map(|texts| texts.into_iter().map(DatabasePattern).collect());
            if name.len() > SERVER_BYTES_MAX {
                let message = format!("is longer than {SERVER_BYTES_MAX} bytes");
                problems.add(&place, message, "Shorten it: its databases' names come behind it.");
            } else if let Some(name) = source_name(&place, &name, problems) {
                sources.servers.insert(name, Server { settings, databases, exclude });
            }
        }
        for name in sources.servers.keys().filter(|name| sources.databases.contains_key(*name)) {
            let fix = "Give one of them another name.";
            problems.add(&format!("servers.{name}"), "is called as one of the sources", fix);
        }
        sources
    }
}

/// What stands outside of the tables.
pub(super) struct Outside<'a> {
    pub(super) flags: &'a RawSettings,
    pub(super) environment: &'a RawSettings,
    pub(super) file: &'a RawSettings,
    pub(super) assertions: &'a [Assertion],
}

impl Outside<'_> {
    fn validate(
        &self,
        (table, assertions): RawTable,
        place: &str,
        needs: Needs,
        cores: usize,
        problems: &mut Problems,
    ) -> Settings {
        if table.source.is_some() {
            problems.add(
                &format!("{place}.source"),
                "is set",
                "Leave it away: the table's name is the source's.",
            );
        }
        let of_no_database = |raw: &RawSettings| RawSettings {
            database_url: None,
            database_secret: None,
            source: None,
            ..raw.clone()
        };
        let outside = over(of_no_database(self.environment), of_no_database(self.file));
        let raw = over(of_no_database(self.flags), over(super::endpoints_of_layer(table), outside));
        let mut own = Problems::default();
        let settings = validate(&raw, needs, cores, &mut own);
        for problem in own.0 {
            // What is wrong outside is told there, once.
            if !problems.0.contains(&problem) {
                let key = RawSettings::NAMES.iter().find(|(_, variable)| *variable == problem.setting);
                let key = key.map_or(problem.setting.as_str(), |(key, _)| key);
                problems.add(&format!("{place}.{key}"), problem.message, problem.fix);
            }
        }
        Settings { assertions: assertions.unwrap_or_else(|| self.assertions.to_vec()), ..settings }
    }
}

fn source_name(place: &str, name: &str, problems: &mut Problems) -> Option<SourceName> {
    problems.keep(place, Some(name.parse::<SourceName>()), SourceName::RULE)
}

fn tables(key: &str, content: &mut Table, problems: &mut Problems) -> Vec<(String, Table)> {
    let wrong = |problems: &mut Problems, place: &str| {
        problems.add(
            place,
            "is not a table",
            format!("Write [{key}.NAME], and the settings of one below it."),
        );
    };
    let mut found = Vec::new();
    match content.remove(key) {
        None => {}
        Some(Value::Table(tables)) => {
            for (name, value) in tables {
                match value {
                    Value::Table(table) => found.push((name, table)),
                    _ => wrong(problems, &format!("{key}.{name}")),
                }
            }
        }
        Some(_) => wrong(problems, key),
    }
    found
}

fn patterns(value: Value, place: &str, key: &str, problems: &mut Problems) -> Vec<String> {
    let texts = match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.into_iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    match texts {
        Some(texts) if !texts.is_empty() || key == "exclude" => texts,
        _ => {
            let fix = "Give a list of names, in which * stands for any text and ? for any character.";
            problems.add(&format!("{place}.{key}"), "is no list of names", fix);
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
