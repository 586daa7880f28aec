//! Decides which task of a restore runs next, and what falls when one is refused. Pure: it knows neither SQL nor entries,
//! only tasks that wait for others, that cannot be without some of these, that are heavy or light, and that must not run
//! beside some others.
//!
//! The rules are those of `restore_toc_entries_parallel` in `pg_backup_archiver.c`: passes one after the other; within
//! a pass a task runs when all that it waits for is done and no running task is in its way; heavy tasks first. Tasks
//! that wait for each other in a circle run last, one at a time, in their order.
//!
//! Beyond them, a refusal does not end everything. A refused task is put aside, and what needs it waits. When nothing else
//! can run, what was put aside is tried again, as long as anything was done since its last try. What then still stands in
//! the way of others is given up: what needs it falls, what only waited for it goes on. The rest is kept for one more try
//! before event triggers are made.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The passes of a restore, in order (`RestorePass` in `pg_backup_archiver.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pass {
    /// Definitions that data needs, one by one in their order.
    Definitions,
    /// Everything but what follows.
    Main,
    /// Privileges, which might forbid the rest; one by one.
    Grants,
    /// Materialized views, filled with the privileges of their owners.
    Refresh,
    /// Event triggers, which might act on the rest. `pg_restore` makes them in one pass with the refreshes.
    EventTriggers,
}

const PASSES: [Pass; 5] = [Pass::Definitions, Pass::Main, Pass::Grants, Pass::Refresh, Pass::EventTriggers];

impl Pass {
    fn is_one_by_one(self) -> bool {
        matches!(self, Self::Definitions | Self::Grants)
    }
}

/// A task, known by its place in the list of tasks.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// When it runs.
    pub(super) pass: Pass,
    /// Tasks that must have ended before.
    pub(super) after: Vec<usize>,
    /// Tasks without which it cannot be: if one is given up, so is this.
    pub(super) needs: Vec<usize>,
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
    /// Everything is done or given up.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting {
        tasks: usize,
    },
    Ready,
    Running,
    /// Refused; it may be tried again once more tasks were done than at that time.
    Aside {
        tried_at: usize,
    },
    Done,
    /// Given up.
    LeftOut,
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
    running: [usize; PASSES.len()],
    users: HashMap<usize, Users>,
    /// How many tasks were done.
    done: usize,
    aside: BTreeSet<usize>,
    /// What was given up, and what it needed that was given up before.
    left_out: BTreeMap<usize, Option<usize>>,
    /// Whether one task that is given up ends everything: then none is kept for later.
    strict: bool,
    circular: Vec<usize>,
}

impl Schedule {
    /// A schedule of tasks, none of which has run. A strict one gives up early.
    pub(super) fn new(mut tasks: Vec<Task>, strict: bool) -> Self {
        let mut followers = vec![Vec::new(); tasks.len()];
        for (index, task) in tasks.iter_mut().enumerate() {
            task.after.extend(&task.needs);
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
            running: Default::default(),
            users: HashMap::new(),
            done: 0,
            aside: BTreeSet::new(),
            left_out: BTreeMap::new(),
            strict,
            circular: Vec::new(),
        };
        let free =
            (0..schedule.tasks.len()).filter(|index| schedule.tasks[*index].after.is_empty()).collect();
        schedule.make_ready(free);
        schedule
    }

    /// The task to start now, if there is one. It counts as running until [`Self::done`] or [`Self::refused`] is called.
    pub(super) fn next(&mut self) -> Next {
        loop {
            if let Some(index) = self.startable() {
                self.start(index);
                return Next::Run(index);
            }
            if self.running.iter().sum::<usize>() > 0 {
                return Next::Wait;
            }
            if self.try_again() || self.give_up() {
                continue;
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
        self.stop(index);
        self.done += 1;
        let free = self.finish(index);
        self.make_ready(free);
    }

    /// Tells that a running task was refused; `hope` says whether another try may come to another end, after others are
    /// done.
    pub(super) fn refused(&mut self, index: usize, hope: bool) {
        self.stop(index);
        self.states[index] = State::Aside { tried_at: if hope { self.done } else { usize::MAX } };
        self.aside.insert(index);
    }

    /// What was given up so far, each with what it needed and did not get, if that is why: what was refused has none.
    pub(super) fn left_out(&self) -> &BTreeMap<usize, Option<usize>> {
        &self.left_out
    }

    /// The pass that is under way.
    pub(super) fn pass(&self) -> Pass {
        PASSES[self.pass]
    }

    fn startable(&self) -> Option<usize> {
        (0..=self.pass).find_map(|pass| {
            let mut ready = self.ready[pass].iter().map(|(_, index)| *index);
            if PASSES[pass].is_one_by_one() {
                let first = ready.next().filter(|_| self.running[pass] == 0);
                return first.filter(|index| !self.is_in_the_way(&self.tasks[*index]));
            }
            ready.find(|index| !self.is_in_the_way(&self.tasks[*index]))
        })
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
        self.running[task.pass as usize] += 1;
    }

    fn stop(&mut self, index: usize) {
        debug_assert_eq!(self.states[index], State::Running);
        let task = &self.tasks[index];
        self.running[task.pass as usize] -= 1;
        for thing in &task.exclusive {
            self.users.entry(*thing).or_default().exclusive -= 1;
        }
        for thing in &task.shared {
            self.users.entry(*thing).or_default().shared -= 1;
        }
    }

    /// Takes back what was put aside before anything else was done.
    fn try_again(&mut self) -> bool {
        let again: Vec<usize> = self
            .aside
            .iter()
            .copied()
            .filter(|index| matches!(self.states[*index], State::Aside { tried_at } if tried_at < self.done))
            .collect();
        for index in &again {
            self.aside.remove(index);
        }
        let any = !again.is_empty();
        self.make_ready(again);
        any
    }

    /// Gives up what was put aside and stands in the way of others, or all of it before event triggers are made. What
    /// data needs may yet come once indexes are there, so nothing of it is given up before.
    fn give_up(&mut self) -> bool {
        let pass = self.pass();
        if pass == Pass::Definitions && !self.strict {
            return false;
        }
        let waits = |follower: &usize| {
            matches!(self.states[*follower], State::Waiting { .. }) && self.tasks[*follower].pass <= pass
        };
        let all = self.strict || pass >= Pass::Refresh;
        let given_up: Vec<usize> = self
            .aside
            .iter()
            .copied()
            .filter(|index| all || self.followers[*index].iter().any(waits))
            .collect();
        for index in &given_up {
            self.aside.remove(index);
            self.leave_out(*index, None);
        }
        !given_up.is_empty()
    }

    /// Leaves a task out, and with it all that needs it. What only waited for these goes on.
    fn leave_out(&mut self, index: usize, because_of: Option<usize>) {
        let mut fallen = vec![(index, because_of)];
        let mut free = Vec::new();
        while let Some((index, because_of)) = fallen.pop() {
            if self.states[index] == State::LeftOut {
                continue;
            }
            self.states[index] = State::LeftOut;
            self.left_out.insert(index, because_of);
            for follower in &self.followers[index] {
                let State::Waiting { tasks } = &mut self.states[*follower] else { continue };
                *tasks -= 1;
                if self.tasks[*follower].needs.contains(&index) {
                    fallen.push((*follower, Some(index)));
                } else if *tasks == 0 {
                    free.push(*follower);
                }
            }
        }
        free.retain(|index| matches!(self.states[*index], State::Waiting { .. }));
        self.make_ready(free);
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
