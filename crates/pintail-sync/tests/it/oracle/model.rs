//! What a source holds and what a lake must hold, in plain Rust: no database, no SQL, no partitions.
//!
//! A full load makes the lake equal to the source, and so does a comparison. A pass that looks for deleted rows takes away
//! those that the source does not have. A delta brings in every visible row whose cursor lies in
//! `low..high`, and every row without a cursor where these are included; it never takes a row away, and a row of the
//! lake with a later cursor stays. Rows a lookback below `low` are brought in as they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::history::SLOTS;

/// A row. The id is its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) value: i64,
    pub(super) note: Option<String>,
    pub(super) cents: i64,
    pub(super) ratio: Option<Ratio>,
    /// In the unit of its type: microseconds, days, or the number itself.
    pub(super) cursor: Option<i64>,
}

/// A float. It is equal to those with the same bits, and all that are no number are one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ratio(f64);

impl Ratio {
    pub(super) fn of(value: f64) -> Self {
        Self(if value.is_nan() { f64::NAN } else { value })
    }

    pub(super) fn value(self) -> f64 {
        self.0
    }

    /// As databases write it and read it: `0.5`, `1e300`, `NaN`, `-inf`.
    pub(super) fn text(self) -> String {
        format!("{:?}", self.0)
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Ratio {}

pub(super) type Orders = BTreeMap<i64, Order>;

/// What is computed of all orders of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) orders: i64,
    /// Of those that have one.
    pub(super) notes: i64,
    /// Their sum.
    pub(super) ids: i64,
    /// The largest price, in cents.
    pub(super) top: i64,
    /// The largest ratio; NaN is larger than every number.
    pub(super) high: Option<Ratio>,
}

/// Groups, by their value.
pub(super) type Groups = BTreeMap<i64, Group>;

/// The groups of a table.
pub(super) fn groups(orders: &Orders) -> Groups {
    let mut groups = Groups::new();
    for (id, order) in orders {
        let group = groups.entry(order.value).or_insert(Group {
            orders: 0,
            notes: 0,
            ids: 0,
            top: i64::MIN,
            high: None,
        });
        group.orders += 1;
        group.notes += i64::from(order.note.is_some());
        group.ids += id;
        group.top = group.top.max(order.cents);
        let ratios = group.high.into_iter().chain(order.ratio);
        group.high = ratios.max_by(|one, other| one.value().total_cmp(&other.value()));
    }
    groups
}

/// Rows that a transaction wrote; `None` is a row that it deleted.
pub(super) type Written = Vec<(i64, Option<Order>)>;

#[derive(Debug, Clone, Default)]
pub(super) struct SourceModel {
    /// What a snapshot sees.
    pub(super) visible: Orders,
    /// Rows that an open transaction has locked.
    locked: [Option<BTreeSet<i64>>; SLOTS],
}

impl SourceModel {
    /// Whether any transaction is open.
    pub(super) fn busy(&self) -> bool {
        self.locked.iter().any(Option::is_some)
    }

    pub(super) fn open(&self, slot: usize) -> bool {
        self.locked[slot].is_some()
    }

    /// Whether a transaction other than that of `slot` has locked the row.
    pub(super) fn waits(&self, id: i64, slot: Option<usize>) -> bool {
        let others = self
            .locked
            .iter()
            .enumerate()
            .filter(|(other, _)| Some(*other) != slot);
        others
            .filter_map(|(_, locked)| locked.as_ref())
            .any(|locked| locked.contains(&id))
    }

    pub(super) fn begin(&mut self, slot: usize) {
        self.locked[slot] = Some(BTreeSet::new());
    }

    pub(super) fn lock(&mut self, slot: usize, ids: impl Iterator<Item = i64>) {
        self.locked[slot].get_or_insert_default().extend(ids);
    }

    /// Ends a transaction; what it wrote becomes visible with [`SourceModel::commit`].
    pub(super) fn end(&mut self, slot: usize) {
        self.locked[slot] = None;
    }

    pub(super) fn commit(&mut self, written: Written) {
        for (id, row) in written {
            match row {
                Some(row) => self.visible.insert(id, row),
                None => self.visible.remove(&id),
            };
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct LakeModel {
    /// `None`: the table is not there yet.
    pub(super) rows: Option<Orders>,
    /// What the next delta begins with.
    pub(super) watermark: Option<i64>,
}

/// What a delta did, as its report should say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) inserted: u64,
    pub(super) updated: u64,
    /// Rows that went without replacement.
    pub(super) deleted: u64,
    /// Rows that were read, and left alone because the lake has a later cursor.
    pub(super) kept: u64,
}

/// How the rows of a partition are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apply {
    /// Those that are newer or equal.
    Newer,
    /// Those that differ.
    Changed,
}

impl LakeModel {
    pub(super) fn full(&mut self, snapshot: &Orders) {
        self.rows = Some(snapshot.clone());
    }

    /// Makes the lake equal to the source, by what differs.
    pub(super) fn hash(&mut self, snapshot: &Orders) -> Counts {
        let rows = self.rows.get_or_insert_default();
        let counts = Counts {
            read: snapshot.len() as u64,
            inserted: snapshot.keys().filter(|id| !rows.contains_key(id)).count() as u64,
            updated: snapshot
                .iter()
                .filter(|(id, row)| rows.get(id).is_some_and(|kept| kept != *row))
                .count() as u64,
            deleted: rows.keys().filter(|id| !snapshot.contains_key(id)).count() as u64,
            kept: 0,
        };
        rows.clone_from(snapshot);
        counts
    }

    /// Takes away what the source does not have.
    pub(super) fn deletes(&mut self, snapshot: &Orders) -> Counts {
        let rows = self.rows.get_or_insert_default();
        let before = rows.len();
        rows.retain(|id, _| snapshot.contains_key(id));
        Counts {
            read: snapshot.len() as u64,
            deleted: (before - rows.len()) as u64,
            ..Counts::default()
        }
    }

    /// Brings in the rows of a range of cursors.
    pub(super) fn range(&mut self, snapshot: &Orders, range: Range<i64>, apply: Apply) -> Counts {
        self.bring(
            snapshot,
            |cursor| cursor.is_some_and(|cursor| range.contains(&cursor)),
            apply,
        )
    }

    /// Brings in the rows without a cursor.
    pub(super) fn nulls(&mut self, snapshot: &Orders) -> Counts {
        self.bring(snapshot, |cursor| cursor.is_none(), Apply::Changed)
    }

    fn bring(&mut self, snapshot: &Orders, wanted: impl Fn(Option<i64>) -> bool, apply: Apply) -> Counts {
        let rows = self.rows.get_or_insert_default();
        let mut counts = Counts::default();
        for (id, read) in snapshot.iter().filter(|(_, read)| wanted(read.cursor)) {
            counts.read += 1;
            let kept = rows.get(id);
            let stays = kept.is_some_and(|kept| match apply {
                Apply::Newer => later(kept.cursor, read.cursor),
                Apply::Changed => kept == read,
            });
            if stays {
                counts.kept += u64::from(apply == Apply::Newer);
                continue;
            }
            *if kept.is_some() {
                &mut counts.updated
            } else {
                &mut counts.inserted
            } += 1;
            rows.insert(*id, read.clone());
        }
        counts
    }
}

/// Whether the lake's cursor is later than the one that was read. Nothing is later or earlier than no cursor.
pub(super) fn later(kept: Option<i64>, read: Option<i64>) -> bool {
    kept.zip(read).is_some_and(|(kept, read)| kept > read)
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.kept += other.kept;
    }
}

/// Fails unless both sides have the same rows or groups.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<i64, T>,
    found: &BTreeMap<i64, T>,
    who: &str,
) -> Result<(), String> {
    let keys = expected.keys().chain(found.keys());
    let mut differences = keys.filter(|key| expected.get(key) != found.get(key));
    match differences.next() {
        None => Ok(()),
        Some(key) => Err(format!(
            "{who} and the lake differ in {} rows; row {key} is {:?}, and {:?} in the lake",
            differences.count() + 1,
            expected.get(key),
            found.get(key)
        )),
    }
}
