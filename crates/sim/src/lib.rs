//! The simulation: a node, its store and the world around them, in one thread under a virtual clock.
//!
//! It is the real writer, the real delivery loop, the real sockets and the real machines, driven step
//! by step ([`cresset_node::SteppedNode`]). What is simulated is everything else: clients, receivers,
//! the network between them, clocks, crashes and the disk. All that happens follows from a seed, so
//! that a run which broke an invariant can be seen again.
//!
//! * [`Scenario`]: what a seed makes of a run: policies, and how much goes wrong.
//! * [`World`]: the agenda, and what each step of it does. What survives a crash stands here, outside
//!   of the node.
//! * `forms.rs`: the same resources in every FHIR version.
//! * `facts.rs`: the naive fold of the log, from which the checkers know what should have been.
//! * `checkers`: one file for each invariant.
//! * [`run`]: a run from its start to the calm after it, in which everything owed has to arrive.
//!
//! For development only. How to search: docs/testing.md.

mod agenda;
mod checkers;
mod clients;
mod disk;
mod facts;
mod forms;
mod naive;
mod network;
mod prng;
mod run;
mod scenario;
mod sockets;
mod trace;
mod wire;
mod world;

#[cfg(test)]
mod tests;

pub use checkers::Violation;
pub use run::{Failure, Report, commit_id, commit_seed, run};
pub use scenario::{Scenario, StoreKind};
pub use trace::Trace;
pub use world::World;
