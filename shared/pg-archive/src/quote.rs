//! Quoting of SQL identifiers and literals, as `pg_dump` writes them.
//!
//! Identifiers are quoted only where they must be, so that the text is that of `fmtId`
//! (`src/fe_utils/string_utils.c`). The driver's own quoting always quotes.

/// Every keyword that is not `UNRESERVED_KEYWORD` in PostgreSQL's `src/include/parser/kwlist.h`, in 13 to 18.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// An identifier, quoted if it needs to be (`fmtId`).
pub fn identifier(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
        && KEYWORDS.binary_search(&name).is_err();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `schema.name`, or only the name where the schema is empty (`fmtQualifiedId`).
pub fn qualified(schema: &str, name: &str) -> String {
    if schema.is_empty() { identifier(name) } else { format!("{}.{}", identifier(schema), identifier(name)) }
}

/// A string literal for readers with `standard_conforming_strings = on`, which every archive asks for in its
/// STDSTRINGS entry: quotes doubled, backslashes as they are (`appendStringLiteralAH`).
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A string literal in dollar quotes (`appendStringLiteralDQ`): `$prefix$`, its tag lengthened until the text
/// does not contain it. The closing `$` is left out of that test, because a text that ends in `$tag` would
/// otherwise close the quote.
pub fn dollar(text: &str, prefix: &str) -> String {
    const SUFFIXES: &[u8] = b"_XXXXXXX";
    let mut tag = format!("${prefix}");
    let mut next = 0;
    while text.contains(&tag) {
        tag.push(char::from(SUFFIXES[next]));
        next = (next + 1) % SUFFIXES.len();
    }
    tag.push('$');
    format!("{tag}{text}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_only_where_they_must_be() {
        for (name, quoted) in [
            ("orders", "orders"),
            ("_x1", "_x1"),
            ("1x", "\"1x\""),
            ("Orders", "\"Orders\""),
            ("a\"b", "\"a\"\"b\""),
            ("select", "\"select\""),
            ("name", "name"),
            ("between", "\"between\""),
            ("naïve", "\"naïve\""),
            ("", "\"\""),
        ] {
            assert_eq!(identifier(name), quoted);
        }
    }

    #[test]
    fn keywords_are_sorted_or_the_search_would_miss_them() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn dollar_quotes_find_a_tag_that_the_text_lacks() {
        assert_eq!(dollar("a $$ b", ""), "$_$a $$ b$_$");
        assert_eq!(dollar("a", ""), "$$a$$");
        assert_eq!(dollar("$function$", "function"), "$function_$$function$$function_$");
    }
}
