//! What a source holds, and what can be made of its rows, in plain Rust: no database, no SQL, no partitions.

use std::collections::{BTreeMap, BTreeSet};

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

/// Rows without a key, as texts of their values, with the number of their copies.
pub(super) type Bag = BTreeMap<String, u64>;

/// A row of a bag.
pub(super) fn copy(value: i64, ratio: Option<Ratio>) -> String {
    format!("{value} {}", ratio.map_or_else(|| "-".to_owned(), Ratio::text))
}

/// The values and ratios of a table: few, so that many rows are equal.
pub(super) fn bag(orders: &Orders) -> Bag {
    let mut bag = Bag::new();
    for order in orders.values() {
        *bag.entry(copy(order.value, order.ratio)).or_default() += 1;
    }
    bag
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

/// Fails unless both sides have the same rows, groups or copies.
pub(super) fn same<K: Ord + std::fmt::Display, T: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<K, T>,
    found: &BTreeMap<K, T>,
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
