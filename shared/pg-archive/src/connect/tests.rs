//! What connection strings and variables mean, a case a row. No case reads the process's environment.

use super::target::{Endpoint, Roots, SslMode};
use super::*;

type Env = &'static [(&'static str, &'static str)];

fn parse(text: &str, env: Env) -> Result<Target, Problems> {
    Target::parse(text, |name| {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

/// What a case expects, as text: `display() user=… password=…` and what else is worth a word.
fn summary(target: &Target) -> String {
    let password = target.password.as_ref().map_or("-", |password| password.reveal());
    format!("{} user={} password={password}", target.display(), target.user())
}

#[test]
fn strings_name_server_database_and_user() {
    const ALICE: Env = &[("USER", "alice")];
    const PG: Env = &[
        ("PGHOST", "env.example"),
        ("PGPORT", "6000"),
        ("PGDATABASE", "envdb"),
        ("PGUSER", "envuser"),
        ("PGPASSWORD", "envpw"),
        ("USER", "alice"),
    ];
    let cases: &[(&str, Env, &str)] = &[
        // URLs
        ("postgres://u:p@h:1/d", &[], "h:1/d user=u password=p"),
        ("postgresql://u:p@h:1/d", &[], "h:1/d user=u password=p"),
        ("  postgres://u@h/d\n", &[], "h:5432/d user=u password=-"),
        ("postgres://u@h", &[], "h:5432/u user=u password=-"),
        ("postgres://h/d", ALICE, "h:5432/d user=alice password=-"),
        ("postgres://u:a:b@h/d", &[], "h:5432/d user=u password=a:b"),
        ("postgres://u%40x:p%2F%3a%25%40@h/d%20e", &[], "h:5432/d e user=u@x password=p/:%@"),
        ("postgres://u:p+q@h/d", &[], "h:5432/d user=u password=p+q"),
        ("postgres://u@h:/d", &[], "h:5432/d user=u password=-"),
        ("postgres://u@a:1,b:2,c/d", &[], "a:1,b:2,c:5432/d user=u password=-"),
        ("postgres://u@a,b/d", &[("PGPORT", "7")], "a:7,b:7/d user=u password=-"),
        ("postgres://u@[::1]:7,[fe80::1]/d", &[], "[::1]:7,[fe80::1]:5432/d user=u password=-"),
        ("postgres://u@%2Fvar%2Frun/d", &[], "/var/run:5432/d user=u password=-"),
        ("postgres://u@%2Fsock:7/d", &[], "/sock:7/d user=u password=-"),
        ("postgres:///d?host=/sock&port=7&user=u", &[], "/sock:7/d user=u password=-"),
        ("postgres://u@h/d?host=other", &[], "other:5432/d user=u password=-"),
        ("postgres://h?user=u&dbname=d&password=a%26b", &[], "h:5432/d user=u password=a&b"),
        ("postgres://?user=u&", &[], "/var/run/postgresql:5432,/tmp:5432,localhost:5432/u user=u password=-"),
        (
            "postgres://",
            ALICE,
            "/var/run/postgresql:5432,/tmp:5432,localhost:5432/alice user=alice password=-",
        ),
        // key=value
        ("host=h port=1 dbname=d user=u password=p", &[], "h:1/d user=u password=p"),
        ("host = h\tuser\n=\nu", &[], "h:5432/u user=u password=-"),
        ("host=h user=u password='a b'", &[], "h:5432/u user=u password=a b"),
        (r"host=h user=u password='a\'b\\c'", &[], r"h:5432/u user=u password=a'b\c"),
        (r"host=h user=u password=a\ b\'c", &[], "h:5432/u user=u password=a b'c"),
        ("host=h user=u password=''", &[], "h:5432/u user=u password=-"),
        ("host=h user=u password=a://b", &[], "h:5432/u user=u password=a://b"),
        ("password='postgres://x' host=h user=u", &[], "h:5432/u user=u password=postgres://x"),
        ("host=h user=u user=v", &[], "h:5432/v user=v password=-"),
        ("host=a,b port=1,2 user=u", &[], "a:1,b:2/u user=u password=-"),
        ("host=a,b port=,2 user=u", &[], "a:5432,b:2/u user=u password=-"),
        ("host=/x,b port=1 user=u", &[], "/x:1,b:1/u user=u password=-"),
        ("hostaddr=192.0.2.1 user=u", &[], "192.0.2.1:5432/u user=u password=-"),
        ("host=n hostaddr=192.0.2.1 user=u", &[], "n:5432/u user=u password=-"),
        ("hostaddr=::1 user=u", &[], "[::1]:5432/u user=u password=-"),
        (
            "host=,b user=u",
            &[],
            "/var/run/postgresql:5432,/tmp:5432,localhost:5432,b:5432/u user=u password=-",
        ),
        ("", ALICE, "/var/run/postgresql:5432,/tmp:5432,localhost:5432/alice user=alice password=-"),
        // environment
        ("", PG, "env.example:6000/envdb user=envuser password=envpw"),
        ("postgres://u:p@h:1/d", PG, "h:1/d user=u password=p"),
        ("host=h", PG, "h:6000/envdb user=envuser password=envpw"),
        ("", &[("PGHOST", "/sock"), ("LOGNAME", "bob")], "/sock:5432/bob user=bob password=-"),
        ("", &[("PGHOSTADDR", "192.0.2.9"), ("USER", "bob")], "192.0.2.9:5432/bob user=bob password=-"),
        (
            "",
            &[("PGHOST", ""), ("PGUSER", ""), ("USER", "b")],
            "/var/run/postgresql:5432,/tmp:5432,localhost:5432/b user=b password=-",
        ),
        // What a template sets whether it is used or not.
        (
            "postgres://u:p@h:1/d",
            &[("PGHOST", ""), ("PGPORT", ""), ("PGDATABASE", ""), ("PGSSLMODE", "")],
            "h:1/d user=u password=p",
        ),
        ("host=h", &[("USER", ""), ("LOGNAME", "bob")], "h:5432/bob user=bob password=-"),
    ];
    for (text, env, expected) in cases {
        let target = parse(text, env).unwrap_or_else(|problems| panic!("{text}: {problems}"));
        assert_eq!(summary(&target), *expected, "{text} with {env:?}");
    }
}

#[test]
fn parameters_take_effect() {
    // Text, environment, and a part of the target's Debug output.
    let cases: &[(&str, Env, &str)] = &[
        ("user=u", &[], "connect_timeout: Some(30s)"),
        ("user=u connect_timeout=5", &[], "connect_timeout: Some(5s)"),
        ("user=u connect_timeout=1", &[], "connect_timeout: Some(2s)"),
        ("user=u connect_timeout=0", &[], "connect_timeout: None"),
        ("user=u connect_timeout=-1", &[], "connect_timeout: None"),
        ("user=u connect_timeout=' 7 '", &[], "connect_timeout: Some(7s)"),
        ("user=u", &[("PGCONNECT_TIMEOUT", "9")], "connect_timeout: Some(9s)"),
        ("user=u", &[], r#"application_name: "pgark""#),
        ("user=u fallback_application_name=f", &[], r#"application_name: "f""#),
        ("user=u fallback_application_name=f", &[("PGAPPNAME", "e")], r#"application_name: "e""#),
        ("user=u application_name=a", &[("PGAPPNAME", "e")], r#"application_name: "a""#),
        ("user=u options='-c geqo=off'", &[], r#"options: Some("-c geqo=off")"#),
        ("postgres://u@h/d?options=-c%20geqo%3Doff", &[], r#"options: Some("-c geqo=off")"#),
        ("user=u", &[("PGOPTIONS", "-c a=b")], r#"options: Some("-c a=b")"#),
        ("user=u", &[], "enabled: true, idle: Some(60s), interval: Some(10s), count: Some(6)"),
        ("user=u keepalives=0", &[], "enabled: false"),
        (
            "user=u keepalives_idle=1 keepalives_interval=2 keepalives_count=3",
            &[],
            "idle: Some(1s), interval: Some(2s), count: Some(3)",
        ),
        (
            "user=u keepalives_idle=0 keepalives_interval=0 keepalives_count=0",
            &[],
            "idle: None, interval: None, count: None",
        ),
        ("user=u", &[], "tcp_user_timeout: None"),
        ("user=u tcp_user_timeout=1500", &[], "tcp_user_timeout: Some(1.5s)"),
        ("user=u", &[], "session_attributes: Any"),
        ("user=u target_session_attrs=prefer-standby", &[], "session_attributes: PreferStandby"),
        ("user=u", &[("PGTARGETSESSIONATTRS", "read-write")], "session_attributes: ReadWrite"),
        ("user=u", &[], "channel_binding: Prefer"),
        ("user=u channel_binding=require", &[], "channel_binding: Require"),
        ("user=u", &[("PGCHANNELBINDING", "disable")], "channel_binding: Disable"),
        ("user=u", &[], "mode: Prefer"),
        ("user=u sslmode=disable", &[], "mode: Disable"),
        ("user=u sslmode=allow", &[], "mode: Prefer"),
        ("user=u sslmode=verify-ca", &[], "mode: VerifyCa"),
        ("user=u", &[("PGSSLMODE", "verify-full")], "mode: VerifyFull"),
        ("user=u", &[("PGSSLMODE", "")], "mode: Prefer"),
        ("user=u sslrootcert=system", &[("PGSSLMODE", "")], "mode: VerifyFull"),
        ("user=u sslrootcert=system", &[("SSL_CERT_FILE", "")], "roots: System { ssl_cert_file: None }"),
        ("postgres://u@h/d?ssl=true", &[], "mode: Require"),
        ("user=u sslrootcert=system", &[], "mode: VerifyFull"),
        ("user=u sslrootcert=system", &[], "roots: System"),
        ("user=u sslrootcert=/ca.pem", &[], r#"roots: File("/ca.pem")"#),
        ("user=u", &[("PGSSLROOTCERT", "/e.pem")], r#"roots: File("/e.pem")"#),
        ("user=u", &[("HOME", "/home/u")], r#"roots: Default { home: Some("/home/u") }"#),
        (
            "user=u sslcert=/c sslkey=/k",
            &[],
            r#"client: Some(ClientCertificate { certificate: "/c", key: "/k", named: true })"#,
        ),
        (
            "user=u",
            &[("PGSSLCERT", "/c"), ("PGSSLKEY", "/k")],
            r#"certificate: "/c", key: "/k", named: true"#,
        ),
        (
            "user=u",
            &[("HOME", "/h")],
            r#"certificate: "/h/.postgresql/postgresql.crt", key: "/h/.postgresql/postgresql.key", named: false"#,
        ),
        ("user=u sslcertmode=disable", &[("HOME", "/h")], "client: None"),
        ("user=u sslsni=0", &[], "server_name_indication: false"),
        ("user=u sslmode=require sslnegotiation=direct", &[], "direct: true"),
        ("user=u", &[], "versions: Both"),
        ("user=u ssl_min_protocol_version=TLSv1.3", &[], "versions: Only13"),
        ("user=u ssl_max_protocol_version=TLSv1.2", &[], "versions: Only12"),
        ("user=u ssl_min_protocol_version=TLSv1", &[], "versions: Both"),
        ("user=u ssl_min_protocol_version=''", &[], "versions: Both"),
        ("user=u passfile=/p", &[("PGPASSFILE", "/e")], r#"passfile: Some("/p")"#),
        ("user=u", &[("PGPASSFILE", "/e"), ("HOME", "/h")], r#"passfile: Some("/e")"#),
        ("user=u", &[("HOME", "/h")], r#"passfile: Some("/h/.pgpass")"#),
        ("user=u", &[], "passfile: None"),
        ("user=u gssencmode=prefer krbsrvname=x sslcompression=1 client_encoding=auto", &[], "mode: Prefer"),
        ("user=u service='' load_balance_hosts=disable", &[], "mode: Prefer"),
    ];
    for (text, env, part) in cases {
        let target = parse(text, env).unwrap_or_else(|problems| panic!("{text}: {problems}"));
        let shown = format!("{target:?}");
        assert!(shown.contains(part), "{text} with {env:?}: no {part} in {shown}");
    }
}

/// From a script whose variable is not set: neither the weakest choice, nor that of the environment.
#[test]
fn nothing_is_no_choice_in_a_string() {
    for text in ["postgres://u@h/d?sslmode=", "host=h user=u sslmode=''"] {
        let problems = parse(text, &[("PGSSLMODE", "verify-full")]).unwrap_err().to_string();
        assert!(
            problems.contains("sslmode is \"\", not one of disable, allow, prefer"),
            "{text}: {problems}"
        );
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let cases: &[(&str, Env, &[&str])] = &[
        ("host=h", &[], &["no user name: name one in the string or in PGUSER"]),
        (
            "user=u colour=red port=70000 sslmode=requre connect_timeout=soon",
            &[("PGSERVICE", "prod")],
            &[
                "unknown parameter \"colour\"",
                "environment variable PGSERVICE: service files are not supported, so write the parameters out",
                "port \"70000\" is not a number from 1 to 65535",
                "connect_timeout is \"soon\", not a whole number",
                "sslmode is \"requre\", not one of disable, allow, prefer, require, verify-ca, verify-full",
            ],
        ),
        (
            "mysql://u@h/d",
            &[],
            &[
                "a URL must begin with postgres:// or postgresql://",
                "no user name: name one in the string or in PGUSER",
            ],
        ),
        (
            "user=u service=x",
            &[],
            &["parameter \"service\": service files are not supported, so write the parameters out"],
        ),
        (
            "user=u gssencmode=require",
            &[],
            &["gssencmode is \"require\", but GSSAPI encryption is not supported: use TLS (sslmode)"],
        ),
        ("user=u gssencmode=x", &[], &["gssencmode is \"x\", not one of disable, prefer"]),
        ("user=u load_balance_hosts=random", &[], &["load_balance_hosts is \"random\", not one of disable"]),
        (
            "user=u client_encoding=latin1",
            &[],
            &["client_encoding is \"latin1\", but connections always use UTF8"],
        ),
        ("user=u sslcrl=x", &[], &["parameter \"sslcrl\": certificate revocation lists are not supported"]),
        ("user=u host=a,b hostaddr=192.0.2.1", &[], &["2 host names for 1 hostaddr values"]),
        ("user=u host=a,b port=1,2,3", &[], &["3 ports for 2 hosts"]),
        ("user=u hostaddr=h", &[], &["hostaddr \"h\" is not an IP address"]),
        (
            "user=u host=@abstract",
            &[],
            &["abstract Unix-domain sockets (host beginning with @) are not supported"],
        ),
        ("user=u port=0", &[], &["port \"0\" is not a number from 1 to 65535"]),
        ("user=u password='x", &[], &["the quoted value of \"password\" never ends"]),
        ("user=u sslcert=/c", &[], &["sslcert and sslkey must be given together"]),
        (
            "user=u sslrootcert=system sslmode=require",
            &[],
            &[
                "sslrootcert=system needs sslmode=verify-full: anyone can get a certificate that a public authority signed",
            ],
        ),
        ("user=u sslnegotiation=direct", &[], &["sslnegotiation=direct needs sslmode=require or stronger"]),
        (
            "user=u ssl_max_protocol_version=TLSv1.1",
            &[],
            &["ssl_min_protocol_version and ssl_max_protocol_version leave neither TLS 1.2 nor 1.3"],
        ),
        (
            "user=u ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
            &[],
            &["ssl_min_protocol_version and ssl_max_protocol_version leave neither TLS 1.2 nor 1.3"],
        ),
        ("postgres://u@h/d?pgbouncer=true", &[], &["unknown parameter \"pgbouncer\""]),
        ("postgres://u@[::1/d", &[], &["host 1 opens a [ that no ] closes"]),
        ("postgres://u@a,[::1]x/d", &[], &["host 2 is not of the form [IPv6-address]:port"]),
        ("postgres://u@[]/d", &[], &["host 1 is not of the form [IPv6-address]:port"]),
        (
            "postgres://u@h/d?a",
            &[],
            &["query parameter 1 is not of the form name=value (write = inside a value as %3D)"],
        ),
        (
            "postgres://u@h/d?user=u&options=-c a=b",
            &[],
            &["query parameter 2 is not of the form name=value (write = inside a value as %3D)"],
        ),
        (
            "postgres://u@h/d%2",
            &[],
            &["dbname has a % that two hexadecimal digits (not 00) do not follow (write % as %25)"],
        ),
        (
            "postgres://u@h/%00",
            &[],
            &["dbname has a % that two hexadecimal digits (not 00) do not follow (write % as %25)"],
        ),
        ("postgres://u@h/%ff", &[], &["dbname is not UTF-8 after percent-decoding"]),
    ];
    for (text, env, expected) in cases {
        let problems = parse(text, env).expect_err(text);
        assert_eq!(problems.list(), *expected, "{text}");
        assert_eq!(problems.code(), "connect.settings");
    }
}

#[test]
fn no_output_shows_a_password() {
    let texts = [
        "postgres://u:hush/hush@h/d",
        "postgres://u:hush@hush@h/d",
        "postgres://u:1/hush@h/d",
        "postgres://u:hush%zz@h/d",
        "postgres://u:hush%ff@h/d",
        "postgres://u:p@h/d?password=hush=hush",
        "postgres://u:p@h/d?sslpassword=hush",
        "host=h user=u password=a hush",
        "host=h user=u password='hush",
        "host=h user=u sslpassword=hush",
    ];
    for text in texts {
        let problems = parse(text, &[]).expect_err(text);
        let shown = format!("{problems} {problems:?} {}", problems.hint());
        assert!(!shown.contains("hush"), "{text}: {shown}");
    }
    let target = parse("host=h user=u password=hush", &[]).unwrap();
    for target in [&target, &target.with_password("hush hush"), &target.with_database("d")] {
        assert!(target.is_password_set());
        let shown = format!("{target:?} {target:#?} {}", target.display());
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn a_target_can_be_varied() {
    let target = parse("postgres://u:p@h/d?sslmode=verify-full", &[]).unwrap();
    let other = target.with_database("e").with_password("q").with_application_name("worker 1");
    assert_eq!(summary(&other), "h:5432/e user=u password=q");
    assert_eq!(other.application_name, "worker 1");
    assert_eq!((other.tls.mode, &other.tls.roots), (SslMode::VerifyFull, &Roots::Default { home: None }));
    let host = Endpoint::Host { name: "h".into(), address: None, port: 5432 };
    assert_eq!(other.endpoints, [host]);
}

#[tokio::test]
async fn failures_name_each_place_and_the_furthest_decides() {
    // Port 1 of this machine, where nothing listens, and a name reserved for never resolving (RFC 6761).
    let unknown = parse("postgres://u@nowhere.invalid/d", &[]).unwrap();
    let error = connect(&unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownHost, "{error}");
    assert_eq!(error.code(), "connect.unknown_host");

    let both = parse("postgres://u@nowhere.invalid,127.0.0.1:1/d", &[]).unwrap();
    let error = connect(&both).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("cannot connect to database \"d\" as \"u\": nowhere.invalid:5432: "), "{text}");
    assert!(text.contains("; 127.0.0.1:1: Connection refused"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let socket = parse(&format!("user=u host={}", folder.path().display()), &[]).unwrap();
    let error = connect(&socket).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn a_silent_server_is_a_time_out() {
    // Accepts connections (the kernel does) and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = parse(&format!("postgres://u@127.0.0.1:{port}/d?connect_timeout=2"), &[]).unwrap();
    let error = connect(&target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().ends_with("no answer within 2 s"), "{error}");
}

/// A server that has no TLS and refuses every login with this SQLSTATE and message. Returns its port.
async fn refusing_server(sqlstate: &'static str, message: &'static str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const SSL_REQUEST: u32 = 80_877_103;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (len, version) = (socket.read_u32().await.unwrap(), socket.read_u32().await.unwrap());
            if version == SSL_REQUEST {
                socket.write_all(b"N").await.unwrap();
                continue;
            }
            let mut parameters = vec![0; len as usize - 8];
            socket.read_exact(&mut parameters).await.unwrap();
            let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0");
            socket.write_all(b"E").await.unwrap();
            socket.write_u32(u32::try_from(fields.len()).unwrap() + 4).await.unwrap();
            socket.write_all(fields.as_bytes()).await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let cases = [
        ("28P01", "password authentication failed", ErrorKind::Authentication),
        ("28000", "no pg_hba.conf entry", ErrorKind::Authentication),
        ("42501", "permission denied for database", ErrorKind::Authentication),
        ("3D000", "database does not exist", ErrorKind::NoDatabase),
        ("08P01", "no such database: d", ErrorKind::NoDatabase),
        ("53300", "sorry, too many clients already", ErrorKind::TooManyConnections),
        ("57P03", "the database system is starting up", ErrorKind::Unavailable),
        ("57P01", "terminating connection due to administrator command", ErrorKind::Unavailable),
        ("XX000", "Tenant or user not found", ErrorKind::Other),
    ];
    for (sqlstate, message, kind) in cases {
        let port = refusing_server(sqlstate, message).await;
        for sslmode in ["disable", "prefer"] {
            let target =
                parse(&format!("postgres://u:hush@127.0.0.1:{port}/d?sslmode={sslmode}"), &[]).unwrap();
            let error = connect(&target).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{sslmode}: {error}");
            assert_eq!(error.sqlstate().unwrap().code(), sqlstate);
            let expected = format!(
                "cannot connect to database \"d\" as \"u\": 127.0.0.1:{port}: {message} (SQLSTATE {sqlstate})"
            );
            assert_eq!(error.to_string(), expected);
        }
        let target = parse(&format!("postgres://u@127.0.0.1:{port}/d?sslmode=require"), &[]).unwrap();
        let error = connect(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(error.to_string().ends_with("TLS: server does not support TLS"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_login_ends_the_search_and_a_starting_server_does_not() {
    let starting = refusing_server("57P03", "the database system is starting up").await;
    let refusing = refusing_server("28P01", "password authentication failed").await;
    let hosts = format!("127.0.0.1:{starting},127.0.0.1:{refusing},127.0.0.1:1");
    let target = parse(&format!("postgres://u:p@{hosts}/d"), &[]).unwrap();
    let error = connect(&target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let text = error.to_string();
    assert!(text.contains("starting up") && text.contains("password") && !text.contains(":1:"), "{text}");
}

/// Notes for whom it was asked.
#[derive(Default)]
struct Tokens(std::sync::Mutex<Vec<String>>);

impl PasswordSource for Tokens {
    fn password<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        user: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        let mut asked = self.0.lock().unwrap();
        asked.push(format!("{user}@{host}:{port}"));
        let made = if asked.len() < 3 { Ok("token".to_owned()) } else { Err("no credentials".to_owned()) };
        Box::pin(std::future::ready(made))
    }
}

#[tokio::test]
async fn a_password_is_made_for_each_connection_and_goes_over_tls_only() {
    let tokens = std::sync::Arc::new(Tokens::default());
    let port = refusing_server("28P01", "password authentication failed").await;
    let target = |mode: &str| {
        let text = format!("host=localhost hostaddr=127.0.0.1 port={port} user=u dbname=d sslmode={mode}");
        parse(&text, &[]).unwrap().with_passwords(tokens.clone())
    };
    for mode in ["disable", "prefer"] {
        let error = connect(&target(mode)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(
            error.to_string().contains("goes over TLS only") && error.hint().contains("sslmode="),
            "{error}"
        );
    }
    assert_eq!(*tokens.0.lock().unwrap(), [""; 0]);

    for asked in 1..=2 {
        connect(&target("require")).await.unwrap_err();
        assert_eq!(*tokens.0.lock().unwrap(), vec![format!("u@localhost:{port}"); asked]);
    }
    let error = connect(&target("verify-full")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("no credentials"), "{error}");
}

#[tokio::test]
async fn unfit_tls_files_are_named_before_anything_is_sent() {
    for parameter in ["sslrootcert=/absent.pem", "sslmode=require&sslcert=/absent.pem&sslkey=/absent.pem"] {
        let target = parse(&format!("postgres://u@127.0.0.1:1/d?{parameter}"), &[]).unwrap();
        let error = connect(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("/absent.pem"), "{error}");
    }
}
