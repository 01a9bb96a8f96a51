//! The pipeline as a whole.

use std::path::PathBuf;
use std::time::Duration;

use pintail_config::decode::{
    Decoder, Fields, bandwidth, boolean, duration, list, one_of, size, text, whole_number,
};
use pintail_config::units::ByteSize;
use pintail_config::{Datastores, Node, Value};

use super::aggregate;
use super::backend::{self, BackendSpec, Side};
use super::choice::ColumnChoice;
use super::column::{self, ColumnSpec, Role};
use super::column_map::Columns;
use super::deletes::{self, DeletesSpec, DetectDeletes};
use super::enrichment::{self, EnrichmentSpec};
use super::retries::{self, RetrySpec};
use super::staged::{self, Sides};
use super::strategies;
use super::strategy::StrategySpec;
use super::unbuilt::{Collected, Unbuilt};

/// One pipeline, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSpec {
    /// `name`: names the pipeline in its state, its ledger rows, its metrics and its logs. Letters, digits, `_`,
    /// `-` and `.`, because it becomes the name of a folder.
    pub name: String,
    /// `description`: for people.
    pub description: Option<String>,
    /// `enabled`: whether a scheduler starts the pipeline; a run by hand does not ask. Default `true`.
    pub enabled: bool,
    /// `sync_type`: rows as they are, or aggregates of them. Default `row-level`.
    pub sync_type: SyncType,
    /// `partition_column`: the integer column whose ranges partition a full load where the source has no cheaper way
    /// (pages). Without it the column with the role `partition_column`, and without that the key.
    pub partition_column: Option<String>,
    /// `partition_step`: width of such a partition, in keys. Default: chosen from the source's statistics, because a
    /// width that fits one table is wrong for the next.
    pub partition_step: Option<u64>,
    /// `max_concurrent_partitions`: how many partitions are read at once, each over a connection of its own.
    /// Default 2, and 1 where a source cannot share a snapshot: more connections bring little on one network, and
    /// every one of them is a burden for the source.
    pub max_concurrent_partitions: Option<u32>,
    /// `source_provider.data_backend`: what is read.
    pub source: BackendSpec,
    /// `destination_provider.data_backend`: what is written.
    pub destination: BackendSpec,
    /// `column_map`: which columns become which. Empty or absent: every column as it is.
    pub columns: Vec<ColumnSpec>,
    /// What is said of single columns where there is no column map: `pintail copy` has one word for each.
    pub choices: Vec<ColumnChoice>,
    /// `strategies`: how the destination is brought up to date; the order of the file. Never empty.
    pub strategies: Vec<StrategySpec>,
    /// `enrichment`: columns that are added from elsewhere.
    pub enrichment: Option<EnrichmentSpec>,
    /// `hash_algo`: the row hash of the original. Pintail's own hash replaces both; read so that files load.
    pub hash_algorithm: Option<HashAlgorithm>,
    /// `deletes`: what becomes of rows that are no longer in the source.
    pub deletes: DeletesSpec,
    /// `detect_deletes`: when such rows are looked for beside deltas. Default: by hand.
    pub detect_deletes: DetectDeletes,
    /// `limits`: what a run may use.
    pub limits: LimitsSpec,
    /// `retries`: what becomes of broken connections.
    pub retries: RetrySpec,
    /// `parity`: whether the two sides are compared after a run. Default `true`, because a copy that nobody
    /// compared is unproven; it costs a part of a scan.
    pub parity: bool,
    /// What of this is not built yet.
    pub unbuilt: Vec<Unbuilt>,
}

/// `sync_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncType {
    /// `row-level`: a row of the source is a row of the destination.
    RowLevel,
    /// `aggregate`: a group of the source is a row of the destination.
    Aggregate,
}

/// `hash_algo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// `md5_sum_hash`.
    Md5Sum,
    /// `hash_md5_hash`.
    HashMd5,
}

/// `limits`: what one run may use. Everything absent is left to the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitsSpec {
    /// `memory`: budget of the engine, as a size like `256 MiB`; beyond it the engine spills to `temp_folder`.
    /// Default 256 MiB, which keeps a run of any size under 400 MiB.
    pub memory: Option<ByteSize>,
    /// `threads`: threads of the engine. Default: one for each core.
    pub threads: Option<u32>,
    /// `temp_folder`: where the engine spills, relative to the pipeline file. Default: beside the state.
    pub temp_folder: Option<PathBuf>,
    /// `statement_timeout`: deadline of every single statement, as a duration like `10m`. Default: none, because reads
    /// take as long as the table is large.
    pub statement_timeout: Option<Duration>,
    /// `run_for`: how long a run may begin new partitions, as a duration like `30m`; then it pauses, and the next one
    /// goes on. What is under way is brought to its end. Default: none.
    pub run_for: Option<Duration>,
    /// `source_connections`: how many connections to the source are open at once, at most. Default: one for each
    /// partition that is read at once, and as many as the engine has threads for a table that is read as a whole.
    pub source_connections: Option<u32>,
    /// `source_bandwidth`: how much is read from the source in a second, as a size like `10 MiB`, over all connections
    /// together. Default: as much as the network gives.
    pub source_bandwidth: Option<ByteSize>,
}

impl PipelineSpec {
    /// The strategy of that name.
    #[must_use]
    pub fn strategy(&self, name: &str) -> Option<&StrategySpec> {
        self.strategies.iter().find(|strategy| strategy.name == name)
    }

    /// The mapped column that `name` means: by its name in the source, or else by its name in the destination.
    /// `None` if there is no column map, or no such column in it.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnSpec> {
        column::find(&self.columns, name)
    }

    /// The source's name for the column that `name` means. Without a column map that is the name itself.
    #[must_use]
    pub fn source_column<'a>(&'a self, name: &'a str) -> &'a str {
        self.column(name)
            .and_then(|column| column.source.column())
            .unwrap_or(name)
    }

    /// The columns with the role `unique_column`: the key of the destination, in the order of the map.
    pub fn unique_columns(&self) -> impl Iterator<Item = &ColumnSpec> {
        self.columns
            .iter()
            .filter(|column| column.roles.contains(&Role::UniqueColumn))
    }

    /// What of this pipeline is not built yet if it runs by that strategy. Empty means: it can run.
    #[must_use]
    pub fn not_built_for(&self, strategy: &str) -> Vec<&Unbuilt> {
        let concerns = |unbuilt: &&Unbuilt| {
            unbuilt
                .strategy
                .as_deref()
                .is_none_or(|concerned| concerned == strategy)
        };
        self.unbuilt.iter().filter(concerns).collect()
    }
}

/// The two configuration shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `source_provider`, `destination_provider` and `column_map`.
    Provided,
    /// `backends` and `stages`.
    Staged,
}

impl Form {
    /// The shape that a file has.
    pub(super) fn of(node: &Node) -> Self {
        match node.get("backends").or_else(|| node.get("stages")) {
            Some(_) => Self::Staged,
            None => Self::Provided,
        }
    }
}

/// Reads a pipeline.
pub(super) fn read(
    node: &Node,
    decoder: &mut Decoder,
    form: Form,
    datastores: Option<&Datastores>,
    unbuilt: &mut Collected,
) -> Option<PipelineSpec> {
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", identifier);
    let description = fields.optional("description", text);
    let enabled = fields.with_default("enabled", true, boolean);
    let sync_type = fields.with_default("sync_type", SyncType::RowLevel, one_of("a sync type", SYNC_TYPES));
    let Sides {
        source,
        destination,
        mut columns,
        columns_position,
        group_by_position,
    } = match form {
        Form::Provided => provided(&mut fields, node, datastores, unbuilt),
        Form::Staged => staged::read(&mut fields, datastores, unbuilt),
    };
    columns.grouped = sync_type == SyncType::Aggregate;
    if let Some(source) = &source {
        let places = aggregate::Places {
            sync_type: fields.position_of("sync_type").unwrap_or(node.position),
            group_by: group_by_position,
            columns: columns_position,
        };
        let complete = columns.complete();
        aggregate::check(sync_type, &source.group_by, complete, &places, fields.decoder());
    }
    let partition_column = fields.optional("partition_column", |node, decoder| {
        let name = columns.reference(node, decoder)?;
        columns.check_partition_column(&name, node.position, decoder);
        Some(name)
    });
    let partition_step = fields.optional("partition_step", whole_number(1_u64..));
    let max_concurrent_partitions = fields.optional("max_concurrent_partitions", whole_number(1_u32..=1024));
    let strategies = fields.required("strategies", |node, decoder| {
        let mut names = Vec::new();
        let read = |node: &Node, decoder: &mut Decoder| strategies::read(node, decoder, &columns, &mut names);
        let strategies = list(read)(node, decoder)?;
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            decoder.problem(node.position, "a pipeline needs at least one strategy");
        }
        Some(strategies)
    });
    let enrichment = fields.optional("enrichment", |node, decoder| {
        enrichment::read(node, decoder, unbuilt)
    });
    let hash_algorithm = fields.optional("hash_algo", one_of("a hash algorithm", HASH_ALGORITHMS));
    let deletes = fields.with_default("deletes", DeletesSpec::default(), |node, decoder| {
        let deletes = deletes::read(node, decoder, &columns)?;
        if deletes.mark().is_some()
            && destination
                .as_ref()
                .is_some_and(|side| side.supports_update == Some(false))
        {
            decoder.problem(
                node.position,
                "the policy `soft` changes rows of the destination, and `supports_update: false` says that none may be changed",
            );
        }
        Some(deletes)
    });
    let detect_deletes = fields.with_default("detect_deletes", DetectDeletes::default(), |node, decoder| {
        deletes::read_detection(node, decoder, &deletes, strategies.as_deref())
    });
    let limits = fields.with_default("limits", LimitsSpec::default(), limits);
    let retries = fields.with_default("retries", RetrySpec::default(), retries::read);
    let parity = fields.with_default("parity", true, boolean);
    fields.finish();
    Some(PipelineSpec {
        name: name?,
        description,
        enabled,
        sync_type,
        partition_column,
        partition_step,
        max_concurrent_partitions,
        source: source?,
        destination: destination?,
        columns: columns.all,
        choices: Vec::new(),
        strategies: strategies?,
        enrichment,
        hash_algorithm,
        deletes,
        detect_deletes,
        limits,
        retries,
        parity,
        unbuilt: Vec::new(),
    })
}

const SYNC_TYPES: &[(&str, SyncType)] = &[
    ("row-level", SyncType::RowLevel),
    ("aggregate", SyncType::Aggregate),
];

const HASH_ALGORITHMS: &[(&str, HashAlgorithm)] = &[
    ("md5_sum_hash", HashAlgorithm::Md5Sum),
    ("hash_md5_hash", HashAlgorithm::HashMd5),
];

/// Reads the two sides of the first shape.
fn provided(
    fields: &mut Fields<'_, '_>,
    node: &Node,
    datastores: Option<&Datastores>,
    unbuilt: &mut Collected,
) -> Sides {
    let source = fields.required("source_provider", |node, decoder| {
        backend::read_provider(node, decoder, Side::Source, datastores, unbuilt)
    });
    let destination = fields.required("destination_provider", |node, decoder| {
        backend::read_provider(node, decoder, Side::Destination, datastores, unbuilt)
    });
    let columns = fields.optional("column_map", |node, decoder| {
        Columns::read(node, decoder, source.as_ref())
    });
    let columns = columns.unwrap_or_else(|| match fields.has("column_map") {
        true => Columns::unknown(),
        false => Columns::unmapped(source.as_ref()),
    });
    let group_by = ["source_provider", "data_backend", "group_by"]
        .iter()
        .try_fold(node, |node, key| node.get(key));
    Sides {
        source,
        destination,
        columns,
        columns_position: fields.position_of("column_map").unwrap_or(node.position),
        group_by_position: group_by.map(|node| node.position),
    }
}

/// A name that also names folders and rows of the ledger.
pub(super) fn identifier(node: &Node, decoder: &mut Decoder) -> Option<String> {
    let name = text(node, decoder)?;
    let letters = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    if name.starts_with(['.', '-']) || !name.chars().all(letters) {
        decoder.expected("a name of letters, digits, `_`, `-` and `.`", node);
        return None;
    }
    Some(name)
}

fn limits(node: &Node, decoder: &mut Decoder) -> Option<LimitsSpec> {
    let mut fields = decoder.fields(node)?;
    let limits = LimitsSpec {
        memory: fields.optional("memory", size),
        threads: fields.optional("threads", whole_number(1_u32..=1024)),
        temp_folder: fields.optional("temp_folder", text).map(PathBuf::from),
        statement_timeout: fields.optional("statement_timeout", duration),
        run_for: fields.optional("run_for", duration),
        source_connections: fields.optional("source_connections", whole_number(1_u32..=1024)),
        source_bandwidth: fields.optional("source_bandwidth", bandwidth),
    };
    fields.finish();
    Some(limits)
}
