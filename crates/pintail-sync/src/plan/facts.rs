//! Everything that planning knows. Gathering it is I/O; what follows from it is not.

use jiff::Timestamp;
use pintail_lake::connector::{Capabilities, ReadPoint, TableDescription};
use pintail_lake::digest::Lineage;
use pintail_lake::{FoundTable, LedgerEntry, Relation};
use pintail_model::PartitionKey;

use super::PlanKind;
use super::cut::Bounds;
use crate::memberships::Kept;
use crate::shape::Shape;
use crate::state::{FrozenPartition, History, StagedRecord, UnfinishedRun};

/// What was asked for one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The strategy, by name; `None` leaves the choice to the plan.
    pub strategy: Option<String>,
    /// Forces that many partitions of a full load.
    pub partitions: Option<u32>,
    /// Whether both sides are compared.
    pub parity: bool,
    /// Whether the guard of deletes is off.
    pub allow_deletes: bool,
    /// What is to be done.
    pub task: Task,
    /// The strategy that met a group without a value, if one did: all groups are compared as copies of rows then.
    pub as_copies: Option<String>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Task {
    /// To bring the destination up to date.
    #[default]
    Sync,
    /// To take rows away that are gone from the source, and nothing else.
    Deletes,
    /// To compare both sides and change neither.
    Verify {
        /// How many keys of rows that differ are to be named.
        keys_named: u64,
    },
}

/// What is so.
#[derive(Debug, Clone)]
pub struct Facts {
    /// This machine's clock.
    pub now: Timestamp,
    /// The source's address, without secrets.
    pub source_address: String,
    /// One text for what is read, wherever the call comes from: a watermark says nothing about another table.
    pub source_identity: String,
    /// What the source can do.
    pub capabilities: Capabilities,
    /// What is read: the table as it is, or a query over it.
    pub relation: Relation,
    /// What the source says of it.
    pub table: TableDescription,
    /// The main table of it, where its rows are groups.
    pub main: Option<TableDescription>,
    /// What is kept of rows and the groups that they belong to, where that is wanted.
    pub kept: Option<Kept>,
    /// Why the source may not show all rows of it to this user, if that is so.
    pub hidden: Option<String>,
    /// Where the source would cut it, if it was asked.
    pub bounds: Bounds,
    /// What is carried.
    pub shape: Shape,
    /// What the source says of time, if there is a cursor.
    pub read_point: Option<ReadPoint>,
    /// What the destination is, for people: a lake, a database.
    pub noun: &'static str,
    /// The destination's address, without secrets.
    pub destination_address: String,
    /// The table of the destination.
    pub found: Option<FoundTable>,
    /// Whether the table of the destination has no rows; only known where a comparison was asked for, or where rows must not
    /// be replaced.
    pub found_empty: bool,
    /// Whether the table of the destination does not have the column yet that tells which rows are gone, and gets it.
    pub adds_mark: bool,
    /// The newest entry of the destination's ledger for the table, of whatever pipeline.
    pub ledger: Option<LedgerEntry>,
    /// What sums of versions would hold for; only known where a comparison may use them.
    pub versions: Option<Versions>,
    /// What earlier runs left.
    pub history: History,
    /// Keys of the unfinished run that are in the ledger.
    pub committed: Vec<PartitionKey>,
}

/// What sums of the versions of a source's rows hold for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The source's history, or why it cannot be told.
    pub lineage: Result<Lineage, String>,
    /// What changes with the destination's rows, where the destination tells.
    pub token: Option<String>,
}

impl Facts {
    /// Takes what an unfinished full load staged without a checksum away, for a run that compares both sides: nobody could
    /// tell whether the files still hold what was read. Returns what there is to say of that.
    pub fn require_checksums(&mut self) -> Option<String> {
        let full = PlanKind::Full.as_str();
        let run = self.history.unfinished.as_mut().filter(|run| run.kind == full)?;
        let unproven = |staged: &mut StagedRecord| staged.checksum.is_none();
        let taken = run
            .partitions
            .iter_mut()
            .filter_map(|partition| partition.staged.take_if(unproven))
            .count();
        (taken > 0).then(|| {
            format!(
                "{taken} partitions that run {} had staged without a comparison are read again",
                run.run
            )
        })
    }

    /// The table of the destination, unless it has no rows; only known where [`Facts::found_empty`] is.
    #[must_use]
    pub fn filled(&self) -> Option<&FoundTable> {
        self.found.as_ref().filter(|_| !self.found_empty)
    }

    /// Takes the unfinished run away if all of its work is in: it only did not get to say so. A run that had no
    /// work goes without a word.
    pub fn settle(&mut self, pipeline: &str) -> Option<UnfinishedRun> {
        self.history.unfinished.take_if(|run| run.partitions.is_empty());
        let run = self.history.unfinished.as_ref()?;
        let key = |partition: &FrozenPartition| PartitionKey::new(pipeline, &run.run, &partition.id);
        let over = run
            .partitions
            .iter()
            .all(|partition| partition.empty || self.committed.contains(&key(partition)));
        if over {
            self.history.unfinished.take()
        } else {
            None
        }
    }
}
