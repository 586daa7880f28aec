//! Operators (`dumpOpr`).

use super::{Plain, object};
use crate::catalog::{Address, Catalog, FIRST_NORMAL_OID, Parts, class};
use crate::session::{Row, Session};
use crate::{Result, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = format!(
        "SELECT o.oid, o.oprname AS name, o.oprnamespace AS namespace, o.oprowner AS owner, o.oprkind, \
         o.oprcode::pg_catalog.regprocedure, o.oprleft, o.oprright, \
         o.oprleft::pg_catalog.regtype AS lefttype, o.oprright::pg_catalog.regtype AS righttype, \
         c.oprname AS commutator, cn.nspname AS commutatornsp, \
         n.oprname AS negator, nn.nspname AS negatornsp, \
         o.oprrest::pg_catalog.regprocedure, o.oprjoin::pg_catalog.regprocedure, \
         o.oprcanmerge, o.oprcanhash \
         FROM pg_catalog.pg_operator o \
         LEFT JOIN pg_catalog.pg_operator c ON c.oid = o.oprcom \
         LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = c.oprnamespace \
         LEFT JOIN pg_catalog.pg_operator n ON n.oid = o.oprnegate \
         LEFT JOIN pg_catalog.pg_namespace nn ON nn.oid = n.oprnamespace \
         WHERE o.oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&sql).await? {
        let plain = operator(catalog, &row)?;
        let mut object = object(catalog, &row, class::OPERATOR, plain)?;
        // Named as another's commutator or negator and never made: the mention makes it again.
        if row.text("oprcode")? == "-" {
            object.parts = Parts::NONE;
        }
        catalog.add(object);
    }
    Ok(())
}

fn operator(catalog: &Catalog, row: &Row) -> Result<Plain> {
    let name = row.text("name")?;
    let schema = &catalog.get(catalog.schema(row.number("namespace")?)?).name;
    let schema = quote::identifier(schema);
    let kind = row.letter("oprkind")?;
    // Postfix operators ('r') exist up to 13.
    let left = matches!(kind, 'r' | 'b').then(|| row.text("lefttype")).transpose()?;
    let right = matches!(kind, 'l' | 'b').then(|| row.text("righttype")).transpose()?;
    let identity = format!("{name} ({}, {})", left.unwrap_or("NONE"), right.unwrap_or("NONE"));

    let mut sort_key = vec![match kind {
        'r' => "0".to_owned(),
        'l' => "1".to_owned(),
        _ => "2".to_owned(),
    }];
    for column in ["oprleft", "oprright"] {
        let type_ = catalog.find(Address::new(class::TYPE, row.number(column)?)).map(|id| catalog.get(id));
        sort_key.push(type_.map(|type_| catalog.schema_name(type_).to_owned()).unwrap_or_default());
        sort_key.push(type_.map(|type_| type_.name.clone()).unwrap_or_default());
    }
    Ok(Plain {
        desc: "OPERATOR",
        priority: 110,
        sort_key,
        tag: name.to_owned(),
        create: format!(
            "CREATE OPERATOR {schema}.{name} (\n    {}\n);\n",
            options(row, left, right)?.join(",\n    ")
        ),
        drop: format!("DROP OPERATOR {schema}.{identity};\n"),
        described_as: ("OPERATOR", identity),
        ..Plain::default()
    })
}

fn options(row: &Row, left: Option<&str>, right: Option<&str>) -> Result<Vec<String>> {
    let mut options = Vec::new();
    let function = |options: &mut Vec<String>, option: &str, column: &str| -> Result<()> {
        let function = row.text(column)?;
        options.extend((function != "-").then(|| format!("{option} = {}", without_arguments(function))));
        Ok(())
    };
    function(&mut options, "FUNCTION", "oprcode")?;
    options.extend(left.map(|left| format!("LEFTARG = {left}")));
    options.extend(right.map(|right| format!("RIGHTARG = {right}")));
    for (option, operator, schema) in
        [("COMMUTATOR", "commutator", "commutatornsp"), ("NEGATOR", "negator", "negatornsp")]
    {
        if let Some(operator) = row.optional(operator)? {
            let schema = quote::identifier(row.text(schema)?);
            options.push(format!("{option} = OPERATOR({schema}.{operator})"));
        }
    }
    for (option, column) in [("MERGES", "oprcanmerge"), ("HASHES", "oprcanhash")] {
        options.extend(row.flag(column)?.then(|| option.to_owned()));
    }
    function(&mut options, "RESTRICT", "oprrest")?;
    function(&mut options, "JOIN", "oprjoin")?;
    Ok(options)
}

/// A function as `regprocedure` prints it, up to the parenthesis that no quote covers (`convertRegProcReference`).
fn without_arguments(function: &str) -> &str {
    let mut quoted = false;
    let end = function.find(|char| {
        quoted ^= char == '"';
        char == '(' && !quoted
    });
    &function[..end.unwrap_or(function.len())]
}

#[cfg(test)]
mod tests {
    use super::without_arguments;

    #[test]
    fn a_parenthesis_in_quotes_belongs_to_the_name() {
        for (function, name) in [
            ("public.f(integer)", "public.f"),
            ("public.\"f(x)\"(integer)", "public.\"f(x)\""),
            ("\"a\"\"(\".g()", "\"a\"\"(\".g"),
            ("f", "f"),
        ] {
            assert_eq!(without_arguments(function), name);
        }
    }
}
