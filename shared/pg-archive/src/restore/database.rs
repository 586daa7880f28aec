//! What an archive says of the database itself: its owner, comment, labels, privileges, and settings, also those of roles
//! in it (`pg_restore --create`). A restore into a database that is there leaves them alone; one that has made the
//! database runs them last, because a setting such as `default_transaction_read_only` would be in its way.

use super::options::LeaveOut;
use crate::quote::identifier;
use crate::toc::Entry;
use crate::tokens::{Kind, Token, statements, tokens};

/// The statements, under the database's new name, each with the entry that it comes from.
pub fn database_properties(entries: &[Entry], name: &str, leave_out: LeaveOut) -> Vec<(String, String)> {
    let name = identifier(name);
    let mut all = Vec::new();
    for entry in entries {
        let of_database = entry.tag.starts_with("DATABASE ");
        let sql = match entry.desc.as_str() {
            "DATABASE" if !leave_out.owners => match entry.owner.as_deref().filter(|owner| !owner.is_empty())
            {
                Some(owner) => format!("ALTER DATABASE {name} OWNER TO {};", identifier(owner)),
                None => continue,
            },
            "ACL" if of_database && !leave_out.privileges => renamed(entry, &name),
            "COMMENT" | "SECURITY LABEL" if of_database => renamed(entry, &name),
            "DATABASE PROPERTIES" => renamed(entry, &name),
            _ => continue,
        };
        all.push((entry.label(), sql));
    }
    all
}

/// The definition with the name of every database replaced: it names no other one. The word is no reserved one, so what
/// stands before it counts too.
fn renamed(entry: &Entry, name: &str) -> String {
    let tokens = tokens(entry.definition.as_deref().unwrap_or_default());
    let mut sql = String::new();
    for statement in statements(&tokens) {
        let words: Vec<(usize, &Token<'_>)> =
            statement.iter().enumerate().filter(|(_, token)| token.kind != Kind::Space).collect();
        let names_database = |pair: &&[(usize, &Token<'_>)]| {
            pair[1].1.is("DATABASE") && ["ALTER", "IN", "ON"].iter().any(|before| pair[0].1.is(before))
        };
        let place = words.windows(3).find(names_database).map(|found| found[2].0);
        let replaced = |(at, token): (usize, &Token<'_>)| {
            if Some(at) == place { name.to_owned() } else { token.text.to_owned() }
        };
        sql.extend(statement.iter().enumerate().map(replaced));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::entry_for_tests;
    use crate::toc::Section;

    #[test]
    fn the_database_gets_its_new_name_and_nothing_else_does() {
        let entry = |desc: &str, tag: &str, sql: &str| Entry {
            owner: Some("shop".to_owned()),
            definition: Some(sql.to_owned()),
            ..entry_for_tests(1, desc, tag, Section::None, &[])
        };
        let entries = [
            entry("DATABASE", "shop", "CREATE DATABASE shop;"),
            entry("COMMENT", "DATABASE shop", "COMMENT ON DATABASE shop IS 'ON DATABASE shop';"),
            entry("COMMENT", "TABLE shop", "COMMENT ON TABLE shop IS 'x';"),
            entry(
                "ACL",
                "DATABASE shop",
                "REVOKE ALL ON DATABASE shop FROM PUBLIC;\nGRANT ALL ON DATABASE shop TO shop;\n",
            ),
            entry(
                "DATABASE PROPERTIES",
                "shop",
                "ALTER DATABASE shop SET shop.shop TO 'shop';\nALTER ROLE database IN DATABASE shop SET a TO 'b';\n",
            ),
        ];
        let sql = |leave_out| -> Vec<String> {
            database_properties(&entries, "New", leave_out).into_iter().map(|(_, sql)| sql).collect()
        };
        let comment = "COMMENT ON DATABASE \"New\" IS 'ON DATABASE shop';";
        let settings = "ALTER DATABASE \"New\" SET shop.shop TO 'shop';\nALTER ROLE database IN DATABASE \"New\" SET a TO 'b';\n";
        assert_eq!(
            sql(LeaveOut::default()),
            [
                "ALTER DATABASE \"New\" OWNER TO shop;",
                comment,
                "REVOKE ALL ON DATABASE \"New\" FROM PUBLIC;\nGRANT ALL ON DATABASE \"New\" TO shop;\n",
                settings
            ]
        );
        assert_eq!(sql(LeaveOut { owners: true, privileges: true, tablespaces: false }), [comment, settings]);
    }
}
