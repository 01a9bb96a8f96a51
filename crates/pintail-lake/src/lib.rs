//! Engines and lakes: the only crate that names `duckdb`.
//!
//! ```text
//! Engine ── Session ── statements        one DuckDB instance, its connections, the one door
//!    │
//!    ├── Tap                             checksums of rows on their way
//!    ├── connector                       the contract of systems that are read
//!    ├── digest                          sums that a source and a destination take by themselves
//!    ├── destination                     the contract of places that are written
//!    ├── DatabaseFile                    a DuckDB file as a whole
//!    ├── Database ── commit              tables of a database, and the protocol that changes them exactly once
//!    └── Lake ── stage ── commit         a DuckLake, and the protocol that changes it exactly once
//!           ├── maintenance              fewer and smaller files for the same rows
//!           ├── ledger                   which partitions are in
//!           ├── pins                     snapshots that are not to expire
//!           └── sweep                    what nobody refers to
//! ```
//!
//! Nothing here is asynchronous, and nothing here knows a source system: a connector describes itself in SQL and the
//! engine executes it.

mod attach;
pub mod bucket;
mod changes;
pub mod commit;
pub mod connector;
pub mod database;
pub mod database_file;
pub mod depot;
pub mod destination;
pub mod digest;
pub mod engine;
pub mod error;
pub mod extension;
mod folders;
pub mod lake;
mod lake_destination;
pub mod ledger;
pub mod location;
pub mod maintenance;
mod metadata;
mod mysql_answer;
pub mod origin;
pub mod pins;
pub mod quote;
pub mod relation;
pub mod session;
mod signature;
pub mod sweep;
pub mod tap;
mod unreachable;
mod watchdog;

pub use changes::NeededFile;
pub use commit::{Basis, Change, CommitOutcome, CommitPart, CommitRequest, StagedFile, WholeChange};
pub use database::DatabasePlace;
pub use database_file::DatabaseFile;
pub use destination::{Compare, Compared, Destination, DestinationPlace, FoundTable};
pub use engine::{Callers, Engine, EngineSettings, Stopper};
pub use error::{Error, Fault, FaultClass, Result};
pub use extension::DUCKDB_VERSION;
pub use lake::{Access, Lake, LakeColumn, LakeTable, LeaseSettings, StageFolder};
pub use ledger::{Ledger, LedgerEntry};
pub use location::{Catalogue, LakeLocation};
pub use maintenance::{Compacted, Maintained, Maintenance, TableMaintained};
pub use pins::{Pin, PinRequest};
pub use relation::Relation;
pub use session::{Call, Cell, Row, Session, TextTable};
pub use sweep::{SweepPolicy, Swept};
pub use tap::Tap;
