//! Sums that each side of a comparison takes by itself, leaf by leaf, so that only these travel.
//!
//! ```text
//! source       select leaf, count(*), sum(digest) … group by leaf ─┐
//!                                                                  ├─ which leaves differ?
//! destination  select leaf, count(*), sum(digest) … group by leaf ─┘
//! ```
//!
//! A source may also be able to sum up *versions* of its rows, which change with every change of a row, without a look into
//! any: these are compared with what they were earlier.
//!
//! A row belongs to the same leaf on both sides, and has the same digest: see [`crate::tap::row_digest`]. A leaf that one
//! side does not have is one without rows.

use crate::connector::ColumnRead;
use crate::quote;
use crate::relation::Relation;
use crate::tap::row_digest;

/// How rows are put into leaves.
#[derive(Debug, Clone, PartialEq)]
pub enum DigestLeaves {
    /// By ranges of an integer key, all of that width: the key divided by it, rounded towards zero.
    Ranges {
        /// The key, an integer on both sides.
        key: Box<ColumnRead>,
        /// Keys of a leaf. At least 1.
        width: i64,
    },
    /// By the first bits of the digest of the key.
    Buckets {
        /// The columns of the key.
        key: Vec<ColumnRead>,
        /// How many bits. At least 1.
        bits: u32,
    },
}

/// What a source is to sum up.
#[derive(Debug, Clone, PartialEq)]
pub struct DigestRequest {
    /// What is read.
    pub relation: Relation,
    /// The columns that are compared, in the order of the destination.
    pub columns: Vec<ColumnRead>,
    /// The leaves.
    pub leaves: DigestLeaves,
}

/// How a source sums up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// DuckDB SQL of rows (leaf `bigint`, rows `bigint`, sum of digests `hugeint`).
    pub sql: String,
    /// The statement that the source itself gets to see.
    pub pushed_down: String,
}

impl DigestLeaves {
    /// The leaf of a row of the destination, in the engine's SQL.
    #[must_use]
    pub fn expression(&self) -> String {
        match self {
            Self::Ranges { key, width } => {
                format!("({}::bigint // {width})", quote::identifier(&key.column.name))
            }
            Self::Buckets { key, bits } => {
                let names: Vec<&str> = key.iter().map(|read| read.column.name.as_str()).collect();
                format!(
                    "({} >> {} & {})",
                    row_digest(&names),
                    64 - bits,
                    (1_i64 << bits) - 1
                )
            }
        }
    }

    /// The rows (leaf, rows, sum of digests) of the destination. `rows` is a relation in parentheses.
    #[must_use]
    pub fn sums<S: AsRef<str>>(&self, rows: &str, columns: &[S]) -> String {
        format!(
            "select leaf, count(*), sum(digest)\nfrom (select {} as leaf, {} as digest from {rows} as kept)\ngroup by leaf",
            self.expression(),
            row_digest(columns)
        )
    }

    /// Those rows of the destination that belong to `leaves`, as a relation in parentheses.
    #[must_use]
    pub fn rows_of(&self, rows: &str, leaves: &[i64]) -> String {
        let leaves: Vec<String> = leaves.iter().map(ToString::to_string).collect();
        format!(
            "(select * from {rows} as kept where {} in (select unnest([{}]::bigint[])))",
            self.expression(),
            leaves.join(",")
        )
    }
}

/// What tells whether versions of rows may be compared with those of an earlier time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Names the server and its history: another server, a restored or an upgraded one has another.
    pub identity: String,
    /// Transactions until now. They only grow.
    pub transactions: i64,
}
