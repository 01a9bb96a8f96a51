//! A pipeline from two addresses, for `pintail copy`.

use pintail_config::{Datastore, Location};
use pintail_model::{TableName, checksum};

use super::backend::BackendSpec;
use super::deletes::{DeletesSpec, DetectDeletes};
use super::pipeline::{LimitsSpec, PipelineSpec, SyncType};
use super::retries::RetrySpec;
use super::strategy::{DeltaSpec, FullSpec, StrategyKind, StrategySpec};
use super::unbuilt::Unbuilt;

/// The pipeline that copies `table` from one place to another, every column as it is unless `choices` are added: in full the first time, and
/// by a delta afterwards if the table has a column that a delta can follow.
///
/// The same table between the same places always gets the same name, however the addresses are written, so that
/// a second call finds the state of the first. The table keeps its name unless `to` names another.
#[must_use]
pub fn copy_spec(from: &Location, table: &TableName, to: &Location) -> PipelineSpec {
    let source = backend(&from.datastore, from.qualify(table.clone()));
    let target = to.table.clone().unwrap_or_else(|| TableName::bare(&table.table));
    let destination = backend(&to.datastore, to.qualify(target));
    let identity = format!(
        "{} {} {} {}",
        from.datastore.identity(),
        source.table,
        to.datastore.identity(),
        destination.table
    );
    // 32 bits tell the copies of one table apart, which are few.
    let hash = checksum::bytes_word(identity.as_bytes()) as u32;
    let word: String = table
        .table
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
        .collect();
    let unbuilt = [
        from.datastore.not_built_as_source(),
        to.datastore.not_built_as_destination(),
    ];
    PipelineSpec {
        name: format!("copy_{word}_{hash:08x}"),
        description: None,
        enabled: true,
        sync_type: SyncType::RowLevel,
        partition_column: None,
        partition_step: None,
        max_concurrent_partitions: None,
        source,
        destination,
        columns: Vec::new(),
        choices: Vec::new(),
        strategies: vec![
            StrategySpec::new("full", StrategyKind::Full(FullSpec::default())),
            StrategySpec::new("delta", StrategyKind::Delta(DeltaSpec::default())),
        ],
        enrichment: None,
        hash_algorithm: None,
        deletes: DeletesSpec::default(),
        detect_deletes: DetectDeletes::default(),
        limits: LimitsSpec::default(),
        retries: RetrySpec::default(),
        parity: true,
        unbuilt: unbuilt
            .into_iter()
            .flatten()
            .map(|what| Unbuilt {
                strategy: None,
                what,
                position: None,
            })
            .collect(),
    }
}

fn backend(datastore: &Datastore, table: TableName) -> BackendSpec {
    BackendSpec {
        system: datastore.system.clone(),
        datastore: datastore.name.clone(),
        table,
        alias: None,
        joins: Vec::new(),
        filters: Vec::new(),
        group_by: Vec::new(),
        supports_update: None,
        partition_by: None,
    }
}
