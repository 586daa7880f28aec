//! What to call a condition of the server without the words of whoever raised it.
//!
//! Names are those of PostgreSQL's manual, appendix A (`src/backend/utils/errcodes.txt`).

/// A name for a SQLSTATE: of the condition where that helps to find the cause, and else of its class.
pub(super) fn name(code: &str) -> &'static str {
    CONDITIONS
        .iter()
        .chain(CLASSES)
        .find(|(prefix, _)| code.starts_with(prefix))
        .map_or("error", |(_, name)| name)
}

/// Conditions of rows and of code of the database's users, whose own words are withheld.
const CONDITIONS: &[(&str, &str)] = &[
    ("22000", "data exception"),
    ("22001", "string data right truncation"),
    ("22002", "null value without indicator parameter"),
    ("22003", "numeric value out of range"),
    ("22004", "null value not allowed"),
    ("22007", "invalid datetime format"),
    ("22008", "datetime field overflow"),
    ("22009", "invalid time zone displacement value"),
    ("2200B", "escape character conflict"),
    ("2200D", "invalid escape octet"),
    ("2200F", "zero length character string"),
    ("2200G", "most specific type mismatch"),
    ("2200H", "sequence generator limit exceeded"),
    ("2200L", "not an XML document"),
    ("2200M", "invalid XML document"),
    ("2200N", "invalid XML content"),
    ("2200S", "invalid XML comment"),
    ("2200T", "invalid XML processing instruction"),
    ("22010", "invalid indicator parameter value"),
    ("22011", "substring error"),
    ("22012", "division by zero"),
    ("22015", "interval field overflow"),
    ("22018", "invalid character value for cast"),
    ("22019", "invalid escape character"),
    ("2201B", "invalid regular expression"),
    ("2201E", "invalid argument for logarithm"),
    ("2201F", "invalid argument for power function"),
    ("2201G", "invalid argument for width bucket function"),
    ("22021", "character not in repertoire"),
    ("22022", "indicator overflow"),
    ("22023", "invalid parameter value"),
    ("22024", "unterminated C string"),
    ("22025", "invalid escape sequence"),
    ("22026", "string data length mismatch"),
    ("22027", "trim error"),
    ("2202E", "array subscript error"),
    ("22030", "duplicate JSON object key value"),
    ("22032", "invalid JSON text"),
    ("22P01", "floating point exception"),
    ("22P02", "invalid text representation"),
    ("22P03", "invalid binary representation"),
    ("22P04", "bad COPY file format"),
    ("22P05", "untranslatable character"),
    ("22P06", "nonstandard use of escape character"),
    ("23502", "not-null violation"),
    ("23503", "foreign key violation"),
    ("23505", "unique violation"),
    ("23514", "check violation"),
    ("23P01", "exclusion violation"),
    ("42501", "insufficient privilege"),
    ("42601", "syntax error"),
    ("42602", "invalid name"),
    ("42703", "undefined column"),
    ("42704", "undefined object"),
    ("42725", "ambiguous function"),
    ("42804", "datatype mismatch"),
    ("42846", "cannot coerce"),
    ("42883", "undefined function"),
    ("42P01", "undefined table"),
    ("42P22", "indeterminate collation"),
    ("P0001", "an exception that a function of the database raises"),
    ("P0002", "no data found"),
    ("P0003", "too many rows"),
    ("P0004", "assertion failure"),
];

/// Classes.
const CLASSES: &[(&str, &str)] = &[
    ("01", "warning"),
    ("0A", "feature not supported"),
    ("21", "cardinality violation"),
    ("22", "data exception"),
    ("23", "integrity constraint violation"),
    ("2F", "SQL routine exception"),
    ("38", "external routine exception"),
    ("39", "external routine invocation exception"),
    ("3D", "invalid catalog name"),
    ("3F", "invalid schema name"),
    ("42", "syntax error or access rule violation"),
    ("F0", "configuration file error"),
    ("HV", "error of a foreign data wrapper"),
    ("P0", "PL/pgSQL error"),
    ("XX", "internal error"),
];
