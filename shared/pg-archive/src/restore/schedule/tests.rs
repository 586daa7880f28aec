//! The schedule's rules one by one, and all of them on random graphs.

use super::*;

fn task(after: &[usize]) -> Task {
    Task {
        pass: Pass::Main,
        after: after.to_vec(),
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
    assert_eq!(Schedule::new(Vec::new()).next(), Next::Finished);
}

#[test]
fn a_task_waits_for_all_that_it_depends_on() {
    let mut schedule = Schedule::new(vec![task(&[]), task(&[]), task(&[0, 1, 1])]);
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
    assert_eq!(start_all(&mut Schedule::new(tasks.to_vec())).0, [1, 3, 0, 2]);
}

#[test]
fn empty_tasks_pass_their_waiting_on() {
    let tasks = vec![task(&[]), Task { empty: true, ..task(&[0]) }, task(&[1])];
    let mut schedule = Schedule::new(tasks);
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
        let mut schedule = Schedule::new(vec![first, second]);
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
    let mut schedule = Schedule::new(vec![triggers, refresh, grants, task(&[])]);
    for expected in [3, 2, 1, 0] {
        assert_eq!(start_all(&mut schedule), (vec![expected], Next::Wait));
        schedule.done(expected);
    }
    assert_eq!(schedule.next(), Next::Finished);
}

#[test]
fn a_task_that_waits_for_a_later_pass_runs_after_it() {
    let mut schedule = Schedule::new(vec![task(&[1]), Task { pass: Pass::Refresh, ..task(&[]) }]);
    assert_eq!(schedule.next(), Next::Run(1));
    schedule.done(1);
    assert_eq!(schedule.next(), Next::Run(0));
}

#[test]
fn a_circle_runs_in_order_one_at_a_time() {
    let mut schedule = Schedule::new(vec![task(&[2]), task(&[0]), task(&[1]), task(&[2])]);
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
        pass: PASSES[random.below(8).min(3)],
        after: random.some(3, if circles { count } else { index }),
        weight: random.below(4) as u64,
        empty: random.below(5) == 0,
        exclusive: random.some(1, 6),
        shared: random.some(2, 6),
    });
    tasks.collect()
}

/// Runs a schedule with so many workers, finishing running tasks in random order, and checks every rule.
fn run_and_check(tasks: &[Task], workers: usize, random: &mut Random, circles: bool) {
    let mut schedule = Schedule::new(tasks.to_vec());
    let (mut running, mut done) = (Vec::new(), vec![false; tasks.len()]);
    loop {
        let next = if running.len() < workers { schedule.next() } else { Next::Wait };
        match next {
            Next::Finished => break,
            Next::Wait => {
                assert!(!running.is_empty(), "waits for nobody");
                let index: usize = running.swap_remove(random.below(running.len()));
                done[index] = true;
                schedule.done(index);
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
                assert!(
                    earlier
                        .filter(|other| tasks[*other].after.is_empty())
                        .all(|other| done[other] || tasks[other].empty)
                );
                if !circles {
                    assert!(all_before_are_done(tasks, index, &done), "runs too early");
                }
                running.push(index);
            }
        }
    }
    assert!(running.is_empty());
    for (task, done) in tasks.iter().zip(done) {
        assert!(done || task.empty, "was forgotten");
    }
}

fn all_before_are_done(tasks: &[Task], index: usize, done: &[bool]) -> bool {
    tasks[index].after.iter().all(|before| {
        if tasks[*before].empty { all_before_are_done(tasks, *before, done) } else { done[*before] }
    })
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
