//! Deployment: that the templates say what the code says (`drift`), keep the promises made of them (`rules`), and give each
//! function the rights that it uses and no others (`policies`); that both stacks come up at a stand-in and really back up,
//! verify, prune and alarm (`stacks`); and that the Cloudflare Worker does what it should in Cloudflare's own runtime.

#[path = "deploy/drift.rs"]
mod drift;
#[path = "deploy/policies.rs"]
mod policies;
#[path = "deploy/rules.rs"]
mod rules;
#[path = "deploy/stacks.rs"]
mod stacks;
#[path = "deploy/worker.rs"]
mod worker;

use pgark_tests::template;

type Result<T = ()> = anyhow::Result<T>;
