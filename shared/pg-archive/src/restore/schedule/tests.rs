//! The schedule's rules one by one, and all of them on random graphs.

use super::*;

fn task(after: &[usize]) -> Task {
    Task {
        pass: Pass::Main,
        after: after.to_vec(),
        needs: Vec::new(),
        weight: 0,
        empty: false,
        exclusive: Vec::new(),
        shared: Vec::new(),
    }
}

/// Starts everything that may start now.
fn start_all(schedule: &mut Schedule) -> (Vec<usize>, Next) {
    let mut started = Vec::new();
    loop {
        match schedule.next() {
            Next::Run(index) => started.push(index),
            other => return (started, other),
        }
    }
}

#[test]
fn nothing_to_do_is_finished() {
    assert_eq!(Schedule::new(Vec::new(), false).next(), Next::Finished);
}

#[test]
fn a_task_waits_for_all_that_it_depends_on() {
    let mut schedule = Schedule::new(vec![task(&[]), task(&[]), task(&[0, 1, 1])], false);
    assert_eq!(start_all(&mut schedule), (vec![0, 1], Next::Wait));
    schedule.done(1);
    assert_eq!(schedule.next(), Next::Wait);
    schedule.done(0);
    assert_eq!(start_all(&mut schedule), (vec![2], Next::Wait));
    schedule.done(2);
    assert_eq!(schedule.next(), Next::Finished);
}

#[test]
fn heavy_tasks_start_first_and_equal_ones_in_their_order() {
    let weights = [1, 9, 1, 5];
    let tasks = weights.map(|weight| Task { weight, ..task(&[]) });
    assert_eq!(start_all(&mut Schedule::new(tasks.to_vec(), false)).0, [1, 3, 0, 2]);
}

#[test]
fn empty_tasks_pass_their_waiting_on() {
    let tasks = vec![task(&[]), Task { empty: true, ..task(&[0]) }, task(&[1])];
    let mut schedule = Schedule::new(tasks, false);
    assert_eq!(start_all(&mut schedule), (vec![0], Next::Wait));
    schedule.done(0);
    assert_eq!(start_all(&mut schedule), (vec![2], Next::Wait));
}

#[test]
fn exclusive_use_keeps_all_others_out_and_shared_use_only_exclusive_ones() {
    let uses = |exclusive: &[usize], shared: &[usize]| Task {
        exclusive: exclusive.to_vec(),
        shared: shared.to_vec(),
        ..task(&[])
    };
    for (first, second, together) in [
        (uses(&[7], &[]), uses(&[7], &[]), false),
        (uses(&[7], &[]), uses(&[], &[7]), false),
        (uses(&[], &[7]), uses(&[7], &[]), false),
        (uses(&[], &[7]), uses(&[], &[7]), true),
        (uses(&[7], &[]), uses(&[8], &[]), true),
        (uses(&[7, 8], &[]), uses(&[9], &[8]), false),
    ] {
        let mut schedule = Schedule::new(vec![first, second], false);
        let started = start_all(&mut schedule).0;
        assert_eq!(started.len() == 2, together, "{schedule:?}");
        schedule.done(0);
        if !together {
            assert_eq!(schedule.next(), Next::Run(1));
        }
    }
}

#[test]
fn a_pass_starts_when_the_one_before_is_done() {
    let grants = Task { pass: Pass::Grants, weight: 100, ..task(&[]) };
    let refresh = Task { pass: Pass::Refresh, ..task(&[]) };
    let triggers = Task { pass: Pass::EventTriggers, ..task(&[]) };
    let mut schedule = Schedule::new(vec![triggers, refresh, grants, task(&[])], false);
    for expected in [3, 2, 1, 0] {
        assert_eq!(start_all(&mut schedule), (vec![expected], Next::Wait));
        schedule.done(expected);
    }
    assert_eq!(schedule.next(), Next::Finished);
}

#[test]
fn a_task_that_waits_for_a_later_pass_runs_after_it() {
    let mut schedule = Schedule::new(vec![task(&[1]), Task { pass: Pass::Refresh, ..task(&[]) }], false);
    assert_eq!(schedule.next(), Next::Run(1));
    schedule.done(1);
    assert_eq!(schedule.next(), Next::Run(0));
}

#[test]
fn a_circle_runs_in_order_one_at_a_time() {
    let mut schedule = Schedule::new(vec![task(&[2]), task(&[0]), task(&[1]), task(&[2])], false);
    assert_eq!(start_all(&mut schedule), (vec![0], Next::Wait));
    schedule.done(0);
    assert_eq!(start_all(&mut schedule), (vec![1], Next::Wait));
    schedule.done(1);
    assert_eq!(start_all(&mut schedule), (vec![2], Next::Wait));
    schedule.done(2);
    assert_eq!(start_all(&mut schedule), (vec![3], Next::Wait));
    schedule.done(3);
    assert_eq!(schedule.next(), Next::Finished);
}

/// Numbers that look random and are the same in every run (`xorshift64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn some(&mut self, count_max: usize, end: usize) -> Vec<usize> {
        if end == 0 {
            return Vec::new();
        }
        (0..self.below(count_max + 1)).map(|_| self.below(end)).collect()
    }
}

fn random_tasks(random: &mut Random, circles: bool) -> Vec<Task> {
    let count = 1 + random.below(40);
    let tasks = (0..count).map(|index| Task {
        pass: PASSES[1 + random.below(8).min(3)],
        after: random.some(3, if circles { count } else { index }),
        needs: if circles { Vec::new() } else { random.some(2, index) },
        weight: random.below(4) as u64,
        empty: random.below(5) == 0,
        exclusive: random.some(1, 6),
        shared: random.some(2, 6),
    });
    tasks.collect()
}

/// Runs a schedule with so many workers, finishing running tasks in random order, and checks every rule.
fn run_and_check(tasks: &[Task], workers: usize, random: &mut Random, circles: bool) {
    let mut schedule = Schedule::new(tasks.to_vec(), false);
    let (mut running, mut done) = (Vec::new(), vec![false; tasks.len()]);
    // Some are refused once, some always.
    let refusals: Vec<usize> = tasks.iter().map(|_| [0, 0, 0, 1, usize::MAX][random.below(5)]).collect();
    let mut left = refusals.clone();
    loop {
        let next = if running.len() < workers { schedule.next() } else { Next::Wait };
        match next {
            Next::Finished => break,
            Next::Wait => {
                assert!(!running.is_empty(), "waits for nobody");
                let index: usize = running.swap_remove(random.below(running.len()));
                if !circles && left[index] > 0 {
                    left[index] -= 1;
                    schedule.refused(index, true);
                } else {
                    done[index] = true;
                    schedule.done(index);
                }
            }
            Next::Run(index) => {
                let task = &tasks[index];
                assert!(!task.empty && !done[index] && !running.contains(&index), "runs once");
                for other in running.iter().map(|other: &usize| &tasks[*other]) {
                    let meets =
                        |mine: &[usize], theirs: &[usize]| mine.iter().any(|thing| theirs.contains(thing));
                    assert!(!meets(&task.exclusive, &other.exclusive), "two exclusive users");
                    assert!(!meets(&task.exclusive, &other.shared) && !meets(&task.shared, &other.exclusive));
                }
                let earlier = (0..tasks.len()).filter(|other| tasks[*other].pass < task.pass);
                let alone = |other: &usize| tasks[*other].after.is_empty() && tasks[*other].needs.is_empty();
                assert!(
                    earlier
                        .filter(alone)
                        .all(|other| done[other] || tasks[other].empty || refusals[other] != left[other])
                );
                let ended = |other: usize| done[other] || schedule.left_out().contains_key(&other);
                if !circles {
                    assert!(all_before_have_ended(tasks, index, &ended), "runs too early");
                }
                running.push(index);
            }
        }
    }
    assert!(running.is_empty());
    let left_out = schedule.left_out();
    for (index, (task, done)) in tasks.iter().zip(done).enumerate() {
        assert!(done || task.empty || left_out.contains_key(&index), "was forgotten");
        assert!(!done || !left_out.contains_key(&index), "is both");
        let needed = task.needs.iter().find(|needed| left_out.contains_key(*needed));
        match left_out.get(&index) {
            Some(None) => assert!(refusals[index] > 0, "was given up for nothing"),
            Some(Some(needed)) => assert!(task.needs.contains(needed) && left_out.contains_key(needed)),
            None => assert_eq!(needed, None, "is there without what it needs"),
        }
    }
}

fn all_before_have_ended(tasks: &[Task], index: usize, ended: &impl Fn(usize) -> bool) -> bool {
    tasks[index].after.iter().chain(&tasks[index].needs).all(|before| {
        ended(*before) || (tasks[*before].empty && all_before_have_ended(tasks, *before, ended))
    })
}

/// Runs all with one worker. Tasks of the list are refused so many times. Returns the order of the tries.
fn tries(tasks: &[Task], refused: &[(usize, usize)], strict: bool) -> (Vec<usize>, Schedule) {
    let mut refused: HashMap<usize, usize> = refused.iter().copied().collect();
    let mut schedule = Schedule::new(tasks.to_vec(), strict);
    let mut tries = Vec::new();
    while let Next::Run(index) = schedule.next() {
        tries.push(index);
        match refused.get_mut(&index) {
            Some(left) if *left > 0 => {
                *left -= 1;
                schedule.refused(index, true);
            }
            _ => schedule.done(index),
        }
    }
    (tries, schedule)
}

fn left_out(schedule: &Schedule) -> Vec<(usize, Option<usize>)> {
    schedule.left_out().iter().map(|(index, needs)| (*index, *needs)).collect()
}

#[test]
fn what_needs_a_refused_task_falls_and_what_only_waited_for_it_goes_on() {
    let needing = |needs: &[usize]| Task { needs: needs.to_vec(), ..task(&[]) };
    let tasks =
        [task(&[]), needing(&[0]), task(&[0]), needing(&[1]), Task { empty: true, ..task(&[0]) }, task(&[4])];
    let (order, schedule) = tries(&tasks, &[(0, 9)], false);
    // Nothing else was done, so no second try could come to another end before it was given up.
    assert_eq!(order, [0, 2, 5]);
    assert_eq!(left_out(&schedule), [(0, None), (1, Some(0)), (3, Some(1))]);
}

#[test]
fn a_refused_task_is_tried_again_as_long_as_others_succeed() {
    // Of three that need each other's rows, one more succeeds in each round.
    let tasks = [task(&[]), task(&[]), task(&[]), task(&[0, 1, 2])];
    let (order, schedule) = tries(&tasks, &[(0, 2), (1, 1)], false);
    assert_eq!(order, [0, 1, 2, 0, 1, 0, 3]);
    assert!(schedule.left_out().is_empty());
}

#[test]
fn one_without_hope_is_tried_once() {
    let mut schedule = Schedule::new(vec![task(&[]), task(&[])], false);
    assert_eq!(schedule.next(), Next::Run(0));
    schedule.refused(0, false);
    assert_eq!(schedule.next(), Next::Run(1));
    schedule.done(1);
    assert_eq!(schedule.next(), Next::Finished);
    assert_eq!(left_out(&schedule), [(0, None)]);
}

#[test]
fn definitions_run_one_by_one_and_a_refused_one_waits_for_indexes() {
    let definition = |needs: &[usize]| Task { pass: Pass::Definitions, needs: needs.to_vec(), ..task(&[]) };
    let tasks =
        [definition(&[]), definition(&[0]), definition(&[]), task(&[]), Task { needs: vec![1], ..task(&[]) }];
    let mut schedule = Schedule::new(tasks.to_vec(), false);
    assert_eq!(start_all(&mut schedule), (vec![0], Next::Wait));
    schedule.refused(0, true);
    assert_eq!(start_all(&mut schedule), (vec![2], Next::Wait));
    schedule.done(2);
    // It is tried again at the end of the definitions, and once more when nothing else can be done.
    assert_eq!(start_all(&mut schedule), (vec![0], Next::Wait));
    schedule.refused(0, true);
    assert_eq!(start_all(&mut schedule), (vec![3], Next::Wait));
    schedule.done(3);
    for expected in [0, 1, 4] {
        assert_eq!(start_all(&mut schedule), (vec![expected], Next::Wait));
        schedule.done(expected);
    }
    assert_eq!(schedule.next(), Next::Finished);
    assert!(schedule.left_out().is_empty());
}

#[test]
fn a_strict_schedule_gives_up_at_the_end_of_the_definitions() {
    let definition = Task { pass: Pass::Definitions, ..task(&[]) };
    let mut schedule = Schedule::new(vec![definition, task(&[])], true);
    assert_eq!(schedule.next(), Next::Run(0));
    schedule.refused(0, true);
    assert_eq!(schedule.next(), Next::Run(1));
    assert_eq!(left_out(&schedule), [(0, None)]);
}

#[test]
fn what_is_in_nobodys_way_is_tried_once_more_before_event_triggers() {
    let late = |pass| Task { pass, ..task(&[]) };
    let tasks = [task(&[]), late(Pass::Grants), late(Pass::Refresh), late(Pass::EventTriggers)];
    let (order, schedule) = tries(&tasks, &[(0, 2)], false);
    assert_eq!(order, [0, 1, 0, 2, 0, 3]);
    assert!(schedule.left_out().is_empty());
}

#[test]
fn the_rules_hold_for_random_graphs_with_and_without_circles() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..3_000 {
        let circles = round % 3 == 0;
        let tasks = random_tasks(&mut random, circles);
        let workers = 1 + random.below(6);
        run_and_check(&tasks, workers, &mut random, circles);
    }
}
