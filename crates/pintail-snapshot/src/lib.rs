//! Snapshots of tables: Parquet files and a manifest, proven when they are written and when they are restored.
//!
//! ```text
//! database ── capture ──▶ files, then their manifest ──▶ <project>/<id>/ ── restore ──▶ database
//!              │  one transaction                         │                 │  one transaction
//!              └─ value hash, read back                   └─ verify         └─ value hash
//! ```
//!
//! What is promised: a set of tables is one state of its database; it becomes visible as a whole or not at all, and never
//! changes afterwards; types that Parquet loses are cast, and the cast is written down; a table that is restored has the
//! types, constraints, defaults, indexes and comments that it had, and its rows are hashed before anybody sees it.
//!
//! Snapshots lie in a folder of this machine or in a bucket: `place` has both behind one contract.
//!
//! The layout and the fields of `metadata.json` are public: `docs/snapshots.md`.

mod capture;
mod catalog;
mod ddl;
mod diff;
mod drill;
mod each;
mod error;
mod explain;
mod file_hash;
mod file_name;
mod folder;
mod guard;
mod id;
mod lakes;
mod lock;
pub mod manifest;
mod pinning;
mod place;
mod progress;
mod prune;
mod registry;
mod release;
mod restore;
mod retention;
mod settings;
mod sql_type;
mod storage;
mod table_file;
mod verify;
mod verify_pins;

pub use capture::{COMPRESSION_LEVEL, CreateRequest, Created};
pub use diff::{Against, DiffRequest, Difference, RowDifference, TableChange, TableDifference};
pub use drill::Drilled;
pub use error::{Error, Result};
pub use explain::{Explained, ExplainedPin};
pub use folder::{Broken, ProjectFolder};
pub use guard::{Guarded, GuardedBy, Kept};
pub use id::{ProjectId, SnapshotId};
pub use lakes::{KnownLakes, Lakes, unknown_lake};
pub use manifest::{Manifest, Proof, SnapshotType};
pub use progress::{Progress, Step, Unwatched};
pub use prune::{Prune, Pruned};
pub use registry::{Hold, Record};
pub use release::{PinLeft, PinNote};
pub use restore::{PlannedObject, PlannedTable, RestorePlan, RestoreRequest, Restored};
pub use retention::{Candidate, Fate, Reason, fates};
pub use settings::{DAYS_MAX, Effective, Level, Scope, SettingKey, SettingValue, Settings};
pub use verify::{Finding, Problem, Verified};
