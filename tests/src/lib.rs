//! What the suites stand on: real servers, started in a moment and gone with the test process; faults on demand;
//! PostgreSQL's own clients as the yardstick; the fixtures.
//!
//! Everything listens on free ports of 127.0.0.1 and keeps its data in temporary folders. Logs stay in
//! `target/<profile>/pgark-tests/logs`. Servers come from `tests/tools/install`; where one is missing, the test fails
//! and names what to install.
//!
//! A suite is one test binary, `tests/suites/<suite>.rs`, whose tests share servers ([`Postgres::shared`]) and have
//! a database or bucket each. Under `cargo nextest`, which gives each test a process, they work too, but start anew
//! every time.

mod account;
mod binaries;
mod fault_proxy;
pub mod fixtures;
mod http;
mod message_proxy;
mod ministack;
mod object_store;
mod places;
mod pooler;
pub mod postgres;
mod receiver;
mod recorder;
mod request_proxy;
mod rie;
mod sam;
mod supervised;
pub mod template;
mod wait;

pub use binaries::{
    age, age_keygen, minisign, pgbouncer, pgvector, postgres_15, postgres_16, postgres_18, workspace_binary,
};
pub use fault_proxy::{Direction, Fault, FaultProxy};
pub use http::Response;
pub use message_proxy::{Lie, Message, MessageProxy};
pub use ministack::{Ministack, Stack, Topic};
pub use object_store::ObjectStore;
pub use places::{kept as kept_folder, repository, tool};
pub use pooler::{PoolMode, Pooler};
pub use postgres::Postgres;
pub use receiver::{Received, Receiver};
pub use recorder::{Recorded, Recorder};
pub use request_proxy::{Fate, RequestProxy, Seen};
pub use rie::Rie;
pub use sam::SamProject;
pub use wait::{eventually, wait_until};
