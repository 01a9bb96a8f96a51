//! What was asked: the specification of a pipeline.
//!
//! A *pipeline* copies one table from a *source* to a *destination* through a *column map*, by one of several
//! *strategies*. A [`PipelineSpec`] is plain data without secrets; connections are [`pintail_config::Datastore`]s
//! and travel beside it in a [`LoadedPipeline`].
//!
//! [`load`] reads either configuration shape, the one with `source_provider`, `destination_provider` and `column_map` and the one
//! with `backends` and `stages`, and reports every mistake at once. [`copy_spec`] makes the same from two addresses.
//!
//! What this release does not build yet loads and is checked like everything else, and is listed by
//! [`PipelineSpec::not_built_for`], so that only choosing it is an error.

mod aggregate;
mod backend;
mod choice;
mod column;
mod column_map;
mod copy;
mod cron;
mod declared_type;
mod deletes;
mod enrichment;
mod load;
mod partition;
mod pipeline;
mod retries;
mod snippet;
mod staged;
mod strategies;
mod strategy;
mod unbuilt;

pub use backend::{BackendSpec, JoinSpec};
pub use choice::{Choice, ColumnChoice};
pub use column::{ColumnSource, ColumnSpec, Role};
pub use copy::copy_spec;
pub use declared_type::{DeclaredType, Precision};
pub use deletes::{DeletePolicy, DeletesSpec, DetectDeletes, GuardSpec};
pub use enrichment::{DimensionSpec, EnrichmentSpec, FieldSpec, TransformationSpec};
pub use load::{LoadedPipeline, load, parse, shape};
pub use partition::{PartitionSpec, StepUnit};
pub use pipeline::{HashAlgorithm, LimitsSpec, PipelineSpec, SyncType};
pub use retries::RetrySpec;
pub use strategy::{
    Compare, DeltaSpec, FullSpec, HashSpec, NullCursor, StrategyKind, StrategySpec, TuningSpec,
};
pub use unbuilt::Unbuilt;
