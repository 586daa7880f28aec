//! Decides which task of a restore runs next. Pure: it knows neither SQL nor entries, only tasks that wait for
//! others, that are heavy or light, and that must not run beside some others.
//!
//! The rules are those of `restore_toc_entries_parallel` in `pg_backup_archiver.c`: passes one after the other; within
//! a pass a task runs when all that it waits for is done and no running task is in its way; heavy tasks first. Tasks
//! that wait for each other in a circle run last, one at a time, in their order. Every task runs exactly once.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// The passes of a restore, in order (`RestorePass` in `pg_backup_archiver.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pass {
    /// Everything but what follows.
    Main,
    /// Privileges, which might forbid the rest.
    Grants,
    /// Materialized views, filled with the privileges of their owners.
    Refresh,
    /// Event triggers, which might act on the rest. `pg_restore` makes them in one pass with the refreshes.
    EventTriggers,
}

const PASSES: [Pass; 4] = [Pass::Main, Pass::Grants, Pass::Refresh, Pass::EventTriggers];

/// A task, known by its place in the list of tasks.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// When it runs.
    pub(super) pass: Pass,
    /// Tasks that must be done before.
    pub(super) after: Vec<usize>,
    /// How heavy it is: heavier tasks start first.
    pub(super) weight: u64,
    /// Whether there is nothing to run: it is done as soon as what it waits for is done.
    pub(super) empty: bool,
    /// Things that nobody else may use while it runs.
    pub(super) exclusive: Vec<usize>,
    /// Things that others may only share while it runs.
    pub(super) shared: Vec<usize>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Run this task.
    Run(usize),
    /// Nothing can start before a running task is done.
    Wait,
    /// Everything is done.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { tasks: usize },
    Ready,
    Running,
    Done,
}

#[derive(Clone, Copy, Debug, Default)]
struct Users {
    exclusive: usize,
    shared: usize,
}

/// The state of all tasks.
#[derive(Debug)]
pub(super) struct Schedule {
    tasks: Vec<Task>,
    states: Vec<State>,
    followers: Vec<Vec<usize>>,
    ready: [BTreeSet<(Reverse<u64>, usize)>; PASSES.len()],
    pass: usize,
    running: usize,
    users: HashMap<usize, Users>,
    circular: Vec<usize>,
}

impl Schedule {
    /// A schedule of tasks, none of which has run.
    pub(super) fn new(mut tasks: Vec<Task>) -> Self {
        let mut followers = vec![Vec::new(); tasks.len()];
        for (index, task) in tasks.iter_mut().enumerate() {
            task.after.sort_unstable();
            task.after.dedup();
            task.after.retain(|before| *before != index);
            task.after.iter().for_each(|before| followers[*before].push(index));
        }
        let mut schedule = Self {
            states: tasks.iter().map(|task| State::Waiting { tasks: task.after.len() }).collect(),
            tasks,
            followers,
            ready: Default::default(),
            pass: 0,
            running: 0,
            users: HashMap::new(),
            circular: Vec::new(),
        };
        let free =
            (0..schedule.tasks.len()).filter(|index| schedule.tasks[*index].after.is_empty()).collect();
        schedule.make_ready(free);
        schedule
    }

    /// The task to start now, if there is one. It counts as running until [`Self::done`] is told.
    pub(super) fn next(&mut self) -> Next {
        loop {
            if let Some(index) = self.startable() {
                self.start(index);
                return Next::Run(index);
            }
            if self.running > 0 {
                return Next::Wait;
            }
            if self.pass + 1 < PASSES.len() {
                self.pass += 1;
                continue;
            }
            let Some(index) = self.states.iter().position(|state| matches!(state, State::Waiting { .. }))
            else {
                return Next::Finished;
            };
            self.circular.push(index);
            self.make_ready(vec![index]);
        }
    }

    /// The tasks that waited for each other in a circle, and were taken in their order.
    pub(super) fn circular(&self) -> &[usize] {
        &self.circular
    }

    /// Tells that a running task is done.
    pub(super) fn done(&mut self, index: usize) {
        debug_assert_eq!(self.states[index], State::Running);
        self.running -= 1;
        let task = &self.tasks[index];
        for thing in &task.exclusive {
            self.users.entry(*thing).or_default().exclusive -= 1;
        }
        for thing in &task.shared {
            self.users.entry(*thing).or_default().shared -= 1;
        }
        let free = self.finish(index);
        self.make_ready(free);
    }

    fn startable(&self) -> Option<usize> {
        let ready = self.ready[..=self.pass].iter().flatten();
        ready.map(|(_, index)| *index).find(|index| !self.is_in_the_way(&self.tasks[*index]))
    }

    /// Whether a running task stands in the way of this one (`has_lock_conflicts`, both ways).
    fn is_in_the_way(&self, task: &Task) -> bool {
        let users = |thing: &usize| self.users.get(thing).copied().unwrap_or_default();
        task.exclusive.iter().map(users).any(|users| users.exclusive + users.shared > 0)
            || task.shared.iter().map(users).any(|users| users.exclusive > 0)
    }

    fn start(&mut self, index: usize) {
        let task = &self.tasks[index];
        self.ready[task.pass as usize].remove(&(Reverse(task.weight), index));
        for thing in &task.exclusive {
            self.users.entry(*thing).or_default().exclusive += 1;
        }
        for thing in &task.shared {
            self.users.entry(*thing).or_default().shared += 1;
        }
        self.states[index] = State::Running;
        self.running += 1;
    }

    /// Makes tasks ready that wait for nothing; empty ones are done at once, which may free others.
    fn make_ready(&mut self, mut free: Vec<usize>) {
        while let Some(index) = free.pop() {
            let task = &self.tasks[index];
            if task.empty {
                free.extend(self.finish(index));
            } else {
                self.ready[task.pass as usize].insert((Reverse(task.weight), index));
                self.states[index] = State::Ready;
            }
        }
    }

    /// Marks a task done and returns those that waited for it alone.
    fn finish(&mut self, index: usize) -> Vec<usize> {
        self.states[index] = State::Done;
        let mut free = Vec::new();
        for follower in &self.followers[index] {
            if let State::Waiting { tasks } = &mut self.states[*follower] {
                *tasks -= 1;
                if *tasks == 0 {
                    free.push(*follower);
                }
            }
        }
        free
    }
}

#[cfg(test)]
mod tests;
