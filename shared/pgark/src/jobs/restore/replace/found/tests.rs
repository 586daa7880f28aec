//! What is found on a server, and what follows from it.

use super::*;

const NEW_NAME: &str = "shop_pgark_new_20261121t020000z";

fn backup(id: &str) -> BackupId {
    id.parse().unwrap()
}

fn marked(name: &str, state: State, of: &str, replaces: &str) -> Database {
    let marker = Marker {
        state,
        backup: backup(of),
        begun: "2026-11-21T02:00:00Z".parse().unwrap(),
        replaces: Some(replaces.to_owned()),
        comment: None,
    };
    Database { name: name.to_owned(), comment: Some(marker.text()), sessions: 0 }
}

fn plain(name: &str) -> Database {
    Database { name: name.to_owned(), comment: None, sessions: 0 }
}

const THIS: &str = "20261121T020000Z-7k3f";
const OTHER: &str = "20261120T020000Z-aaaa";

#[test]
fn each_state_is_told_from_names_and_comments() {
    // Unmarked, partial, ready, refused.
    for (database, expected) in [
        (plain("shop"), [false; 4]),
        (plain(NEW_NAME), [true, false, false, false]),
        (plain("shop_pgark_new_of_mine"), [false; 4]),
        (plain("shop2_pgark_new_20261121t020000z"), [false; 4]),
        (marked(NEW_NAME, State::Restoring, THIS, "shop"), [false, true, false, false]),
        (marked(NEW_NAME, State::Ready, THIS, "shop"), [false, false, true, false]),
        (marked(NEW_NAME, State::Ready, OTHER, "shop"), [false, true, false, false]),
        // The marker decides, not the name.
        (marked("anything", State::Restoring, THIS, "shop"), [false, true, false, false]),
        (marked(NEW_NAME, State::Restoring, THIS, "shop2"), [false; 4]),
        (marked("shop_pgark_old_20261121t020000z", State::Former, THIS, "shop"), [false, false, false, true]),
        (marked("shop_pgark_old_20261121t020000z", State::Former, OTHER, "shop"), [false; 4]),
    ] {
        let found = look("shop", backup(THIS), std::slice::from_ref(&database));
        let is = [
            !found.unmarked.is_empty(),
            !found.partial.is_empty(),
            found.ready.is_some(),
            found.refusal.is_some(),
        ];
        assert_eq!(is, expected, "{database:?}");
        assert_eq!(found.words.len(), expected[..3].iter().filter(|is| **is).count(), "{database:?}");
    }
}

#[test]
fn names_fit_and_are_found_again() {
    for live in ["shop", &"x".repeat(63), &"é".repeat(31)] {
        for kind in [NEW, FORMER, UNDONE] {
            let name = named(live, kind, "20261121t020000z");
            assert!(name.len() <= NAME_BYTES_MAX && name.contains(kind), "{name}");
        }
        let name = named(live, NEW, "20261121t020000z");
        assert_eq!(look(live, backup(THIS), &[plain(&name)]).unmarked, [name]);
    }
}
