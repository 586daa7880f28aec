//! Seed to SQL: a pure function. Statements are right by construction; one that a server refuses is a fault here, and
//! fails the test.
//!
//! What is made later refers at random to what was made before, so that dependencies of all kinds come about. Whatever
//! `pg_dump` itself cannot restore is avoided, and it is said where.

#[path = "script/behaviour.rs"]
mod behaviour;
#[path = "script/constraints.rs"]
mod constraints;
#[path = "script/data_types.rs"]
mod data_types;
#[path = "script/elsewhere.rs"]
mod elsewhere;
#[path = "script/expressions.rs"]
mod expressions;
#[path = "script/random.rs"]
mod random;
#[path = "script/rights.rs"]
mod rights;
#[path = "script/routines.rs"]
mod routines;
#[path = "script/tables.rs"]
mod tables;
#[path = "script/views.rs"]
mod views;
#[path = "script/world.rs"]
mod world;

use world::World;

/// The SQL of a seed for a major version.
pub(super) fn script(seed: u64, major: u32) -> String {
    let mut world = World::new(seed, major);
    rights::roles(&mut world);
    rights::schemas(&mut world);
    data_types::builtin(&mut world);
    if world.random.chance(25) {
        rights::defaults(&mut world);
    }
    // In rounds, so that what comes later stands on all kinds that were made before.
    for _ in 0..3 {
        round(&mut world);
    }
    for _ in 0..world.random.between(2, 8) {
        behaviour::add(&mut world);
    }
    let rare: [fn(&mut World); 6] = [
        elsewhere::publication,
        elsewhere::publication,
        elsewhere::large_object,
        elsewhere::large_object,
        elsewhere::sequence,
        behaviour::event_trigger,
    ];
    for make in rare {
        if world.random.chance(40) {
            make(&mut world);
        }
    }
    rights::comments(&mut world);
    rights::grants(&mut world);
    if world.random.chance(40) {
        rights::defaults(&mut world);
    }
    world.finish()
}

fn round(world: &mut World) {
    // Each with how many there may be.
    let kinds: [(fn(&mut World), usize); 11] = [
        (elsewhere::collation, 1),
        (data_types::make, 4),
        (routines::pure, 4),
        (routines::other, 3),
        (table_with_constraints, 4),
        (partitioned_with_constraints, 2),
        (elsewhere::sequence, 2),
        (routines::reading, 2),
        (views::view, 4),
        (views::materialized, 2),
        (elsewhere::foreign, 1),
    ];
    for (make, most) in kinds {
        for _ in 0..=world.random.below(most + 1).saturating_sub(1) {
            if world.random.chance(75) {
                make(world);
            }
        }
    }
    if world.random.chance(20) {
        elsewhere::text_search(world);
    }
}

fn table_with_constraints(world: &mut World) {
    tables::table(world);
    constraints::constrain(world, world.relations.len() - 1);
}

fn partitioned_with_constraints(world: &mut World) {
    tables::partitioned(world);
    constraints::constrain(world, world.relations.len() - 1);
}
