//! Whatever was changed in a store is found: by `pgark verify` at the level that can find it, and by a restore, which never
//! reports success then; each with its exact code, and naming the table.
//!
//! `damage/matrix` has every kind of object and every kind of damage; `damage/forged` changes what is inside of objects and
//! makes all hashes right again; `damage/signatures` asks stock `minisign`; `damage/reports` looks at what verify reports and
//! keeps. Backups are made by the real program. Copies of them are verified and restored within this process, because
//! there are some hundred; the program itself does a few.

#[path = "damage/world.rs"]
mod world;

#[path = "damage/matrix.rs"]
mod matrix;

#[path = "damage/forged.rs"]
mod forged;

#[path = "damage/reports.rs"]
mod reports;

#[path = "damage/signatures.rs"]
mod signatures;

type Result<T = (), E = anyhow::Error> = std::result::Result<T, E>;
