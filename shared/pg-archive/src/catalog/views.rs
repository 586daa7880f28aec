//! Text that views need in more than one place: the dummy that stands in for a view in a loop, and the
//! options of a relation.

use crate::catalog::tables::Table;
use crate::catalog::{Catalog, Object};
use crate::quote;

/// A query with the columns of a view and nothing else, on which `CREATE OR REPLACE VIEW` can put the real
/// one later (`createDummyViewAsClause` in `pg_dump.c`). No semicolon at its end.
pub fn dummy(_catalog: &Catalog, _object: &Object, table: &Table) -> String {
    let columns = table.columns.iter().map(|column| {
        // CREATE OR REPLACE VIEW cannot change a collation, so the dummy must have it already.
        let collation = column.collation.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        format!("\n    NULL::{}{collation} AS {}", column.type_name, quote::identifier(&column.name))
    });
    format!("SELECT{}", columns.collect::<Vec<_>>().join(","))
}

/// The options of a relation for `WITH (…)` (`appendReloptionsArray` in `src/fe_utils/string_utils.c`):
/// `text` is a `reloptions` array as the server prints it, `prefix` goes before each name (`toast.`).
/// Empty if there is no option.
pub fn options(text: &str, prefix: &str) -> String {
    let options = elements(text).into_iter().map(|element| {
        let (name, value) = element.split_once('=').unwrap_or((&element, ""));
        // A value is quoted unless it could stand as an identifier; numbers are quoted too.
        let value = if quote::identifier(value) == value { value.to_owned() } else { quote::literal(value) };
        format!("{prefix}{}={value}", quote::identifier(name))
    });
    options.collect::<Vec<_>>().join(", ")
}

/// The elements of a one-dimensional array of text without NULLs (`array_out`; the manual, "Array Input and
/// Output Syntax").
fn elements(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    if inner.is_empty() {
        return Vec::new();
    }
    let mut elements = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for char in inner.chars() {
        match char {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => elements.push(String::new()),
            _ => elements.last_mut().into_iter().for_each(|element| element.push(char)),
        }
        escaped = false;
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::selection::Selection;
    use crate::catalog::tables::Column;
    use crate::catalog::{Address, Kind, Server};

    #[test]
    fn options_are_written_as_pg_dump_writes_them() {
        for (text, prefix, expected) in [
            ("{}", "", ""),
            ("{fillfactor=70}", "", "fillfactor='70'"),
            ("{security_barrier=true,check=off}", "", "security_barrier='true', \"check\"=off"),
            ("{autovacuum_enabled=off}", "toast.", "toast.autovacuum_enabled=off"),
            ("{\"a=b c\",\"d=\\\"x\\\\y,{}\\\"\"}", "", "a='b c', d='\"x\\y,{}\"'"),
            ("{lonely}", "", "lonely=''"),
            ("{a=it's=so}", "", "a='it''s=so'"),
        ] {
            assert_eq!(options(text, prefix), expected, "{text}");
        }
    }

    #[test]
    fn a_dummy_view_has_the_columns_and_their_collations() {
        let column = |name: &str, type_name: &str, collation: Option<&str>| Column {
            name: name.into(),
            type_name: type_name.into(),
            collation: collation.map(str::to_owned),
            ..Column::default()
        };
        let table = Table {
            columns: vec![column("id", "integer", None), column("User", "text", Some("pg_catalog.\"C\""))],
            ..Table::default()
        };
        let catalog = Catalog::new(Server::default(), Selection::everything());
        let object = Object::new(Address::new(1259, 20000), "v", Kind::DummyType);
        assert_eq!(
            dummy(&catalog, &object, &table),
            "SELECT\n    NULL::integer AS id,\n    NULL::text COLLATE pg_catalog.\"C\" AS \"User\""
        );
    }
}
