//! GRANT and REVOKE statements that lead from one privilege list to another (`buildACLCommands` in
//! `src/bin/pg_dump/dumputils.c`).

use std::collections::HashSet;
use std::fmt::Write as _;

use super::acl::{AclItem, elements};
use crate::quote;
use crate::{Error, ErrorKind, Result};

/// The server version from which tables have MAINTAIN.
const MAINTAIN_SINCE: u32 = 170_000;

/// What the statements are about.
pub(super) struct Target<'a> {
    /// Words before GRANT and REVOKE, with a space behind; only default privileges have any.
    pub(super) prefix: &'a str,
    /// The word of GRANT for the kind of object: `TABLE`, or `TABLES` for default privileges.
    pub(super) kind: &'a str,
    /// Schema, unquoted; empty for none.
    pub(super) schema: &'a str,
    /// Name, quoted; empty for default privileges.
    pub(super) name: &'a str,
    /// Column, quoted.
    pub(super) column: Option<&'a str>,
    /// Owner, unquoted.
    pub(super) owner: &'a str,
    /// The source server's `server_version_num`.
    pub(super) version_num: u32,
    /// Schemas with the roles that may not use them, though they gave privileges on what is in there.
    pub(super) shut_out: Option<&'a HashSet<(String, String)>>,
}

impl Target<'_> {
    /// The statements that turn the privileges `base` into `acl`. First what is to be revoked, then the owner's
    /// own grants, then the others in the server's order, which has a grant option before what was given by it.
    pub(super) fn commands(&self, acl: &str, base: &str) -> Result<String> {
        let wanted = elements(acl).ok_or_else(|| self.unreadable(acl))?;
        let given = elements(base).ok_or_else(|| self.unreadable(base))?;
        let mut first = String::new();
        let mut second = String::new();
        for text in given.iter().filter(|item| !wanted.contains(item)) {
            let item = AclItem::parse(text).ok_or_else(|| self.unreadable(text))?;
            let every: Vec<_> = item.privileges.iter().map(|(letter, _)| (*letter, false)).collect();
            let (privileges, _) = self.words(&every)?;
            self.revoke(&mut first, &privileges, &item.grantee);
        }
        for text in wanted.iter().filter(|item| !given.contains(item)) {
            let item = AclItem::parse(text).ok_or_else(|| self.unreadable(text))?;
            let own = !self.owner.is_empty() && item.grantee == self.owner && item.grantor == self.owner;
            self.grant(if own { &mut first } else { &mut second }, &item)?;
        }
        Ok(first + &second)
    }

    fn revoke(&self, sql: &mut String, privileges: &str, grantee: &str) {
        if !privileges.is_empty() {
            let Self { prefix, .. } = self;
            let _ = writeln!(sql, "{prefix}REVOKE {privileges} ON {} FROM {};", self.object(), role(grantee));
        }
    }

    /// Whoever is not the owner gives as itself.
    fn grant(&self, sql: &mut String, item: &AclItem) -> Result<()> {
        let (plain, with_option) = self.words(&item.privileges)?;
        if plain.is_empty() && with_option.is_empty() {
            return Ok(());
        }
        let foreign = !item.grantor.is_empty() && item.grantor != self.owner;
        let admitted = self.admitted(&item.grantor).filter(|_| foreign);
        if let Some((schema, role)) = &admitted {
            let _ = writeln!(sql, "GRANT USAGE ON SCHEMA {schema} TO {role};");
        }
        if foreign {
            let _ = writeln!(sql, "SET SESSION AUTHORIZATION {};", quote::identifier(&item.grantor));
        }
        for (privileges, option) in [(plain, ""), (with_option, " WITH GRANT OPTION")] {
            if !privileges.is_empty() {
                let Self { prefix, .. } = self;
                let object = self.object();
                let _ = writeln!(
                    sql,
                    "{prefix}GRANT {privileges} ON {object} TO {}{option};",
                    role(&item.grantee)
                );
            }
        }
        if foreign {
            sql.push_str("RESET SESSION AUTHORIZATION;\n");
        }
        if let Some((schema, role)) = &admitted {
            let _ = writeln!(sql, "REVOKE USAGE ON SCHEMA {schema} FROM {role};");
        }
        Ok(())
    }

    /// The schema that a grantor must be let into while it grants, and the grantor, quoted. Who gave a privilege and lost
    /// the schema afterwards still stands in the list; `pg_dump` writes a statement that fails.
    fn admitted(&self, grantor: &str) -> Option<(String, String)> {
        let key = (self.schema.to_owned(), grantor.to_owned());
        let shut_out = self.shut_out.is_some_and(|shut_out| shut_out.contains(&key));
        shut_out.then(|| (quote::identifier(self.schema), quote::identifier(grantor)))
    }

    /// Kind and name. Without a name two spaces follow the kind, as in `pg_dump` up to 17.
    fn object(&self) -> String {
        match self.name {
            "" => format!("{} ", self.kind),
            name if self.schema.is_empty() => format!("{} {name}", self.kind),
            name => format!("{} {}.{name}", self.kind, quote::identifier(self.schema)),
        }
    }

    /// The words for privileges without and with the grant option. ALL stands for all of them wherever it can,
    /// because other versions know others (`parseAclItem`).
    fn words(&self, privileges: &[(char, bool)]) -> Result<(String, String)> {
        let known = self.privileges()?;
        let options: Vec<_> = known
            .iter()
            .map(|(letter, _)| {
                privileges.iter().find(|(given, _)| given == letter).map(|(_, option)| *option)
            })
            .collect();
        let all_with = options.iter().all(|option| *option == Some(true));
        let all_without = options.iter().all(|option| *option == Some(false));
        let column = self.column.map(|column| format!("({column})")).unwrap_or_default();
        if all_with || all_without {
            let all = format!("ALL{column}");
            return Ok(if all_with { (String::new(), all) } else { (all, String::new()) });
        }
        let list = |wanted: bool| {
            let given = known.iter().zip(&options).filter(|(_, option)| **option == Some(wanted));
            given.map(|((_, word), _)| format!("{word}{column}")).collect::<Vec<_>>().join(",")
        };
        Ok((list(false), list(true)))
    }

    /// The privileges that the kind of object has, in `pg_dump`'s order.
    fn privileges(&self) -> Result<Vec<(char, &'static str)>> {
        const USAGE: (char, &str) = ('U', "USAGE");
        const EXECUTE: (char, &str) = ('X', "EXECUTE");
        const SELECT: (char, &str) = ('r', "SELECT");
        const UPDATE: (char, &str) = ('w', "UPDATE");
        const CREATE: (char, &str) = ('C', "CREATE");
        Ok(match self.kind {
            "TABLE" | "TABLES" => {
                let mut all = vec![SELECT, ('a', "INSERT"), ('x', "REFERENCES")];
                if self.column.is_none() {
                    all.extend([('d', "DELETE"), ('t', "TRIGGER"), ('D', "TRUNCATE")]);
                    if self.version_num >= MAINTAIN_SINCE {
                        all.push(('m', "MAINTAIN"));
                    }
                }
                all.push(UPDATE);
                all
            }
            "SEQUENCE" | "SEQUENCES" => vec![SELECT, USAGE, UPDATE],
            "FUNCTION" | "FUNCTIONS" | "PROCEDURE" | "PROCEDURES" => vec![EXECUTE],
            "SCHEMA" | "SCHEMAS" => vec![CREATE, USAGE],
            "LANGUAGE" | "TYPE" | "TYPES" | "FOREIGN DATA WRAPPER" | "FOREIGN SERVER" => vec![USAGE],
            "LARGE OBJECT" | "LARGE OBJECTS" => vec![SELECT, UPDATE],
            "TABLESPACE" => vec![CREATE],
            "PARAMETER" => vec![('s', "SET"), ('A', "ALTER SYSTEM")],
            "DATABASE" => vec![CREATE, ('c', "CONNECT"), ('T', "TEMPORARY")],
            kind => {
                let message = format!("privileges on a {kind} are not known");
                return Err(Error::new(ErrorKind::Catalog, message).on(self.object()));
            }
        })
    }

    fn unreadable(&self, acl: &str) -> Error {
        Error::new(ErrorKind::Catalog, format!("the privilege list {acl} cannot be read")).on(self.object())
    }
}

fn role(name: &str) -> String {
    if name.is_empty() { "PUBLIC".to_owned() } else { quote::identifier(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(column: Option<&'static str>, version_num: u32) -> Target<'static> {
        Target {
            prefix: "",
            kind: "TABLE",
            schema: "s",
            name: "t",
            column,
            owner: "own",
            version_num,
            shut_out: None,
        }
    }

    #[test]
    fn statements_lead_from_the_base_to_the_list() {
        let default = "{own=arwdDxt/own}";
        for (column, acl, base, expected) in [
            (None, default, default, ""),
            (None, "{own=arwdDxt/own,ann=r/own}", default, "GRANT SELECT ON TABLE s.t TO ann;\n"),
            (None, "{own=arwdDxt/own,=r/own}", default, "GRANT SELECT ON TABLE s.t TO PUBLIC;\n"),
            (None, "{}", default, "REVOKE ALL ON TABLE s.t FROM own;\n"),
            (
                None,
                "{=r/own,own=r/own}",
                default,
                "REVOKE ALL ON TABLE s.t FROM own;\nGRANT SELECT ON TABLE s.t TO own;\n\
                 GRANT SELECT ON TABLE s.t TO PUBLIC;\n",
            ),
            (
                None,
                "{own=arwdDxt/own,ann=r*w/own,Bob=r/ann}",
                default,
                "GRANT UPDATE ON TABLE s.t TO ann;\nGRANT SELECT ON TABLE s.t TO ann WITH GRANT OPTION;\n\
                 SET SESSION AUTHORIZATION ann;\nGRANT SELECT ON TABLE s.t TO \"Bob\";\n\
                 RESET SESSION AUTHORIZATION;\n",
            ),
            (None, "{ann=a*r*w*d*D*x*t*/own}", "{}", "GRANT ALL ON TABLE s.t TO ann WITH GRANT OPTION;\n"),
            (Some("c"), "{ann=rw/own}", "{}", "GRANT SELECT(c),UPDATE(c) ON TABLE s.t TO ann;\n"),
            (Some("c"), "{ann=arwx/own}", "{}", "GRANT ALL(c) ON TABLE s.t TO ann;\n"),
            (Some("c"), "{}", "{ann=r*/own}", "REVOKE SELECT(c) ON TABLE s.t FROM ann;\n"),
        ] {
            assert_eq!(table(column, 150_000).commands(acl, base).unwrap(), expected, "{acl} from {base}");
        }
    }

    #[test]
    fn who_lost_the_schema_is_let_in_to_grant() {
        let shut_out =
            HashSet::from([("s".to_owned(), "ann".to_owned()), ("s".to_owned(), "own".to_owned())]);
        let target = Target { shut_out: Some(&shut_out), ..table(None, 150_000) };
        let sql = target.commands("{own=arwdDxt/own,ann=r*/own,bob=r/ann}", "{own=arwdDxt/own}").unwrap();
        assert_eq!(
            sql,
            "GRANT SELECT ON TABLE s.t TO ann WITH GRANT OPTION;\nGRANT USAGE ON SCHEMA s TO ann;\n\
             SET SESSION AUTHORIZATION ann;\nGRANT SELECT ON TABLE s.t TO bob;\nRESET SESSION AUTHORIZATION;\n\
             REVOKE USAGE ON SCHEMA s FROM ann;\n"
        );
    }

    #[test]
    fn all_means_what_the_server_knows() {
        let acl = "{ann=arwdDxt/own}";
        assert_eq!(table(None, 160_000).commands(acl, "{}").unwrap(), "GRANT ALL ON TABLE s.t TO ann;\n");
        assert_eq!(
            table(None, 170_000).commands(acl, "{}").unwrap(),
            "GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE s.t TO ann;\n"
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(table(None, 150_000).commands("{ann}", "{}").is_err());
        assert!(table(None, 150_000).commands("ann=r/own", "{}").is_err());
        assert!(Target { kind: "TABEL", ..table(None, 150_000) }.commands("{ann=r/own}", "{}").is_err());
    }
}
