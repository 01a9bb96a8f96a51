//! A strategy: how a destination is brought up to date.

use std::time::Duration;

use super::partition::PartitionSpec;

/// One strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategySpec {
    /// `name`: names the strategy on the command line and in the state. Unique within the pipeline.
    pub name: String,
    /// `type`, with what belongs to that type alone.
    pub kind: StrategyKind,
    /// `enabled`: whether a scheduler, or a run that is not told which strategy to use, may choose it. Default `true`.
    pub enabled: bool,
    /// `cron`: when a scheduler starts it, in five fields. Without it, only by hand.
    pub cron: Option<String>,
    /// `primary_partitions`: the ranges in which the work is planned and resumed. Default: chosen from statistics.
    pub primary_partitions: Vec<PartitionSpec>,
    /// `secondary_partitions`: finer ranges within each of them. Those of the same column are what is cut; others are read so that
    /// files load.
    pub secondary_partitions: Vec<PartitionSpec>,
    /// `delta_partitions`: the groups that a changed row belongs to. Those are always the values of `group_by`; read so
    /// that files load.
    pub delta_partitions: Vec<PartitionSpec>,
    /// Everything that tunes how the original moved rows.
    pub tuning: TuningSpec,
}

/// `type` of a strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrategyKind {
    /// `full`: every row, as one replacement of the whole table.
    Full(FullSpec),
    /// `delta`: the rows that changed since the last run, told by a column that grows with every change.
    Delta(DeltaSpec),
    /// `hash`: the rows that differ, told by comparing both sides.
    Hash(HashSpec),
}

/// What belongs to a full strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FullSpec {
    /// `partitions`: forces that many partitions. Default: chosen from statistics, because every partition costs a
    /// statement and a file, and a small table is read fastest in one piece.
    pub partitions: Option<u32>,
}

/// What belongs to a delta strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaSpec {
    /// `column`: the cursor, a column that is set to a greater value with every change of a row. Default: the column
    /// of the first primary partition; without a pipeline file it is chosen from the table.
    pub column: Option<String>,
    /// `null_cursor`: what happens to rows whose cursor is NULL. Default `fail`, because leaving them out is a loss
    /// that somebody has to decide on.
    pub null_cursor: NullCursor,
    /// `margin`: taken off the upper bound of every delta, so that rows stamped in the last moment before it are
    /// left to the next run. Default `1ms`.
    pub margin: Duration,
    /// `lookback`: how far below the watermark a delta of times reads again. Rows that are as the lake has them change
    /// nothing there, so that it costs a short read. Default `2s`, and at least one unit of the column (a second of
    /// a `timestamp(0)`, a day of a `date`): rounded stamps, and those of an application whose clock is a little
    /// behind the server's, lie below what was the bound when they were committed. `0s` reads nothing again.
    pub lookback: Duration,
    /// `lag`: how long before its commit a row may have been stamped, for sources that cannot tell their oldest
    /// open transaction. Default `5m`; the report says when it was used.
    pub lag: Option<Duration>,
    /// `time_zone`: the zone of a cursor that is stored without one, as `Europe/Berlin`. Default: the server's, or UTC
    /// where that is earlier; the report names it.
    pub time_zone: Option<String>,
}

/// What belongs to a hash strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HashSpec {
    /// `compare`: how both sides are compared. Default `auto`.
    pub compare: Compare,
}

/// How both sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compare {
    /// `auto`: whatever costs least.
    #[default]
    Auto,
    /// `stream`: both sides are read once, and the engine compares typed values.
    Stream,
    /// `pushdown`: the source sums its rows up by itself, and only rows of leaves that differ are read.
    Pushdown,
    /// `stored`: the source's own versions of its rows are compared with what they were when both sides were last equal.
    Stored,
}

impl Compare {
    /// The word in `compare:`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Stream => "stream",
            Self::Pushdown => "pushdown",
            Self::Stored => "stored",
        }
    }
}

/// What happens to rows whose cursor is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NullCursor {
    /// `fail`: the run stops with a data error and nothing is committed.
    #[default]
    Fail,
    /// `include`: every delta reads all of them again.
    Include,
    /// `skip`: they stay in the source, and the report says how many.
    Skip,
}

/// Keys of the original that tune pages, batches and stages. Pintail streams whole partitions through the engine
/// and decides such sizes itself; they are checked, kept, and change no result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TuningSpec {
    /// `page_size`: rows of a page.
    pub page_size: Option<u32>,
    /// `use_pagination`: whether to read by pages.
    pub use_pagination: Option<bool>,
    /// `use_sub_partition`: whether to cut partitions further.
    pub use_sub_partition: Option<bool>,
    /// `sub_partition_step`: width of such a part.
    pub sub_partition_step: Option<u64>,
    /// `prevent_update_unless_changed`: whether rows that are equal are left alone. Pintail always leaves them alone
    /// where it compares rows at all.
    pub prevent_update_unless_changed: Option<bool>,
    /// `match_row_count`: whether the numbers of rows are compared beside hashes. They always are.
    pub match_row_count: Option<bool>,
    /// `pipeline_config.batch_size`: rows of a batch.
    pub batch_size: Option<u32>,
    /// `pipeline_config.max_concurrent_batches`: batches at once.
    pub max_concurrent_batches: Option<u32>,
}

impl Default for DeltaSpec {
    fn default() -> Self {
        Self {
            column: None,
            null_cursor: NullCursor::Fail,
            margin: Duration::from_millis(1),
            lookback: Duration::from_secs(2),
            lag: None,
            time_zone: None,
        }
    }
}

impl StrategyKind {
    /// The word in `type:`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Full(_) => "full",
            Self::Delta(_) => "delta",
            Self::Hash(_) => "hash",
        }
    }
}

impl StrategySpec {
    /// The narrowest ranges that are declared for a column.
    pub fn partition(&self, is_column: impl Fn(&str) -> bool) -> Option<&PartitionSpec> {
        let declared = self.primary_partitions.iter().chain(&self.secondary_partitions);
        declared
            .filter(|declared| is_column(&declared.column))
            .min_by_key(|declared| declared.width().unwrap_or(u64::MAX))
    }

    /// A strategy with nothing but a name and a kind.
    pub fn new(name: impl Into<String>, kind: StrategyKind) -> Self {
        Self {
            name: name.into(),
            kind,
            enabled: true,
            cron: None,
            primary_partitions: Vec::new(),
            secondary_partitions: Vec::new(),
            delta_partitions: Vec::new(),
            tuning: TuningSpec::default(),
        }
    }
}
