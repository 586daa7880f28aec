//! Expressions of a wanted type, out of values, columns, functions and queries. None fails for any row.

use super::data_types::{BIGINT, BOOLEAN, INTEGER, TEXT};
use super::world::{Relation, TypeId, World};

/// What an expression may refer to.
#[derive(Clone, Default)]
pub(super) struct Scope {
    /// Columns or arguments, as SQL.
    pub(super) columns: Vec<(String, TypeId)>,
    /// Only what depends on nothing else: for indexes, checks, generated columns.
    pub(super) pure: bool,
    /// Only PostgreSQL's own functions and types: for virtual columns.
    pub(super) builtin: bool,
    /// Queries are allowed.
    pub(super) queries: bool,
}

impl Scope {
    pub(super) fn pure(columns: &[(String, TypeId)]) -> Self {
        Self { columns: columns.to_vec(), pure: true, ..Self::default() }
    }

    /// The columns of a relation, each behind a prefix such as `t.`.
    pub(super) fn of(relation: &Relation, prefix: &str) -> Self {
        let columns = relation.columns.iter().map(|column| (format!("{prefix}{}", column.name), column.of));
        Self { columns: columns.collect(), ..Self::default() }
    }
}

impl World {
    pub(super) fn expression(&mut self, of: TypeId, scope: &Scope) -> String {
        self.nested(of, scope, 3)
    }

    fn nested(&mut self, of: TypeId, scope: &Scope, depth: usize) -> String {
        if depth == 0 || self.random.chance(15) {
            return self.leaf(of, scope);
        }
        match self.random.below(9) {
            0 => {
                let (value, other) = (self.nested(of, scope, depth - 1), self.leaf(of, scope));
                format!("COALESCE({value}, {other})")
            }
            1 => {
                let condition = self.nested(BOOLEAN, scope, depth - 1);
                let (value, other) = (self.leaf(of, scope), self.leaf(of, scope));
                format!("CASE WHEN {condition} THEN {value} ELSE {other} END")
            }
            2 | 3 if !scope.builtin => self.call(of, scope, depth),
            4 if scope.queries => self.query(of, scope),
            _ => self.operation(of, scope, depth - 1),
        }
    }

    /// A column or a value.
    fn leaf(&mut self, of: TypeId, scope: &Scope) -> String {
        let columns: Vec<&String> =
            scope.columns.iter().filter(|(_, column)| *column == of).map(|(sql, _)| sql).collect();
        if !columns.is_empty() && self.random.chance(80) {
            return (*self.random.pick(&columns)).clone();
        }
        self.sample(of)
    }

    /// A call of a function that returns the type.
    fn call(&mut self, of: TypeId, scope: &Scope, depth: usize) -> String {
        let functions: Vec<usize> = (0..self.functions.len())
            .filter(|index| {
                let function = &self.functions[*index];
                function.returns == of && (function.pure || !scope.pure)
            })
            .collect();
        if functions.is_empty() {
            return self.operation(of, scope, depth - 1);
        }
        let function = self.functions[*self.random.pick(&functions)].clone();
        let given = function.arguments.len() - self.random.between(0, function.defaults);
        let arguments: Vec<String> = function.arguments[..given]
            .iter()
            .map(|argument| {
                let value = self.nested(*argument, scope, depth - 1);
                format!("CAST({value} AS {})", self.types[*argument].sql)
            })
            .collect();
        format!("{}({})", function.name, arguments.join(", "))
    }

    /// What PostgreSQL's own operators and functions make.
    fn operation(&mut self, of: TypeId, scope: &Scope, depth: usize) -> String {
        match (of, self.random.below(4)) {
            (INTEGER, 0 | 1) => format!("pg_catalog.length({})", self.nested(TEXT, scope, depth)),
            (INTEGER, 2) => format!("({} % 7)", self.nested(INTEGER, scope, depth)),
            (TEXT, 0) => format!("lower({})", self.nested(TEXT, scope, depth)),
            (TEXT, 1) => format!("({} || {})", self.leaf(TEXT, scope), self.nested(TEXT, scope, depth)),
            (TEXT, 2) => format!("upper({})", self.nested(TEXT, scope, depth)),
            (BOOLEAN, 0) => format!("(NOT {})", self.nested(BOOLEAN, scope, depth)),
            (BOOLEAN, 1) => {
                let (one, two) = (self.nested(BOOLEAN, scope, depth), self.leaf(BOOLEAN, scope));
                format!("({one} OR {two})")
            }
            (BOOLEAN, _) => self.comparison(scope, depth),
            _ => self.leaf(of, scope),
        }
    }

    fn comparison(&mut self, scope: &Scope, depth: usize) -> String {
        let columns: Vec<TypeId> = scope.columns.iter().map(|(_, of)| *of).collect();
        let mut of = if columns.is_empty() { INTEGER } else { *self.random.pick(&columns) };
        if scope.builtin && !self.types[of].builtin {
            of = INTEGER;
        }
        let one = self.nested(of, scope, depth);
        if !self.types[of].ordered {
            return format!("({one} IS NOT NULL)");
        }
        let other = self.leaf(of, scope);
        match self.random.below(4) {
            0 => format!("({one} IS NULL)"),
            1 => format!("({one} IS DISTINCT FROM {other})"),
            2 => format!("({one} IN ({other}, {}))", self.leaf(of, scope)),
            _ => format!("({one} >= {other})"),
        }
    }

    /// A query that has one value.
    fn query(&mut self, of: TypeId, scope: &Scope) -> String {
        let usable = |relation: &Relation| relation.readable && !relation.over_materialized;
        let Some(index) = self.relation_where(usable) else { return self.leaf(of, scope) };
        let relation = self.relations[index].clone();
        let columns: Vec<_> = relation.columns.iter().filter(|column| column.of == of).collect();
        if of == BIGINT {
            return format!("(SELECT count(*) FROM {})", relation.name);
        }
        if of == BOOLEAN {
            return format!("EXISTS (SELECT FROM {} q)", relation.name);
        }
        if columns.is_empty() {
            return self.leaf(of, scope);
        }
        let column = self.random.pick(&columns).name.clone();
        format!("(SELECT q.{column} FROM {} q ORDER BY ROW(q.*)::text LIMIT 1)", relation.name)
    }
}
