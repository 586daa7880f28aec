//! What a role may not read: a backup is complete, or it fails before the first row and names every object with the
//! statement that cures it. `pgark doctor` says the same beforehand. The cures are run here, word for word.

use anyhow::Context as _;
use pgark_tests::Postgres;
use pgark_tests::postgres::{Database, PASSWORD};
use serde_json::Value;

use super::Result;
use super::text::Text;
use super::vault::Vault;

/// What every case begins with. `{owner}` owns it, and `{role}` backs it up.
const BASE: &str = r#"
create role {owner} login password '{password}';
create role {role} login password '{password}';
create schema app authorization {owner};
set role {owner};
create table app.orders (id int generated always as identity primary key, total numeric default 0);
insert into app.orders (total) select n from generate_series(1, 100) n;
create table app."Secret notes" (t text);
insert into app."Secret notes" values ('a'), ('b');
create sequence app.numbers;
select nextval('app.numbers');
create view app.large as select * from app.orders where total > 50;
create materialized view app.sums as select sum(total) from app.orders;
create function app.f() returns int language sql as 'select 1';
reset role;
"#;

const LARGE_OBJECT: &str = "set role {owner}; select lo_from_bytea(900001, '\\x00ff'); reset role;";
const SECURED: &str =
    "set role {owner}; create table app.tenants (i int); insert into app.tenants values (1), (2);
    alter table app.tenants enable row level security; alter table app.tenants force row level security;
    create policy first_only on app.tenants using (i = 1); reset role;";
const FAR_AWAY: &str = "create foreign data wrapper nowhere; create server far foreign data wrapper nowhere;
    create foreign table app.far (i int) server far;";
const MAPPING: &str = "create foreign data wrapper nowhere; create server far foreign data wrapper nowhere;
    create user mapping for {owner} server far options (user 'far', password 'hunter2');";
const SUBSCRIPTION: &str =
    "create subscription feed connection 'dbname=nowhere password=hunter2' publication p
    with (connect = false, slot_name = none);";

/// All that the role needs for BASE.
const READER: &str =
    "grant usage on schema app to {role}; grant select on all tables in schema app to {role};
    grant select on all sequences in schema app to {role};";

/// One row of the matrix.
struct Case {
    name: &'static str,
    /// The oldest server that knows what the case is about.
    since: u32,
    /// Whether the role that owns everything backs it up.
    as_owner: bool,
    /// What is there, and what the role may do.
    setup: &'static [&'static str],
    /// All that the refusal must name; nothing where the backup is complete.
    lacks: &'static [&'static str],
}

const EVERYBODY: Case = Case { name: "", since: 13, as_owner: false, setup: &[], lacks: &[] };

const CASES: &[Case] = &[
    Case { name: "the owner of everything", as_owner: true, ..EVERYBODY },
    Case { name: "a reader of everything", setup: &[READER], ..EVERYBODY },
    Case {
        name: "pg_read_all_data",
        since: 14,
        setup: &["grant pg_read_all_data to {role};", LARGE_OBJECT, MAPPING, SUBSCRIPTION],
        ..EVERYBODY
    },
    Case {
        name: "an administrator without superuser, as managed servers have",
        since: 14,
        setup: &[
            "create role {role}_managed createrole createdb; grant pg_read_all_data to {role}_managed;
             grant {role}_managed to {role}; alter role {role} createrole createdb;",
            LARGE_OBJECT,
            FAR_AWAY,
            SUBSCRIPTION,
        ],
        ..EVERYBODY
    },
    Case {
        name: "no right on one table",
        setup: &[READER, "revoke select on app.\"Secret notes\" from {role};"],
        lacks: &["table app.\"Secret notes\""],
        ..EVERYBODY
    },
    Case {
        name: "a right on some columns of a table",
        setup: &[
            READER,
            "revoke select on app.orders from {role}; grant select (id) on app.orders to {role};",
        ],
        lacks: &["table app.orders"],
        ..EVERYBODY
    },
    Case {
        name: "no right on one sequence",
        setup: &[
            READER,
            "revoke select on app.numbers from {role}; grant usage on sequence app.numbers to {role};",
        ],
        lacks: &["sequence app.numbers"],
        ..EVERYBODY
    },
    Case {
        name: "no right on one schema",
        setup: &[READER, "revoke usage on schema app from {role};"],
        lacks: &["schema app"],
        ..EVERYBODY
    },
    Case {
        name: "the owner of large objects",
        as_owner: true,
        setup: &[LARGE_OBJECT],
        lacks: &["the data of 1 large objects"],
        ..EVERYBODY
    },
    Case {
        name: "no right on a large object, but on their catalog",
        setup: &[READER, LARGE_OBJECT, "grant select on pg_catalog.pg_largeobject to {role};"],
        ..EVERYBODY
    },
    Case { name: "no right on a foreign table", setup: &[READER, FAR_AWAY], ..EVERYBODY },
    Case {
        name: "options of another's user mapping",
        setup: &[READER, MAPPING],
        lacks: &["user mapping {owner} on server far"],
        ..EVERYBODY
    },
    Case {
        name: "a subscription",
        setup: &[READER, SUBSCRIPTION],
        lacks: &["subscription feed"],
        ..EVERYBODY
    },
    Case {
        name: "a reader before row security",
        setup: &[SECURED, READER],
        lacks: &["table app.tenants (row-level security would hide rows)"],
        ..EVERYBODY
    },
    Case {
        name: "an owner before forced row security",
        as_owner: true,
        setup: &[SECURED],
        lacks: &["table app.tenants (row-level security would hide rows)"],
        ..EVERYBODY
    },
    Case {
        name: "pg_read_all_data before row security",
        since: 14,
        setup: &[SECURED, "grant pg_read_all_data to {role};"],
        lacks: &["table app.tenants (row-level security would hide rows)"],
        ..EVERYBODY
    },
    Case { name: "BYPASSRLS", setup: &[SECURED, READER, "alter role {role} bypassrls;"], ..EVERYBODY },
    Case {
        name: "no right at all",
        setup: &[SECURED, LARGE_OBJECT, MAPPING, SUBSCRIPTION],
        lacks: &[
            "schema app",
            "table app.\"Secret notes\"",
            "table app.orders",
            "table app.tenants",
            "sequence app.numbers",
            "sequence app.orders_id_seq",
            "table app.tenants (row-level security would hide rows)",
            "the data of 1 large objects",
            "user mapping {owner} on server far",
            "subscription feed",
        ],
        ..EVERYBODY
    },
];

/// A case on one server.
struct Trial<'a> {
    case: &'a Case,
    server: &'static Postgres,
    database: Database<'static>,
    vault: Vault,
}

impl Trial<'_> {
    /// Puts this database's own names into a text.
    fn named(&self, text: &str) -> String {
        let name = self.database.name();
        let text =
            text.replace("{owner}", &format!("{name}_owner")).replace("{role}", &format!("{name}_keeper"));
        text.replace("{password}", PASSWORD)
    }

    fn url(&self) -> String {
        let role = self.named(if self.case.as_owner { "{owner}" } else { "{role}" });
        self.server.url_as(&role, PASSWORD, self.database.name())
    }

    fn run(&self) -> Result {
        self.database.query(&self.named(BASE))?;
        for sql in self.case.setup {
            self.database.query(&self.named(sql))?;
        }
        if self.case.lacks.is_empty() {
            let doctor = self.vault.run(&["doctor", "--database-url", &self.url()], &[])?;
            assert_eq!(check(&doctor, "rights")["status"], "ok", "{doctor}");
        } else {
            self.is_refused_and_cured()?;
        }
        self.vault.backup(&self.url(), &[])?;
        self.is_complete()
    }

    /// Refused by all names and nothing else; `doctor` says the same; and the cures are the ones that help.
    fn is_refused_and_cured(&self) -> Result {
        let (exit, error) = self.vault.refused(&["backup", "--database-url", &self.url()])?;
        assert_eq!((exit, &error["code"]), (1, &Value::from("postgres.permission")), "{error}");
        let (message, hint) = (text(&error["message"]), text(&error["hint"]));
        let (_, named) = message.split_once(" in all): ").with_context(|| message.to_owned())?;
        let lacks: Vec<String> = self.case.lacks.iter().map(|lack| self.named(lack)).collect();
        assert_eq!(named.split("; ").collect::<Vec<_>>(), lacks, "{message}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        for tier in ["daily", "weekly", "monthly", "yearly"] {
            assert!(!self.vault.store().join(tier).exists(), "something of a backup was written");
        }

        let output = self.vault.pgark(&["doctor", "--database-url", &self.url()], &[])?.output()?;
        let doctor: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(output.status.code(), Some(1), "{doctor}");
        let found = check(&doctor, "rights");
        assert_eq!((&found["finding"], &found["hint"]), (&error["message"], &error["hint"]));

        let cures: Vec<&str> =
            hint.lines().filter(|line| line.starts_with("  ") && line.ends_with(';')).collect();
        assert!(!cures.is_empty(), "{hint}");
        self.database.query(&cures.join("\n")).with_context(|| hint.to_owned()).map(drop)
    }

    /// pg_dump, run by a superuser, sees no difference between the original and what is restored.
    fn is_complete(&self) -> Result {
        let restored = self.server.create_database("rights_restored")?;
        self.vault.run(&["restore", "latest", "--to", &restored.url()], &[])?;
        Text::of(&self.database.url())?.must_equal(&Text::of(&restored.url())?)?;
        if self.case.setup.contains(&SUBSCRIPTION) {
            // A database that has one cannot be dropped.
            self.database.query("drop subscription feed")?;
            restored.query("drop subscription feed")?;
        }
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn check<'a>(doctor: &'a Value, name: &str) -> &'a Value {
    let checks = doctor["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null)
}

fn complete_or_refused_by_name(major: u32) -> Result {
    let server = Postgres::shared(major)?;
    for case in CASES.iter().filter(|case| case.since <= major) {
        let trial = Trial { case, server, database: server.create_database("rights")?, vault: Vault::new()? };
        trial.run().with_context(|| format!("PostgreSQL {major}: {}", case.name))?;
    }
    Ok(())
}

macro_rules! for_each_major {
    ($($name:ident: $major:literal),*) => { $(
        #[test]
        fn $name() -> Result {
            complete_or_refused_by_name($major)
        }
    )* };
}

for_each_major!(
    complete_or_refused_by_name_on_13: 13,
    complete_or_refused_by_name_on_14: 14,
    complete_or_refused_by_name_on_15: 15,
    complete_or_refused_by_name_on_16: 16,
    complete_or_refused_by_name_on_17: 17,
    complete_or_refused_by_name_on_18: 18
);

/// What an administrator of a managed server is, and may do.
const ADMINISTRATOR: &str = "create role administrator login createrole createdb password '{password}';
    alter database shop owner to administrator;";

/// The SQL under a heading of docs/rights.md.
fn documented(heading: &str) -> anyhow::Result<String> {
    let page = std::fs::read_to_string(pgark_tests::repository().join("docs/rights.md"))?;
    let section =
        page.split("### ").find(|section| section.starts_with(heading)).context("no such heading")?;
    let sql = section.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next());
    Ok(sql.with_context(|| format!("{heading} has no SQL"))?.replace("change me", PASSWORD))
}

#[test]
fn the_roles_that_the_documentation_makes_can_back_up() -> Result {
    for major in pgark_tests::postgres::MAJORS {
        let own =
            if major == 13 { "Your own server, PostgreSQL 13" } else { "Your own server, PostgreSQL 14" };
        let managed = "RDS, Aurora, Neon, Supabase";
        for heading in [own, managed].into_iter().filter(|heading| major > 13 || *heading == own) {
            let server = Postgres::start(major)?;
            let shop = server.create_database_named("shop", "")?;
            shop.query(
                "revoke connect on database shop from public; create role shop_owner; create schema sales;
                 grant create, usage on schema sales to shop_owner; create table sales.orders (id serial);
                 select lo_create(0);",
            )?;
            shop.query(&ADMINISTRATOR.replace("{password}", PASSWORD))?;
            if major >= 14 {
                shop.query("grant pg_read_all_data to administrator with admin option")?;
            }
            if heading == own {
                shop.query("alter table sales.orders enable row level security")?;
                shop.query(&documented(heading)?)?;
            } else {
                let url = server.url_as("administrator", PASSWORD, "shop");
                let mut psql = pgark_tests::postgres::client("psql")?;
                psql.args([
                    "-Xq",
                    "--set=ON_ERROR_STOP=1",
                    "--dbname",
                    &url,
                    "--command",
                    &documented(heading)?,
                ]);
                super::vault::succeed(&mut psql)?;
            }
            // Tables to come are thought of.
            shop.query("set role shop_owner; create table sales.later (id serial)")?;
            let url = server.url_as("pgark", PASSWORD, "shop");
            let report =
                Vault::new()?.backup(&url, &[]).with_context(|| format!("PostgreSQL {major}, {heading}"))?;
            assert_eq!(report["tables"], 2);
        }
    }
    Ok(())
}
