//! What waits for what in archives of a few entries.

use super::*;
use crate::restore::entry_for_tests;
use crate::restore::schedule::{Next, Schedule};

/// Desc, tag, section, dependencies: the ids are the places, from 1.
type Row = (&'static str, &'static str, Section, &'static [u32]);

fn archive(rows: &[Row]) -> Vec<Entry> {
    let entries = rows.iter().zip(1..).map(|((desc, tag, section, after), id)| {
        let mut entry = entry_for_tests(id, desc, tag, *section, after);
        entry.schema = Some("public".to_owned());
        if *desc == "TABLE DATA" {
            entry.definition = None;
            entry.data_file = Some(format!("{id}.dat"));
            entry.copy_statement = Some(format!("COPY public.{tag} (a) FROM stdin;\n"));
        }
        entry
    });
    entries.collect()
}

fn planned(entries: &[Entry], options: &RestoreOptions) -> Vec<Task> {
    plan(entries, &vec![Wanted { definition: true, data: true }; entries.len()], options)
}

/// A schedule in which the definitions that data needs are made.
fn behind_definitions(tasks: Vec<Task>) -> Schedule {
    let definitions = tasks.iter().filter(|task| task.pass == Pass::Definitions && !task.empty).count();
    let mut schedule = Schedule::new(tasks, false);
    for _ in 0..definitions {
        let Next::Run(index) = schedule.next() else { panic!("a definition waits") };
        schedule.done(index);
    }
    schedule
}

/// The order in which so many sessions start the entries behind the definitions, each task being done before the next
/// that needs a session: `[ids started together] …`.
fn waves(tasks: Vec<Task>) -> Vec<Vec<u32>> {
    let mut schedule = behind_definitions(tasks);
    let mut waves = Vec::new();
    loop {
        let mut wave = Vec::new();
        while let Next::Run(index) = schedule.next() {
            wave.push(index);
        }
        if wave.is_empty() {
            return waves;
        }
        waves.push(wave.iter().map(|index| u32::try_from(index + 1).unwrap()).collect());
        for index in wave {
            schedule.done(index);
        }
    }
}

#[test]
fn definitions_run_first_and_in_order_up_to_the_data() {
    let entries = archive(&[
        ("TABLE", "t", Section::PreData, &[]),
        ("COMMENT", "TABLE t", Section::None, &[1]),
        ("ACL", "TABLE t", Section::None, &[1]),
        ("TABLE DATA", "t", Section::Data, &[1]),
        ("FUNCTION", "f()", Section::PreData, &[]),
        ("COMMENT", "FUNCTION f()", Section::None, &[5]),
    ]);
    let tasks = planned(&entries, &RestoreOptions::default());
    let first: Vec<usize> = (0..tasks.len()).filter(|at| tasks[*at].pass == Pass::Definitions).collect();
    assert_eq!(first, [0, 1, 4]);
    let mut schedule = Schedule::new(tasks, false);
    for expected in first {
        assert_eq!((schedule.next(), schedule.next()), (Next::Run(expected), Next::Wait));
        schedule.done(expected);
    }
}

#[test]
fn an_index_waits_for_every_chunk_of_its_table_even_if_the_archive_does_not_say_so() {
    let entries = archive(&[
        ("TABLE", "t", Section::PreData, &[]),
        ("TABLE DATA", "t", Section::Data, &[]),
        ("TABLE DATA", "t", Section::Data, &[]),
        ("TABLE DATA", "t", Section::Data, &[1]),
        ("INDEX", "t_index", Section::PostData, &[1]),
        ("CONSTRAINT", "t t_pkey", Section::PostData, &[1]),
    ]);
    let plan = planned(&entries, &RestoreOptions::default());
    assert_eq!(waves(plan), [vec![2, 3, 4], vec![5], vec![6]]);
}

#[test]
fn an_index_starts_while_other_tables_are_loaded_and_a_trigger_does_not() {
    let entries = archive(&[
        ("TABLE", "t", Section::PreData, &[]),
        ("TABLE", "u", Section::PreData, &[]),
        ("TABLE DATA", "t", Section::Data, &[1]),
        ("TABLE DATA", "u", Section::Data, &[2]),
        ("INDEX", "t_index", Section::PostData, &[1]),
        ("TRIGGER", "t trigger", Section::PostData, &[1]),
        ("FK CONSTRAINT", "t fkey", Section::PostData, &[1, 2]),
    ]);
    let mut schedule = behind_definitions(planned(&entries, &RestoreOptions::default()));
    assert_eq!((schedule.next(), schedule.next(), schedule.next()), (Next::Run(2), Next::Run(3), Next::Wait));
    schedule.done(2);
    assert_eq!((schedule.next(), schedule.next()), (Next::Run(4), Next::Wait));
    schedule.done(4);
    assert_eq!(schedule.next(), Next::Wait);
    schedule.done(3);
    assert_eq!((schedule.next(), schedule.next()), (Next::Run(5), Next::Wait));
}

#[test]
fn what_is_made_on_a_partitioned_table_waits_for_the_rows_of_its_partitions() {
    let entries = archive(&[
        ("TABLE", "p", Section::PreData, &[]),
        ("TABLE", "p1", Section::PreData, &[]),
        ("TABLE", "p2", Section::PreData, &[]),
        ("TABLE ATTACH", "p1", Section::PreData, &[1, 2]),
        ("TABLE ATTACH", "p2", Section::PreData, &[3, 1]),
        ("TABLE DATA", "p1", Section::Data, &[2]),
        ("TABLE DATA", "p2", Section::Data, &[3]),
        ("CONSTRAINT", "p p_pkey", Section::PostData, &[1]),
        ("INDEX", "p1_index", Section::PostData, &[2]),
    ]);
    let mut schedule = behind_definitions(planned(&entries, &RestoreOptions::default()));
    assert_eq!((schedule.next(), schedule.next(), schedule.next()), (Next::Run(5), Next::Run(6), Next::Wait));
    schedule.done(5);
    assert_eq!((schedule.next(), schedule.next()), (Next::Run(8), Next::Wait));
    schedule.done(6);
    assert_eq!(schedule.next(), Next::Wait, "the partition is in use by its index");
    schedule.done(8);
    assert_eq!(schedule.next(), Next::Run(7));
}

#[test]
fn rows_that_go_through_the_root_hold_back_all_indexes() {
    let mut entries = archive(&[
        ("TABLE", "p1", Section::PreData, &[]),
        ("TABLE", "p2", Section::PreData, &[]),
        ("TABLE DATA", "p1", Section::Data, &[1]),
        ("INDEX", "p2_index", Section::PostData, &[2]),
    ]);
    entries[2].copy_statement = Some("COPY public.p (a) FROM stdin;\n".to_owned());
    assert_eq!(waves(planned(&entries, &RestoreOptions::default())), [vec![3], vec![4]]);
}

#[test]
fn large_tables_and_what_is_built_on_them_come_first() {
    let entries = archive(&[
        ("TABLE", "small", Section::PreData, &[]),
        ("TABLE", "large", Section::PreData, &[]),
        ("TABLE DATA", "small", Section::Data, &[1]),
        ("TABLE DATA", "large", Section::Data, &[2]),
        ("INDEX", "small_index", Section::PostData, &[1]),
        ("INDEX", "large_index", Section::PostData, &[2]),
    ]);
    let data_bytes = [("3.dat".to_owned(), 10), ("4.dat".to_owned(), 1_000)].into();
    let options = RestoreOptions { data_bytes, ..RestoreOptions::default() };
    assert_eq!(waves(planned(&entries, &options)), [vec![4, 3], vec![6, 5]]);
}

#[test]
fn grants_refreshes_and_event_triggers_come_last_in_this_order() {
    let entries = archive(&[
        ("EVENT TRIGGER", "e", Section::PostData, &[]),
        ("COMMENT", "EVENT TRIGGER e", Section::None, &[1]),
        ("MATERIALIZED VIEW DATA", "m2", Section::PostData, &[4]),
        ("MATERIALIZED VIEW DATA", "m1", Section::PostData, &[]),
        ("ACL", "TABLE t", Section::None, &[8]),
        ("ACL", "TABLE u", Section::None, &[]),
        ("INDEX", "m1_index", Section::PostData, &[]),
        ("TABLE", "t", Section::PreData, &[]),
    ]);
    let order = waves(planned(&entries, &RestoreOptions::default()));
    assert_eq!(order, [vec![7], vec![5], vec![6], vec![4], vec![3], vec![1], vec![2]]);
}

#[test]
fn rows_need_their_table_and_an_index_can_do_without_rows() {
    let entries = archive(&[
        ("TABLE", "t", Section::PreData, &[]),
        ("COMMENT", "TABLE t", Section::None, &[1]),
        ("TABLE DATA", "t", Section::Data, &[]),
        ("TABLE DATA", "t", Section::Data, &[]),
        ("INDEX", "t_index", Section::PostData, &[1, 3, 4]),
        ("FK CONSTRAINT", "u fkey", Section::PostData, &[5]),
    ]);
    let tasks = planned(&entries, &RestoreOptions::default());
    let needs: Vec<&[usize]> = tasks.iter().map(|task| task.needs.as_slice()).collect();
    assert_eq!(needs, [&[][..], &[0], &[0], &[0], &[0], &[4], &[], &[]]);
}

#[test]
fn rows_of_an_extension_come_before_all_others() {
    let entries = archive(&[
        ("EXTENSION", "postgis", Section::PreData, &[]),
        ("TABLE", "sites", Section::PreData, &[]),
        ("TABLE DATA", "sites", Section::Data, &[2]),
        ("TABLE DATA", "spatial_ref_sys", Section::Data, &[1]),
    ]);
    assert_eq!(waves(planned(&entries, &RestoreOptions::default())), [vec![4], vec![3]]);
}
