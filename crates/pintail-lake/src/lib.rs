//! Engines and lakes: the only crate that names `duckdb`.

pub mod connector;
pub mod engine;
pub mod error;
pub mod extension;
pub mod quote;
pub mod session;
pub mod tap;
mod watchdog;

pub use engine::{Engine, EngineSettings, Stopper};
pub use error::{Error, Fault, FaultClass, Result};
pub use extension::DUCKDB_VERSION;
pub use session::{Call, Cell, Row, Session, TextTable};
pub use tap::Tap;
