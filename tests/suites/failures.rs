//! What happens when things go wrong: the real program against real servers, each run broken in one way.
//!
//! Whatever breaks, a failed backup exits with its code, says what failed, on which object, why and what to do, is in
//! no list, and leaves nothing in the store and no session on the server. `failures/program` runs the program and
//! searches all that it prints for secrets; `failures/place` and `failures/source` look for what was left behind.

#[path = "failures/keys.rs"]
mod keys;

#[path = "failures/program.rs"]
mod program;

#[path = "failures/place.rs"]
mod place;

#[path = "failures/source.rs"]
mod source;

#[path = "failures/breaking.rs"]
mod breaking;

#[path = "failures/census.rs"]
mod census;

#[path = "failures/changing.rs"]
mod changing;

#[path = "failures/connecting.rs"]
mod connecting;

#[path = "failures/lying.rs"]
mod lying;

#[path = "failures/planning.rs"]
mod planning;

#[path = "failures/races.rs"]
mod races;

#[path = "failures/reading.rs"]
mod reading;

#[path = "failures/settings.rs"]
mod settings;

#[path = "failures/storing.rs"]
mod storing;

use std::time::Duration;

/// Longest wait for anything that should come at once.
const SOON: Duration = Duration::from_secs(30);

type Result<T = ()> = anyhow::Result<T>;
