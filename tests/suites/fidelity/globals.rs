//! Roles, memberships, settings, privileges on parameters and tablespaces mean the same on a new server: pg_dumpall says
//! so. What a server without superuser refuses is named, and the rest is there.

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use pgark_tests::postgres::{self, MAJORS, PASSWORD};
use pgark_tests::{Postgres, postgres_15};

use super::Result;
use super::vault::{Vault, succeed};

/// On every version. `{database}` is the one that is backed up.
const ROLES: &str = r#"
create role "App Owner" login password 'secret one' createdb connection limit 7 valid until '2030-01-02 03:04:05+00';
create role readers noinherit;
create role keeper createrole bypassrls;
create role copier replication login password 'secret two';
create role boss superuser;
create role "it's; odd";
comment on role "App Owner" is 'owns; the "app", it''s said';
grant readers to "App Owner";
grant readers to keeper with admin option;
grant pg_monitor to keeper;
grant "it's; odd" to readers;
alter role "App Owner" set search_path to app, "Odd, schema";
alter role "App Owner" set work_mem to '7MB';
alter role "App Owner" set app.motto to 'it''s; fine';
alter role all set app.everyone to 'yes';
alter role "App Owner" in database {database} set work_mem to '9MB';
alter database {database} set app.place to 'here';
alter database {database} owner to "App Owner";
comment on database {database} is 'the shop';
revoke connect on database {database} from public;
create tablespace fast owner "App Owner" location '';
alter tablespace fast set (random_page_cost = 1.5);
grant create on tablespace fast to readers;
comment on tablespace fast is 'a disk';
create table t (i int);
"#;

const ROLES_15: &str = r#"
grant set on parameter log_statement to "App Owner";
grant set, alter system on parameter work_mem to keeper with grant option;
grant set on parameter app.motto to public;
"#;

const ROLES_16: &str = "
grant readers to copier with inherit false, set false granted by keeper;
grant keeper to boss with admin true, inherit true;
grant boss to copier with set false;
";

/// What the database itself is like, which pg_dumpall leaves to pg_dump.
const DATABASE: &str = "select pg_get_userbyid(datdba), array(select a::text from unnest(datacl) a order by 1), shobj_description(oid, 'pg_database'),
    (select array_agg(format('%s %s', coalesce(setrole::regrole::text, 'all'), setconfig) order by setrole::regrole::text, setconfig)
     from pg_db_role_setting where setdatabase = d.oid or (setdatabase = 0 and setrole = 0))
    from pg_database d where datname = current_database()";

/// A server of a test's own, for roles are the server's.
fn server(major: u32) -> anyhow::Result<Postgres> {
    Postgres::options(major).setting("allow_in_place_tablespaces", "on").start()
}

fn fill(server: &Postgres) -> Result {
    server.psql("create database shop")?;
    let mut script = ROLES.to_owned();
    script.push_str(if server.major() >= 15 { ROLES_15 } else { "" });
    script.push_str(if server.major() >= 16 { ROLES_16 } else { "" });
    psql(server, "shop", &script.replace("{database}", "shop")).map(drop)
}

fn psql(server: &Postgres, database: &str, sql: &str) -> anyhow::Result<String> {
    let mut command = postgres::client("psql")?;
    command.args(["-XqAt", "--set=ON_ERROR_STOP=1", "--dbname", &server.url(database)]);
    // One statement at a time: a tablespace cannot be made in a transaction.
    for statement in sql.split_inclusive(";\n") {
        command.args(["--command", statement]);
    }
    Ok(String::from_utf8(succeed(&mut command)?.stdout)?)
}

/// What pg_dumpall of 18, and of 15 where it knows the server, says of the globals.
fn globals(server: &Postgres) -> anyhow::Result<String> {
    let mut clients = vec![postgres::client("pg_dumpall")?];
    if server.major() <= 15 {
        clients.push(Command::new(postgres_15("pg_dumpall")?));
    }
    let mut text = String::new();
    for mut client in clients {
        client.args(["--globals-only", "--dbname", &server.url("postgres")]);
        let output = String::from_utf8(succeed(&mut client)?.stdout)?;
        // The key of these is random. The role that restores keeps its own password. A tablespace inside the data folder
        // is there under its OID, which pg_dumpall 15 prints.
        let lines = output
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        let own = |line: &str| line.starts_with("ALTER ROLE postgres WITH ");
        text.extend(lines.flat_map(|line| match line.split_once(" PASSWORD ") {
            Some((start, _)) if own(line) => [start, ";\n"],
            _ => [line.split(" LOCATION 'pg_tblspc/").next().unwrap_or(line), "\n"],
        }));
    }
    Ok(text)
}

fn must_equal(one: &str, other: &str) {
    let (one, other): (Vec<_>, Vec<_>) = (one.lines().collect(), other.lines().collect());
    let differs = one.iter().zip(&other).position(|(one, other)| one != other);
    assert!(
        one == other,
        "line {differs:?}:\n{:?}\n{:?}",
        differs.map(|at| one[at]),
        differs.map(|at| other[at])
    );
}

#[test]
fn pg_dumpall_sees_no_difference_however_often_globals_are_restored() -> Result {
    for major in MAJORS {
        let (source, target) = (server(major)?, server(major)?);
        fill(&source)?;
        let vault = Vault::new()?;
        let report = vault.backup(&source.url("shop"), &["--role-passwords"])?;
        assert_eq!(report["roles"], "with_passwords");
        for name in ["shop", "again"] {
            let restore =
                ["restore", "latest", "--to", &target.url("postgres"), "--create", name, "--globals"];
            let report = vault.run(&restore, &[]).with_context(|| format!("PostgreSQL {major}, {name}"))?;
            let kept =
                "postgres: the role that restores was left as it is, with its own attributes and password";
            assert_eq!(report["warnings"], serde_json::json!([kept]));
        }
        must_equal(&globals(&source)?, &globals(&target)?);
        let before = psql(&source, "shop", DATABASE)?;
        assert!(
            before.contains("9MB") && before.contains("the shop") && before.contains("everyone"),
            "{before}"
        );
        for name in ["shop", "again"] {
            assert_eq!(before, psql(&target, name, DATABASE)?, "PostgreSQL {major}");
        }
        // Who had a password logs in with it.
        let url = target.url_as("App Owner", "secret one", "shop");
        let mut login = postgres::client("psql")?;
        succeed(login.args(["-XqAt", "--command", "select 1", "--dbname", &url]))?;
    }
    Ok(())
}

/// Newer servers know more about a membership. What they make of pg_dumpall's text, they make of ours.
#[test]
fn a_newer_server_makes_the_same_of_globals_as_of_what_pg_dumpall_wrote() -> Result {
    for (old, new) in [(13, 18), (15, 16), (16, 18)] {
        let (source, target, reference) = (server(old)?, server(new)?, server(new)?);
        fill(&source)?;
        let vault = Vault::new()?;
        vault.backup(&source.url("shop"), &["--role-passwords"])?;
        vault.run(
            &["restore", "latest", "--to", &target.url("postgres"), "--create", "shop", "--globals"],
            &[],
        )?;
        // It stumbles over the role that initdb made, and goes on.
        let mut load = postgres::client("psql")?;
        load.args(["-Xq", "--dbname", &reference.url("postgres"), "--command"]);
        for statement in globals(&source)?.split_inclusive(";\n") {
            let mut one = postgres::client("psql")?;
            one.args(["-Xq", "--dbname", &reference.url("postgres"), "--command", statement]).output()?;
        }
        must_equal(&globals(&reference)?, &globals(&target)?);
    }
    Ok(())
}

/// What a server of 16 and newer says of memberships, roles and parameters, an older one gets as far as it can hold it.
#[test]
fn an_older_server_gets_what_it_can_hold_and_the_rest_is_named() -> Result {
    let source = server(18)?;
    source.psql("create database shop")?;
    psql(
        &source,
        "shop",
        "create role team; create role inside; create role alone noinherit; create role lead createrole;
create role nothing;
grant team to inside;
grant team to alone;
grant team to lead with admin option, inherit false, set false;
grant inside to alone with inherit true;
grant inside to lead with set false;
grant inside to nothing with inherit false, set false;
grant pg_maintain to team;
grant pg_monitor to team;
alter role team set transaction_timeout to '1h';
alter role team set work_mem to '7MB';
grant set on parameter log_statement to team;
create table t (i int);
",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url("shop"), &[])?;
    let globals = fs::read_to_string(vault.fetch()?.join("globals.sql"))?;
    // The short form where it says the same: a client that reads the file by hand gets further.
    for line in ["GRANT team TO inside", "GRANT team TO alone", "GRANT inside TO alone WITH INHERIT TRUE"] {
        let found = globals.lines().find(|found| found.starts_with(line));
        let rest = found.and_then(|found| found.strip_prefix(line));
        assert!(rest.is_some_and(|rest| rest == ";" || rest.starts_with(" GRANTED BY")), "{line}: {globals}");
    }
    for to in [13, 15] {
        let target = server(to)?;
        let restore = [
            "restore",
            "latest",
            "--to",
            &target.url("postgres"),
            "--create",
            "shop",
            "--globals",
            "--no-tablespaces",
        ];
        let report = vault.run(&restore, &[]).with_context(|| format!("into {to}"))?;
        let said = report["warnings"].to_string();
        for part in [
            "lead is a member of team and inherits its rights and may SET ROLE to it here",
            "alone is a member of inside and does not inherit its rights here",
            "lead is a member of inside and may SET ROLE to it here",
            "nothing is no member of inside",
            "GRANT pg_maintain TO team",
            "SET transaction_timeout",
        ] {
            assert!(said.contains(part), "into {to}: {part}: {said}");
        }
        assert_eq!(said.contains("GRANT SET ON PARAMETER log_statement TO team"), to < 15, "{said}");
        let members = "select string_agg(format('%s %s %s', m.rolname, r.rolname, admin_option), ', ' order by m.rolname, r.rolname)
            from pg_auth_members a join pg_roles r on r.oid = roleid join pg_roles m on m.oid = member
            where m.rolname !~ '^pg_'";
        assert_eq!(
            target.psql(members)?,
            "alone inside f, alone team f, inside team f, lead inside f, lead team t, team pg_monitor f",
            "into {to}"
        );
        assert_eq!(target.psql("select rolconfig from pg_roles where rolname = 'team'")?, "{work_mem=7MB}");
    }
    Ok(())
}

#[test]
fn without_being_asked_no_hash_leaves_the_server() -> Result {
    let (source, target) = (server(17)?, server(17)?);
    fill(&source)?;
    let vault = Vault::new()?;
    assert_eq!(vault.backup(&source.url("shop"), &[])?["roles"], "without_passwords");
    let text = fs::read_to_string(vault.fetch()?.join("globals.sql"))?;
    assert!(text.contains("CREATE ROLE") && !text.contains("PASSWORD") && !text.contains("SCRAM"), "{text}");
    let restore = ["restore", "latest", "--to", &target.url("postgres"), "--create", "shop", "--globals"];
    let report = vault.run(&restore, &[])?;
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("without a password") && warnings.contains("copier"), "{warnings}");
    assert_eq!(target.psql("select count(*) from pg_authid where rolpassword is not null")?, "1");

    let refused = vault.refused(&[
        "backup",
        "--data-only",
        "--role-passwords",
        "--database-url",
        &source.url("shop"),
    ])?;
    assert_eq!((refused.0, refused.1["code"].as_str()), (2, Some("usage.invalid")));
    Ok(())
}

#[test]
fn who_may_not_read_hashes_is_told_how() -> Result {
    for major in MAJORS {
        let source = server(major)?;
        fill(&source)?;
        source.psql(&format!(
            "create role saver login password '{PASSWORD}'; grant connect on database shop to saver"
        ))?;
        psql(&source, "shop", "grant select on t to saver")?;
        let url = source.url_as("saver", PASSWORD, "shop");
        let vault = Vault::new()?;
        vault.backup(&url, &[])?;
        let (exit, error) = vault.refused(&["backup", "--role-passwords", "--database-url", &url])?;
        assert_eq!((exit, error["code"].as_str()), (1, Some("postgres.permission")), "{error}");
        let hint = error["hint"].as_str().unwrap_or_default();
        let cure = "GRANT SELECT ON TABLE pg_catalog.pg_authid TO saver;";
        assert!(hint.contains(cure), "{hint}");
        psql(&source, "shop", cure)?;
        assert_eq!(vault.backup(&url, &["--role-passwords"])?["roles"], "with_passwords");
    }
    Ok(())
}

/// What an administrator of a managed server is, and what the provider keeps there.
const MANAGED: &str = "create role rds_superuser createrole; create role rdsadmin superuser login;
    create role master login createrole createdb password 'harness'; grant rds_superuser to master with admin option;";

#[test]
fn a_managed_server_names_what_it_refuses_and_has_the_rest() -> Result {
    for major in MAJORS {
        let (source, target) = (server(major)?, server(major)?);
        source.psql("create database shop")?;
        source.psql(
            "create role rds_superuser; create role rdsadmin; create role app login createdb password 'x1'",
        )?;
        source.psql(
            "create role crew; grant crew to app; grant rds_superuser to app; create role boss superuser",
        )?;
        psql(&source, "shop", "create table t (i int); alter table t owner to crew")?;
        target.psql(MANAGED)?;
        let vault = Vault::new()?;
        vault.backup(&source.url("shop"), &["--role-passwords"])?;

        let to = target.url_as("master", PASSWORD, "postgres");
        let restore = ["restore", "latest", "--to", &to, "--create", "shop", "--no-owner", "--globals"];
        let (exit, error) = vault.refused(&restore)?;
        let said = error.to_string();
        assert_eq!((exit, error["code"].as_str()), (1, Some("restore.target")), "{error}");
        assert!(said.contains("ALTER ROLE boss WITH SUPERUSER"), "{said}");
        assert!(
            said.contains("2 of its statements failed") && said.contains("ALTER ROLE postgres PASSWORD …"),
            "{said}"
        );
        assert!(said.contains("without --globals") && !said.contains("SCRAM"), "{said}");
        assert_eq!(target.psql("select count(*) from pg_database where datname = 'shop'")?, "0");

        // The rest is there, and the restore goes on as the hint says.
        let there = "select pg_has_role('app', 'crew', 'member'), pg_has_role('app', 'rds_superuser', 'member'),
            (select rolcreatedb and rolcanlogin and rolpassword is not null from pg_authid where rolname = 'app'),
            (select rolsuper from pg_roles where rolname = 'rdsadmin')";
        assert_eq!(target.psql(there)?, "t|t|t|t", "PostgreSQL {major}");
        // What the role may not give away is known before the database is made.
        let (exit, error) = vault.refused(&["restore", "latest", "--to", &to, "--create", "owned"])?;
        let (message, hint) = (error["message"].to_string(), error["hint"].to_string());
        assert!(exit == 1 && message.contains("master may not give objects to crew"), "{error}");
        assert!(hint.contains("--no-owner"), "{error}");
        assert_eq!(target.psql("select count(*) from pg_database where datname = 'owned'")?, "0");
        vault.run(&restore[..restore.len() - 1], &[])?;
        assert_eq!(
            psql(&target, "shop", "select tableowner from pg_tables where tablename = 't'")?.trim(),
            "master"
        );

        // Where nothing is refused but the provider's own roles, it is enough to say so.
        source.psql("alter role boss nosuperuser")?;
        // Two backups of one second are not told apart by their time.
        let id = vault.backup(&source.url("shop"), &[])?["id"].as_str().context("no id")?.to_owned();
        let again = ["restore", &id, "--to", &to, "--create", "again", "--no-owner", "--globals"];
        let warnings = vault.run(&again, &[])?["warnings"].to_string();
        assert!(
            warnings.contains("left as they are: rds_superuser, rdsadmin"),
            "PostgreSQL {major}: {warnings}"
        );
    }
    Ok(())
}

#[test]
fn roles_that_are_mapped_stay_what_they_are_and_get_the_memberships() -> Result {
    let (source, target) = (server(17)?, server(17)?);
    fill(&source)?;
    let vault = Vault::new()?;
    vault.backup(&source.url("shop"), &["--role-passwords"])?;
    target.psql("create role staging nologin")?;
    let to = target.url("postgres");
    let restore = ["restore", "latest", "--to", &to, "--create", "shop", "--globals", "--no-tablespaces"];
    vault.run(
        &[&restore[..], &["--role-map", "App Owner=staging", "--role-map", "boss=keeper"]].concat(),
        &[],
    )?;
    let facts = "select (select count(*) from pg_roles where rolname in ('App Owner', 'boss')),
        (select rolcanlogin or rolcreatedb from pg_roles where rolname = 'staging'),
        (select rolsuper from pg_roles where rolname = 'keeper'), pg_has_role('staging', 'readers', 'member'),
        (select count(*) from pg_tablespace where spcname = 'fast'),
        (select pg_get_userbyid(datdba) from pg_database where datname = 'shop')";
    assert_eq!(target.psql(facts)?, "0|f|f|t|0|staging");
    Ok(())
}

#[test]
fn a_folder_that_is_not_there_is_named_and_tablespaces_can_be_left_out() -> Result {
    let (source, target) = (server(17)?, Postgres::start(17)?);
    fill(&source)?;
    let vault = Vault::new()?;
    vault.backup(&source.url("shop"), &[])?;
    let restore = ["restore", "latest", "--to", &target.url("postgres"), "--create", "shop", "--globals"];
    let (exit, error) = vault.refused(&restore)?;
    let said = error.to_string();
    assert!(
        exit == 1 && said.contains("CREATE TABLESPACE fast") && said.contains("--no-tablespaces"),
        "{said}"
    );
    vault.run(&[&restore[..], &["--no-tablespaces"]].concat(), &[]).map(drop)
}

/// A superuser of the source can write anything into the catalogs. psql must not run it on the machine that restores
/// (CVE-2025-8714), with `\restrict` and, as a psql from before August 2025 has it, without.
#[test]
fn text_of_the_source_runs_no_command_where_globals_are_restored() -> Result {
    let source = server(17)?;
    fill(&source)?;
    let folder = tempfile::tempdir()?;
    let mark = folder.path().join("ran");
    psql(
        &source,
        "shop",
        &format!(
            "set allow_system_table_mods = on;
             update pg_tablespace set spcoptions = array[e'random_page_cost=1);\\n\\\\! touch {0}\\n--'] where spcname = 'fast';
             alter role readers rename to \"x\n\\! touch {0}\n\";
             comment on role keeper is e'a\\n\\\\! touch {0}\\n';
             alter role keeper set app.motto = e'b\\n\\\\! touch {0}\\n';",
            mark.display()
        ),
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url("shop"), &["--role-passwords"])?;
    let text = fs::read_to_string(vault.fetch()?.join("globals.sql"))?;
    let key =
        text.strip_prefix("\\restrict ").and_then(|rest| rest.lines().next()).context("no \\restrict")?;
    assert!(text.ends_with(&format!("\n\\unrestrict {key}\n")), "{text}");
    let bare: String = text.split_inclusive('\n').filter(|line| !line.contains(key)).collect();
    for (name, script) in [("restricted", &text), ("bare", &bare)] {
        let target = server(17)?;
        let file = folder.path().join(name);
        fs::write(&file, script)?;
        let mut client = postgres::client("psql")?;
        let output =
            client.args(["-Xq", "--dbname", &target.url("postgres"), "--file"]).arg(&file).output()?;
        assert!(!mark.exists(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let there = "select count(*) from pg_roles where rolname like e'x\\n%' or rolname = 'keeper'";
        assert_eq!(target.psql(there)?, "2", "{name}");
    }
    Ok(())
}
