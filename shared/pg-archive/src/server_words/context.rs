//! What an error's CONTEXT tells without quoting values: where it came from, in which function, at which row of COPY.
//!
//! One line for each level, the innermost first (PostgreSQL manual, chapter "Error and Notice Message Fields", `W`), but
//! a line may quote a value that has line ends in it. So lines are read only as long as each is of a form that quotes
//! nothing, or is known where it ends.

/// Where an error was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// By the statement itself.
    Server,
    /// While COPY took a row.
    Copy,
    /// While a function was running, which can word it.
    Function,
    /// While a function's own text was read, as far as the CONTEXT says: that it is so, a position within the text tells.
    FunctionText,
}

/// What may be told of a CONTEXT.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) origin: Origin,
    /// `in PL/pgSQL function f(text) line 3 at RAISE`.
    pub(super) function: Option<String>,
    /// `COPY orders, line 7, column total`.
    pub(super) row: Option<String>,
}

/// Statements of PL/pgSQL that hold their SQL in the function's text (`plpgsql_stmt_typename` in `pl_funcs.c`).
const STATIC_STATEMENTS: [&str; 9] =
    ["assignment", "IF", "CASE", "WHILE", "RETURN", "RETURN NEXT", "PERFORM", "SQL statement", "ASSERT"];

impl Context {
    pub(super) fn of(text: &str) -> Self {
        let mut context = Self { origin: Origin::Server, function: None, row: None };
        for line in text.lines() {
            if let Some(row) = row_of_copy(line) {
                context.row = Some(row);
                if context.function.is_none() {
                    context.origin = Origin::Copy;
                }
                break;
            }
            // What the server does with rows by itself: `while inserting index tuple (0,1) in relation "t"`.
            if line == "parallel worker" || line.starts_with("while ") {
                continue;
            }
            let of_function = place_in_function(line);
            if context.function.is_none() {
                let on_text = of_function.as_deref().is_some_and(is_on_text);
                context.origin = if on_text { Origin::FunctionText } else { Origin::Function };
            }
            let Some(place) = of_function else { break };
            context.function.get_or_insert_with(|| format!("in {place}"));
        }
        context
    }
}

/// `COPY orders, line 7, column total`, of a line that goes on with the value.
fn row_of_copy(line: &str) -> Option<String> {
    let after_name = line.strip_prefix("COPY ")?.find(", line ")? + "COPY , line ".len();
    let digits = line[after_name..].bytes().take_while(u8::is_ascii_digit).count();
    let after_number = after_name + digits;
    let rest = &line[after_number..];
    let column = match rest.strip_prefix(", column ") {
        Some(column) => column.find(": \"").or_else(|| column.find(": null input")).map(|end| &column[..end]),
        None => None,
    };
    let known = digits > 0 && (rest.is_empty() || rest.starts_with(": \"") || column.is_some());
    known.then(|| {
        let column = column.map(|column| format!(", column {column}")).unwrap_or_default();
        format!("{}{column}", &line[..after_number])
    })
}

/// A line that names a function and a place in it, and quotes nothing.
fn place_in_function(line: &str) -> Option<String> {
    let sql = line.strip_prefix("SQL function \"").and_then(|rest| rest.rsplit_once("\" "));
    if let Some((_, place)) = sql {
        let numbered = place.strip_prefix("statement ").is_some_and(|number| number.parse::<u32>().is_ok());
        return (numbered || place == "during inlining" || place == "during startup")
            .then(|| line.to_owned());
    }
    let (_, place) = line.strip_prefix("PL/pgSQL function ")?.rsplit_once(" line ")?;
    let (number, statement) = place.split_once(" at ")?;
    let plain = statement.bytes().all(|byte| byte.is_ascii_alphabetic() || b" ./-".contains(&byte));
    (number.parse::<u32>().is_ok() && plain).then(|| line.to_owned())
}

/// Whether a place is one where a function's own text is read.
fn is_on_text(place: &str) -> bool {
    place.ends_with("\" during inlining")
        || place.ends_with("\" during startup")
        || place.rsplit_once(" at ").is_some_and(|(_, statement)| STATIC_STATEMENTS.contains(&statement))
}
