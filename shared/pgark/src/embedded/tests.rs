//! What needs no server. That servers start, and end with their owner, is tested by the suite `restore_test`.

use super::*;

#[test]
fn the_end_of_a_log_is_one_line() {
    assert_eq!(end_of("a\n\n  b \n"), "a; b");
    let many = (0..100).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
    assert!(end_of(&many).starts_with("85; 86;"), "{}", end_of(&many));
}

#[test]
fn many_relations_need_many_locks() {
    let settings = |relations| {
        let options = Options { superuser: "postgres".to_owned(), relations };
        let settings = settings(Path::new("/tmp/pgark-pg-x"), &options);
        settings.into_iter().find(|(name, _)| *name == "max_locks_per_transaction").unwrap().1
    };
    assert_eq!([settings(0), settings(100_000)], ["64", "2064"]);
}
