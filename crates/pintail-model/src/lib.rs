//! The words that every part of Pintail uses, and nothing that does I/O.
//!
//! A run goes up one ladder of nouns: **Spec** (what was asked) → **Plan** (what will happen) → **Run** (an
//! attempt) → **Report** (what happened, in numbers). The types here are the ones that appear on every rung:
//! names, column types, cursors, partitions, checksums, ids, the clock and the kinds of error.
//!
//! This crate sees no other crate of the workspace.

pub mod checksum;
pub mod clock;
pub mod cursor;
pub mod error;
pub mod ids;
pub mod name;
pub mod partition;
pub mod secret;
pub mod sketch;
pub mod types;

pub use checksum::{Checksum, LeafChecksums};
pub use clock::{Clock, FixedClock, SystemClock};
pub use cursor::{CursorType, CursorValue};
pub use error::ErrorKind;
pub use ids::{PartitionKey, RunId};
pub use name::TableName;
pub use partition::{KeyValue, Range};
pub use secret::Secret;
pub use types::{Column, Element, LogicalType, NativeType};

/// Names the checkout that this was compiled in, for cargo alone: see `.cargo/config.toml`.
const _: Option<&str> = option_env!("PINTAIL_CHECKOUT");
