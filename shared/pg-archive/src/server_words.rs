//! Which of a server's words may be repeated, and which may hold a value of a row.
//!
//! Messages of errors go into reports, records, alerts and logs, none of which is encrypted. A server quotes rows in many
//! places: `DETAIL: Failing row contains (…)`, `CONTEXT: COPY t, line 1, column c: "…"`, `invalid input syntax for type
//! integer: "…"`. And whatever a function of the database raises can be any text with any SQLSTATE. So an error is taken
//! apart here, once: [`Said::message`] holds no value of a row, and all the rest is [`Said::detail`], which is shown to
//! a person who asks and goes nowhere else.
//!
//! The rule: the server's message is repeated where its SQLSTATE is of a class that names objects and no values, and no
//! function was running; where the statement reads no rows, of other classes too. Else the condition's name stands
//! in its place, with what the server says in fields of their own (schema, table, column, type, constraint), the function,
//! and the row of COPY by its number. What is not recognised, in another language for instance, counts as withheld.
//! A function in C is trusted to keep to the classes that the server itself uses for values.

use tokio_postgres::error::{DbError, ErrorPosition};

mod conditions;
mod context;

use context::{Context, Origin};

/// What a server said, taken apart.
pub(crate) struct Said {
    /// What failed and why, with its SQLSTATE, without a value of any row.
    pub(crate) message: String,
    /// The server's own cure, if its words may be repeated.
    pub(crate) hint: Option<String>,
    /// Whatever else it said; may hold values of rows.
    pub(crate) detail: Option<String>,
}

/// What a statement does with rows of users' tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Nothing: it defines, says who may, or reads catalogs.
    Untouched,
    /// It computes on them what never depends on names, as indexes do.
    Indexed,
    /// Anything.
    Read,
}

impl Rows {
    /// Of a statement; of several, the first that does more than to set the session up says it. In doubt: anything.
    pub(crate) fn of(sql: &str) -> Self {
        let setup = |statement: &&str| {
            ["SET ", "RESET ", "SELECT pg_catalog.set_config("].iter().any(|word| statement.starts_with(word))
        };
        let statement =
            sql.split(";\n").map(str::trim).find(|sql| !sql.is_empty() && !setup(sql)).unwrap_or("SET");
        let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
        let first = words.next().unwrap_or_default();
        let rest: Vec<String> = words.take(8).collect();
        let second = rest.first().map_or("", String::as_str);
        match first.trim_end_matches(';') {
            "CREATE" if second == "INDEX" || second == "UNIQUE" => Self::Indexed,
            "CREATE" if second == "MATERIALIZED" && !statement.contains("WITH NO DATA") => Self::Read,
            "ALTER" if statement.contains("CHECK") || statement.contains("VALIDATE") => Self::Read,
            "ALTER" if statement.contains("CONSTRAINT") || statement.contains("ATTACH") => Self::Indexed,
            "ALTER" | "BEGIN" | "COMMENT" | "COMMIT" | "CREATE" | "DROP" | "GRANT" | "LOCK" | "RELEASE"
            | "RESET" | "REVOKE" | "ROLLBACK" | "SAVEPOINT" | "SECURITY" | "SET" => Self::Untouched,
            _ => Self::Read,
        }
    }
}

/// Takes apart what the server said of a statement.
pub(crate) fn said(error: &DbError, rows: Rows) -> Said {
    let code = error.code().code();
    let context = Context::of(error.where_().unwrap_or_default());
    let repeated = may_be_repeated(error, &context, rows);
    let mut message = if repeated { error.message().to_owned() } else { conditions::name(code).to_owned() };
    message = format!("{message} (SQLSTATE {code})");
    let mut withheld = Vec::new();
    if !repeated {
        withheld.push(error.message().to_owned());
        if context.origin == Origin::Server || context.origin == Origin::Copy {
            message.push_str(&fields(error));
        }
    }
    match error.detail() {
        Some(detail) if repeated && names_no_values(code, context.origin) => {
            message = format!("{message}; {detail}");
        }
        Some(detail) => withheld.push(format!("DETAIL: {detail}")),
        None => {}
    }
    for place in [context.function, context.row].into_iter().flatten() {
        message = format!("{message}; {place}");
    }
    let hint = error.hint().map(str::to_owned);
    if let (false, Some(hint)) = (repeated, &hint) {
        withheld.push(format!("HINT: {hint}"));
    }
    if let Some(context) = error.where_() {
        withheld.push(format!("CONTEXT: {context}"));
    }
    let detail = Some(withheld.join("\n")).filter(|text| !text.is_empty());
    Said { message, hint: hint.filter(|_| repeated), detail }
}

/// Whether the server's message holds no value of a row.
fn may_be_repeated(error: &DbError, context: &Context, rows: Rows) -> bool {
    let code = error.code().code();
    let class = code.get(..2).unwrap_or_default();
    let of_the_statement = matches!(error.position(), Some(ErrorPosition::Original(_)));
    match (context.origin, class) {
        // It fails on its own text, which was written before there were rows.
        (Origin::FunctionText, "42" | "3F" | "0A") => {
            matches!(error.position(), Some(ErrorPosition::Internal { .. }))
        }
        (Origin::Function | Origin::FunctionText, _) => false,
        // Constraints, transactions, resources, the server's state, its files: objects are named, no values.
        (
            _,
            "00" | "01" | "02" | "08" | "0L" | "0P" | "20" | "21" | "23" | "25" | "26" | "28" | "2B" | "2D"
            | "3B" | "40" | "44" | "53" | "54" | "55" | "57" | "58",
        ) => true,
        (_, "XX") if code != "XX000" => true,
        // A name can be a value: of a column of type regclass, for instance.
        (Origin::Copy, _) => false,
        (_, "42") if !LOOKED_UP.contains(&code) => true,
        (_, "42" | "3F" | "3D" | "0A") => of_the_statement || rows != Rows::Read,
        (_, "22" | "2F" | "F0" | "HV" | "XX") => rows == Rows::Untouched,
        _ => false,
    }
}

/// What the input of regclass and its kin says when a row holds the name of what is not there.
const LOOKED_UP: [&str; 7] = ["42601", "42602", "42703", "42704", "42725", "42883", "42P01"];

/// Whether a detail of this SQLSTATE is about objects, sessions and resources: what hangs on an object, who uses it.
fn names_no_values(code: &str, origin: Origin) -> bool {
    let class = code.get(..2).unwrap_or_default();
    origin == Origin::Server
        && matches!(
            class,
            "08" | "0A" | "25" | "28" | "2B" | "3D" | "40" | "42" | "53" | "54" | "55" | "57" | "58" | "XX"
        )
}

/// What the server says of the object in fields of their own.
fn fields(error: &DbError) -> String {
    let mut text = String::new();
    let named = |name: Option<&str>, schema: Option<&str>| {
        name.map(|name| schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}")))
    };
    let fields = [
        ("table", named(error.table(), error.schema())),
        ("column", named(error.column(), None)),
        ("type", named(error.datatype(), error.schema())),
        ("constraint", named(error.constraint(), None)),
    ];
    for (what, name) in fields {
        if let Some(name) = name {
            let comma = if text.is_empty() { ";" } else { "," };
            text = format!("{text}{comma} {what} {name}");
        }
    }
    text
}

/// The driver's error of a statement, as the source of ours: it tells its SQLSTATE, and shows none of its words.
pub struct Refusal {
    code: String,
    driver: Option<tokio_postgres::Error>,
}

impl Refusal {
    pub(crate) fn new(driver: tokio_postgres::Error) -> Self {
        let code = driver.code().map_or("unknown", tokio_postgres::error::SqlState::code).to_owned();
        Self { code, driver: Some(driver) }
    }

    /// One with this code and nothing else, for tests.
    pub fn of(code: &str) -> Self {
        Self { code: code.to_owned(), driver: None }
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The driver's own, whose texts are not to be shown.
    pub(crate) fn driver(&self) -> Option<&tokio_postgres::Error> {
        self.driver.as_ref()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SQLSTATE {}", self.code)
    }
}

impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refusal({self})")
    }
}

// What is underneath holds the server's words.
impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests;
