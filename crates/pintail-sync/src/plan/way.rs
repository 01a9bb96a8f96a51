//! How both sides of a comparison are compared, and why.

use std::fmt;

use pintail_lake::connector::ColumnRead;
use pintail_lake::digest::{Digest, DigestLeaves, DigestRequest};
use pintail_model::ErrorKind;
use serde::Serialize;

use super::{ASKED_FOR, Draft, PipelinePlan, SOURCE, Side, Statement, auto, statement, stored};
use crate::error::{Error, Result};
use crate::spec::{Compare, HashSpec};
use crate::state::Baseline;

/// How, and why so.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// How.
    pub way: Way,
    /// Why.
    pub reason: String,
    /// What is kept once both sides are equal, for the next comparison.
    pub keep: Option<Keep>,
    /// Bytes that the source is expected to send, where it sends sums and the rows of some leaves alone.
    pub expected_bytes: Option<u64>,
}

/// What a comparison leaves for the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Keep {
    /// The sums of versions.
    pub sums: Sums,
    /// What they hold for, if nothing has to be written; of the destination.
    pub baseline: Baseline,
}

/// How both sides are compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// The engine reads both.
    Stream,
    /// Each side sums up by itself, and the engine reads what differs.
    Pushdown(Sums),
    /// The source sums up versions of its rows, and the engine reads what differs from an earlier time.
    Stored(Sums),
}

/// What each side sums up.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// The leaves.
    pub leaves: DigestLeaves,
    /// How the source does it.
    pub digest: Digest,
}

impl Default for Comparison {
    fn default() -> Self {
        Self {
            way: Way::Stream,
            reason: "one reading of both sides tells every difference".to_owned(),
            keep: None,
            expected_bytes: None,
        }
    }
}

/// A comparison, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Said<'a> {
    way: &'static str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_bytes: Option<u64>,
}

impl Comparison {
    /// What a plan says of it.
    pub(super) fn said(&self) -> Said<'_> {
        Said {
            way: self.way.word(),
            reason: &self.reason,
            expected_bytes: self.expected_bytes,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, because {}", self.way.word(), self.reason)
    }
}

impl Way {
    /// The word in `compare:`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Pushdown(_) => "pushdown",
            Self::Stored(_) => "stored",
        }
    }
}

impl PipelinePlan {
    /// How both sides are compared. `scan` reads the source.
    pub(super) fn comparing(&self, scan: &str) -> Vec<Statement> {
        let there = |sql| Statement {
            side: Side::Destination,
            purpose: "sum up the rows that are there",
            sql,
        };
        let living = statement::living(&self.shown.rows, &self.shape);
        match &self.comparison.way {
            Way::Stream => vec![
                Statement {
                    side: Side::Engine,
                    purpose: "sum up the rows of the source",
                    sql: statement::sum(scan, &[], &self.shown_sketching_filter()),
                },
                there(statement::all_of(&living, &self.shown_sketching_filter())),
            ],
            Way::Pushdown(sums) => vec![
                Statement {
                    side: Side::Source,
                    purpose: "sum up the rows of the source, leaf by leaf",
                    sql: sums.digest.pushed_down.clone(),
                },
                there(sums.leaves.sums(&living, &self.compared)),
                self.one_by_one(scan, "if leaves differ, compare their rows one by one; if many do, all rows"),
            ],
            Way::Stored(sums) => vec![
                Statement {
                    side: Side::Source,
                    purpose: "sum up the versions of the rows, leaf by leaf",
                    sql: sums.digest.pushed_down.clone(),
                },
                self.one_by_one(
                    scan,
                    "if leaves are not as they were, compare their rows one by one; if many are not, all rows",
                ),
            ],
        }
    }

    fn one_by_one(&self, scan: &str, purpose: &'static str) -> Statement {
        Statement {
            side: Side::Engine,
            purpose,
            sql: statement::sum(scan, &[], &self.shown_sketching_filter()),
        }
    }

    fn shown_sketching_filter(&self) -> String {
        let leaf = crate::compare::given(&self.shape)
            .1
            .unwrap_or_else(|| "null".to_owned());
        let names = pintail_lake::quote::identifiers(&self.compared);
        format!("pintail_tap(<n>, ({leaf})::bigint, {names})")
    }
}

/// What a leaf costs on its way, in bytes: its number, its rows and its sum, in the frames of a binary COPY. Measured.
const LEAF_BYTES: f64 = 55.0;

/// Leaves at most: a server groups as many in the memory that it has by default.
const LEAVES_MAX: f64 = 65_536.0;

/// Rows that are taken to differ, where nothing is known.
const DIFFERING: f64 = 1_000.0;

/// Rows that are taken to differ at least: nobody knows what changes next.
const DIFFERING_MIN: u64 = 100;

/// What a table is taken to have, and what a row of it to weigh, where nothing is known.
const ROWS: f64 = 1_000_000.0;
const ROW_BYTES: f64 = 100.0;

/// Chooses how a plan compares. Its columns that are compared are known.
pub(super) fn choose(draft: &Draft<'_>, plan: &PipelinePlan, settings: &HashSpec) -> Result<Comparison> {
    let asked_for = |way, expected_bytes| Comparison {
        way,
        reason: ASKED_FOR.to_owned(),
        keep: None,
        expected_bytes,
    };
    let refused = |reason: String| {
        Error::refused(
            ErrorKind::Invalid,
            format!(
                "strategy `{}` cannot compare table \"{}\" by `{}`: {reason}",
                plan.strategy,
                plan.source_table,
                settings.compare.word()
            ),
            "Take `compare: stream`, or leave the choice to Pintail with `compare: auto`.",
        )
    };
    match settings.compare {
        Compare::Auto => Ok(auto::choose(draft, plan)),
        Compare::Stream => Ok(asked_for(Way::Stream, None)),
        Compare::Pushdown => {
            let sums = request(draft, plan, None).and_then(|request| sums(draft, request));
            let sums = sums.map_err(refused)?;
            let bytes = travelling(draft, &sums.leaves) as u64;
            Ok(asked_for(Way::Pushdown(sums), Some(bytes)))
        }
        Compare::Stored => stored::choose(draft, plan).map_err(refused),
    }
}

/// What is to be summed up, in `leaves` or else in such as fit to the table.
pub(super) fn request(
    draft: &Draft<'_>,
    plan: &PipelinePlan,
    leaves: Option<DigestLeaves>,
) -> std::result::Result<DigestRequest, String> {
    if let Some(hash) = &plan.shape.row_hash {
        return Err(format!(
            "column `{}` holds the hash of a row, which only the engine computes",
            hash.column
        ));
    }
    let leaves = leaves.map_or_else(|| fitting_leaves(draft, plan), Ok)?;
    Ok(DigestRequest {
        relation: plan.relation.clone(),
        columns: plan.shape.only(&plan.compared).columns,
        leaves,
    })
}

/// What each side sums up; or why the source cannot.
pub(super) fn sums(draft: &Draft<'_>, request: DigestRequest) -> std::result::Result<Sums, String> {
    let digest = draft.connector.digest(SOURCE, &request)?;
    Ok(Sums {
        leaves: request.leaves,
        digest,
    })
}

/// Bytes that a source sends for a comparison by sums, if as many rows differ as the last time. Each leaf sends its sum; rows that differ lie anywhere, so that *k* of them make
/// *n* (1 - (1 - 1/*n*)^*k*) of *n* leaves differ; all rows of these are read, and those that differ once more to bring them
/// in.
pub(super) fn travelling(draft: &Draft<'_>, leaves: &DigestLeaves) -> f64 {
    let (rows, differing) = (row_count(draft), differing(draft));
    let number = leaf_count(leaves, rows);
    let dirty = number * (1.0 - (1.0 - 1.0 / number).powf(differing));
    let row = row_bytes(draft);
    number * LEAF_BYTES + (dirty * rows / number + differing) * row
}

/// How many leaves there are.
fn leaf_count(leaves: &DigestLeaves, rows: f64) -> f64 {
    let number = match leaves {
        DigestLeaves::Ranges { key, width } => {
            match (key.source.histogram.first(), key.source.histogram.last()) {
                (Some(least), Some(most)) => (i128::from(*most) - i128::from(*least)) as f64 / *width as f64,
                _ => rows,
            }
        }
        DigestLeaves::Buckets { bits, .. } => (*bits as f64).exp2(),
    };
    number.clamp(1.0, rows.max(1.0))
}

/// Leaves of which there are so many that their sums cost as much on the way as the rows of those that differ.
fn fitting_leaves(draft: &Draft<'_>, plan: &PipelinePlan) -> std::result::Result<DigestLeaves, String> {
    let shape = &plan.shape;
    let key: Vec<ColumnRead> = shape.only(&shape.key).columns;
    if key.is_empty() {
        return Err("its rows have no key".to_owned());
    }
    let rows = row_count(draft);
    let rows_of_leaf = (LEAF_BYTES * rows / (differing(draft) * row_bytes(draft)))
        .sqrt()
        .max(1.0);
    let number = (rows / rows_of_leaf).clamp(1.0, LEAVES_MAX);
    if shape.integer_key().is_some()
        && let [key] = key.as_slice()
        && let (Some(least), Some(most)) = (key.source.histogram.first(), key.source.histogram.last())
    {
        let spread = (i128::from(*most) - i128::from(*least) + 1) as f64;
        return Ok(DigestLeaves::Ranges {
            key: Box::new(key.clone()),
            width: (spread / number).ceil().max(1.0) as i64,
        });
    }
    let bits = (number.log2().ceil() as u32).clamp(1, 16);
    Ok(DigestLeaves::Buckets { key, bits })
}

/// Rows of the table.
pub(super) fn row_count(draft: &Draft<'_>) -> f64 {
    draft.facts.table.rows.map_or(ROWS, |rows| rows.max(1) as f64)
}

/// What one of them weighs.
pub(super) fn row_bytes(draft: &Draft<'_>) -> f64 {
    let table = &draft.facts.table;
    match (table.bytes, table.rows) {
        (Some(bytes), Some(rows)) => (bytes as f64 / rows.max(1) as f64).max(1.0),
        _ => ROW_BYTES,
    }
}

/// Rows that differ, by the last comparison.
pub(super) fn differing(draft: &Draft<'_>) -> f64 {
    let last = draft.facts.history.comparisons.first();
    last.map_or(DIFFERING, |last| last.differing.max(DIFFERING_MIN) as f64)
}
