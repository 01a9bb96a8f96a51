//! Sync: tables copied and kept equal.
//!
//! ```text
//! PipelineSpec ─▶ survey ─▶ PipelinePlan ─▶ fetch ─▶ populate ─▶ parity ─▶ SyncReport
//!                (looks)      (pure)       (stages)  (commits)  (compares)
//! ```
//!
//! [`plan`] shows what [`run`] would do. What a run promises:
//! - The lake holds whole partitions only, each exactly once, whatever ends the run and however often it is repeated.
//! - A delta passes over no row that was on its way while it read: see [`watermark`].
//! - What is reported as equal was compared: see [`report::Parity`].
//! - The source is only read.
//!
//! Time and randomness are passed in. This crate knows connectors by their contract and no system by its name.

mod attempt;
mod bag;
pub mod cleanup;
pub mod columns;
mod compare;
mod derived;
mod doubt;
pub mod error;
mod fetch;
mod file_name;
pub mod folders;
mod grouping;
mod guard;
mod keys;
pub mod lock;
pub mod log;
mod marking;
pub mod memberships;
mod narrow;
pub mod origin;
mod parity;
pub mod partition;
pub mod plan;
mod populate;
mod prepare;
pub mod progress;
pub mod relation;
pub mod report;
pub mod resources;
mod retry;
mod returned;
mod run;
pub mod shape;
mod snapshot;
pub mod spec;
pub mod state;
pub mod stop;
mod strategy;
mod survey;
pub mod throttle;
pub mod watermark;
mod work;

pub use cleanup::{CleanedUp, Cleanup, clean_up};
pub use error::{Error, Result};
pub use folders::DataFolders;
pub use plan::{PipelinePlan, PlanKind};
pub use progress::{Phase, Progress, Unwatched};
pub use report::SyncReport;
pub use run::{SyncRequest, plan, reset, run};
pub use state::State;
pub use stop::StopSignal;
