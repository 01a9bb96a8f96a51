//! What is run, and the pipelines that have it.

use fastrand::Rng;

use super::shop::{STEP, Shop};
use super::target::Target;

/// Kinds of runs that are killed in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Full loads and deltas.
    Loads,
    /// Comparisons, passes for deleted rows, and deltas between them.
    Comparisons,
    /// All of these, where a row of the destination is a group of orders.
    Groups,
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Full,
    /// In so many partitions, whatever the plan would choose.
    Forced,
    /// A full load, as long as there is nothing to go on from.
    Delta,
    /// Both sides are compared, in the way that the strategy of this name has.
    Hash(&'static str),
    /// A pass for deleted rows.
    Deletes,
}

impl Mix {
    /// A run. Where there is no destination yet, there is nothing to look for deleted rows in.
    pub(crate) fn choose(self, random: &mut Rng, there: bool) -> Run {
        let way = ["stream", "pushdown", "stored"][random.usize(..3)];
        let runs: &[Run] = match self {
            Self::Loads => &[Run::Full, Run::Forced, Run::Delta, Run::Delta],
            Self::Comparisons if there => &[Run::Hash(way), Run::Hash(way), Run::Deletes, Run::Delta],
            Self::Comparisons => &[Run::Hash(way), Run::Delta],
            Self::Groups => &[Run::Full, Run::Delta, Run::Delta, Run::Delta, Run::Hash("stream")],
        };
        runs[random.usize(..runs.len())]
    }

    /// A run that takes away what is not in the source any more.
    pub(crate) fn without_deleted(self) -> Run {
        match self {
            Self::Loads => Run::Full,
            Self::Comparisons | Self::Groups => Run::Deletes,
        }
    }

    pub(crate) fn pipeline(self, shop: &Shop, target: &Target) -> String {
        let partitions = format!(", primary_partitions: [{{column: version, step: {STEP}}}]");
        let (text, partitions) = match self {
            Self::Loads => (format!("{ORDERS}{LOADS}"), partitions),
            Self::Comparisons => (format!("{ORDERS}{LOADS}{COMPARISONS}"), partitions),
            Self::Groups => (format!("{GROUPS}{LOADS}{COMPARISONS}"), String::new()),
        };
        text.replace("SYSTEM", shop.system())
            .replace("TARGET", target.system())
            .replace("PARTITIONS", &partitions)
    }
}

impl Run {
    pub(crate) fn arguments(self) -> Vec<&'static str> {
        let chosen: &[_] = match self {
            Self::Full => &["--strategy", "everything"],
            Self::Forced => &["--strategy", "everything", "--partitions", "6"],
            Self::Delta => &["--strategy", "changes"],
            // How many rows may go is not what is looked at here.
            Self::Hash(way) => &["--strategy", way, "--allow-deletes"],
            Self::Deletes => &["--deletes", "--allow-deletes"],
        };
        [&["run", "--config", "pipeline.yaml", "--json"], chosen].concat()
    }

    /// Whether it reads and says one partition after the other.
    pub(crate) fn has_partitions(self, mix: Mix) -> bool {
        mix != Mix::Groups && matches!(self, Self::Full | Self::Forced | Self::Delta)
    }
}

const ORDERS: &str = "\
name: orders
source_provider:
  data_backend: {type: SYSTEM, datastore_name: shop, table: orders}
destination_provider:
  data_backend: {type: TARGET, datastore_name: copy, table: orders}
";

/// Groups that look like orders: half of the changes of a row move it to another one. See [`Shop::groups`].
const GROUPS: &str = "\
name: orders
sync_type: aggregate
source_provider:
  data_backend: {type: SYSTEM, datastore_name: shop, table: orders, group_by: [id]}
destination_provider:
  data_backend: {type: TARGET, datastore_name: copy, table: orders}
column_map:
  - {source: 'id % 24 + 24 * (version % 3)', dest: id, data_type: bigint}
  - {source: 'cast(count(*) as text)', dest: note, data_type: text}
  - {source: 'cast(sum(id) as bigint)', dest: version, data_type: bigint}
";

const LOADS: &str = "\
strategies:
  - {name: changes, type: delta, column: version PARTITIONS}
  - {name: everything, type: full}
";

const COMPARISONS: &str = "  \
  - {name: stream, type: hash, compare: stream}
  - {name: pushdown, type: hash, compare: pushdown}
  - {name: stored, type: hash, compare: stored}
";
