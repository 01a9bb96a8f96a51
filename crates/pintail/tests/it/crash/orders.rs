//! What a table holds, and which states of it a reader may see.

use std::collections::BTreeMap;

/// Columns of a row, for every database here.
pub(crate) const COLUMNS: &str = "id, note, version";

/// Rows of a whole table, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Orders(BTreeMap<i64, Order>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    note: Option<String>,
    version: i64,
}

impl Orders {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Fails if an id is there twice.
    #[track_caller]
    pub(crate) fn of(rows: impl Iterator<Item = (i64, Option<String>, i64)>) -> Self {
        let mut orders = BTreeMap::new();
        for (id, note, version) in rows {
            let doubled = orders.insert(id, Order { note, version });
            assert_eq!(doubled, None, "order {id} is there twice");
        }
        Self(orders)
    }

    /// Fails unless both hold the same rows.
    #[track_caller]
    pub(crate) fn assert_same(&self, source: &Orders, context: &str) {
        let difference = source.0.iter().zip(&self.0).find(|(source, lake)| source != lake);
        let counts = (source.len(), self.len());
        assert_eq!(
            (difference, counts.0),
            (None, counts.1),
            "{context}: source, lake"
        );
    }

    /// Fails unless a full load that was killed left the whole table of before, or a whole one of the source.
    #[track_caller]
    pub(crate) fn assert_whole(&self, before: &Orders, sources: &[Orders], context: &str) {
        let whole = self == before || sources.contains(self);
        let counts: Vec<usize> = sources.iter().map(Orders::len).collect();
        let (now, before) = (self.len(), before.len());
        assert!(
            whole,
            "{context}: half a table with {now} rows; before {before}, source {counts:?}"
        );
    }

    /// The first version that is not in use yet.
    pub(crate) fn end(&self) -> i64 {
        self.0.values().map(|order| order.version + 1).max().unwrap_or(0)
    }

    /// Fails unless every row is that of before or one of the source, and no order is gone.
    #[track_caller]
    pub(crate) fn assert_between(&self, before: &Orders, sources: &[Orders], context: &str) {
        self.assert_each(before, sources, context);
        let lost = before.0.keys().find(|id| !self.0.contains_key(id));
        assert_eq!(lost, None, "{context}: a delta lost an order");
    }

    /// Fails unless every row is that of before or one of the source, and none is gone that all of them have.
    #[track_caller]
    pub(crate) fn assert_each(&self, before: &Orders, sources: &[Orders], context: &str) {
        for (id, order) in &self.0 {
            let known = std::iter::once(before)
                .chain(sources)
                .any(|state| state.0.get(id) == Some(order));
            assert!(known, "{context}: order {id} was never {order:?}");
        }
        let everywhere = |id: &&i64| sources.iter().all(|source| source.0.contains_key(id));
        let lost = before
            .0
            .keys()
            .filter(everywhere)
            .find(|id| !self.0.contains_key(id));
        assert_eq!(lost, None, "{context}: an order is gone that is in the source");
    }

    /// Fails unless a pass for deleted rows left the table of before, or that without the rows that a source does not have.
    #[track_caller]
    pub(crate) fn assert_without_deleted(&self, before: &Orders, sources: &[Orders], context: &str) {
        let cleaned = |source: &Orders| before.only_those_of(source) == *self;
        let (now, before_len) = (self.len(), before.len());
        assert!(
            self == before || sources.iter().any(cleaned),
            "{context}: half a pass for deleted rows left {now} rows of {before_len}"
        );
    }

    /// The rows whose ids another table has.
    pub(crate) fn only_those_of(&self, other: &Orders) -> Self {
        let kept = self.0.iter().filter(|(id, _)| other.0.contains_key(id));
        Self(kept.map(|(id, order)| (*id, order.clone())).collect())
    }

    /// How many rows have to be inserted, changed and deleted to make this table another one.
    pub(crate) fn steps_to(&self, other: &Orders) -> [u64; 3] {
        let inserted = other.0.keys().filter(|id| !self.0.contains_key(id)).count();
        let changed = |(id, order): &(&i64, &Order)| self.0.get(id).is_some_and(|kept| kept != *order);
        let changed = other.0.iter().filter(changed).count();
        let deleted = self.0.keys().filter(|id| !other.0.contains_key(id)).count();
        [inserted as u64, changed as u64, deleted as u64]
    }

    /// Fails unless the changes up to some version are in, and those after it are not; a partition ends there.
    #[track_caller]
    pub(crate) fn assert_in_order(
        &self,
        before: &Orders,
        source: &Orders,
        ends: impl Fn(i64) -> bool,
        context: &str,
    ) {
        let changed = source
            .0
            .iter()
            .filter(|(id, order)| before.0.get(id) != Some(order));
        let (applied, open): (Vec<_>, Vec<_>) =
            changed.partition(|(id, order)| self.0.get(id) == Some(order));
        let newest = applied.iter().map(|(_, order)| order.version).max();
        let oldest = open.iter().map(|(_, order)| order.version).min();
        let (Some(newest), Some(oldest)) = (newest, oldest) else {
            return;
        };
        assert!(
            (newest + 1..=oldest).any(ends),
            "{context}: version {newest} is in and {oldest} is not: no partition ends there"
        );
    }
}
