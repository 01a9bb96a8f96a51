//! A tap: a filter that lets every row pass and keeps the checksums of what passed.
//!
//! ```text
//! copy (select … from source where pintail_tap(7, leaf, column, column, …)) to 'part.parquet'
//! ```
//!
//! Rows are hashed while they are on their way to the file, so a source is read once and not twice. The same filter
//! over the committed table gives the other side. The hash is version 1 of [`pintail_model::checksum`]; it sees
//! typed columns, never their text.
//!
//! `leaf` groups rows so that a difference can be located: an integer expression over the key, or NULL, in which
//! case the row's own hash picks one of 64 leaves.
//!
//! Of a table with an integer key, a tap may be given the key instead of the leaf, and works out the leaf itself.
//!
//! A *sketching* tap also keeps a [`Sketch`] of the rows, from which the rows that only one of two sides has can be read.
//!
//! [`row_hash`] is the same hash as an expression, for statements that join rows by it. [`row_digest`] is another one, slower
//! to take, which Postgres can take of its own rows.

#![expect(
    unsafe_code,
    reason = "a scalar function that sees NULLs and typed vectors exists in DuckDB's C interface only"
)]

mod function;
mod sent;
mod sums;
mod vector;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use pintail_model::LeafChecksums;
use pintail_model::sketch::Sketch;

pub(crate) use self::function::register;
use self::sums::Sums;
use crate::quote;

/// Ranges of an integer key, each of which is a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLeaves {
    /// Keys of a leaf. At least 1.
    pub width: i64,
    /// First leaf; smaller keys belong to it too.
    pub first: i64,
    /// Last leaf; greater keys belong to it too.
    pub last: i64,
}

/// What the filter of a tap is given of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenKey {
    /// The leaf, as any tap is.
    Leaf,
    /// Its integer key, and how leaves follow from it; without that, the row's own hash picks the leaf.
    Integer(Option<KeyLeaves>),
}

/// A tap of one engine. Dropping it ends it; statements that still name it fail.
pub struct Tap {
    id: i64,
    sums: Arc<Sums>,
}

/// All taps of an engine, by number.
#[derive(Default)]
pub(crate) struct TapRegistry {
    next: AtomicI64,
    taps: Mutex<HashMap<i64, Weak<Sums>>>,
}

impl TapRegistry {
    fn find(&self, id: i64) -> Option<Arc<Sums>> {
        let taps = self.taps.lock().expect("no holder of this lock panics");
        taps.get(&id).and_then(Weak::upgrade)
    }
}

impl Tap {
    pub(crate) fn new(registry: &Arc<TapRegistry>) -> Self {
        Self::with(registry, Sums::default())
    }

    pub(crate) fn keyed(registry: &Arc<TapRegistry>, given: GivenKey) -> Self {
        Self::with(registry, Sums::keyed(given))
    }

    pub(crate) fn sketching(registry: &Arc<TapRegistry>, given: GivenKey) -> Self {
        Self::with(registry, Sums::sketching(given))
    }

    fn with(registry: &Arc<TapRegistry>, sums: Sums) -> Self {
        let id = registry.next.fetch_add(1, Ordering::Relaxed);
        let sums = Arc::new(sums);
        let mut taps = registry.taps.lock().expect("no holder of this lock panics");
        taps.retain(|_, tap| tap.strong_count() > 0);
        taps.insert(id, Arc::downgrade(&sums));
        Self { id, sums }
    }

    /// The filter: SQL that is true for every row. `leaf` is an SQL expression of an integer, or `None`. It sees the
    /// rows of the relation that it filters, and no others.
    #[must_use]
    pub fn filter<S: AsRef<str>>(&self, leaf: Option<&str>, columns: &[S]) -> String {
        let leaf = leaf.unwrap_or("null");
        format!(
            "pintail_tap({}, ({leaf})::bigint, {})",
            self.id,
            quote::identifiers(columns)
        )
    }

    /// Rows that passed so far; can be asked while a statement runs.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.sums.rows()
    }

    /// The checksums of what passed so far.
    #[must_use]
    pub fn checksums(&self) -> LeafChecksums {
        self.sums.checksums()
    }

    /// The sketch of what passed so far; `None` unless it is a sketching tap, or if it was to be given keys and some row
    /// had none.
    #[must_use]
    pub fn sketch(&self) -> Option<Sketch> {
        self.sums.sketch()
    }
}

/// The hash of a row, an unsigned 64-bit integer in the engine's SQL.
#[must_use]
pub fn row_hash<S: AsRef<str>>(columns: &[S]) -> String {
    format!("pintail_hash({})", quote::identifiers(columns))
}

/// The digest of a row, a signed 64-bit integer in the engine's SQL. It is what Postgres gives with
/// `('x' || left(md5(record_send(row(…))), 16))::bit(64)::bigint`.
#[must_use]
pub fn row_digest<S: AsRef<str>>(columns: &[S]) -> String {
    format!("pintail_digest({})", quote::identifiers(columns))
}
