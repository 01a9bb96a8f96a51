//! What a destination must hold after each run, in plain Rust.
//!
//! A full load makes it equal to the source, and so does a comparison. A pass that looks for deleted rows takes away
//! those that the source does not have. A delta brings in every visible row whose cursor lies in
//! `low..high`, and every row without a cursor where these are included; it never takes a row away, and a row of the
//! destination with a later cursor stays. Rows a lookback below `low` are brought in as they are now.
//!
//! Where rows that are gone stay, they are marked instead of taken away. One that is brought in lives again, and a pass that looks
//! for deleted rows brings in those that are marked and that the source has.

use std::ops::Range;

use super::model::Orders;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LakeModel {
    /// Rows that live; `None`: the table is not there yet.
    pub(super) rows: Option<Orders>,
    /// Rows that are gone and stay, as they were last seen.
    pub(super) marked: Orders,
    /// Whether rows that are gone stay.
    pub(super) soft: bool,
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
    /// An empty place, in which rows that are gone stay if `soft`.
    pub(super) fn new(soft: bool) -> Self {
        Self {
            soft,
            ..Self::default()
        }
    }

    /// Whether it has rows, of whatever kind.
    pub(super) fn filled(&self) -> bool {
        self.rows.as_ref().is_some_and(|rows| !rows.is_empty()) || !self.marked.is_empty()
    }

    /// Rows that live, and those that are marked; `None` if the table is not there.
    pub(super) fn tables(&self) -> Option<(Orders, Orders)> {
        Some((self.rows.clone()?, self.marked.clone()))
    }

    /// Replaces everything but rows that are gone and stay.
    pub(super) fn full(&mut self, snapshot: &Orders) -> Counts {
        let replaced = |rows: &Orders| {
            rows.keys()
                .filter(|id| !self.soft || snapshot.contains_key(id))
                .count()
        };
        let deleted = replaced(self.rows.as_ref().unwrap_or(&Orders::new())) + replaced(&self.marked);
        self.hash(snapshot);
        Counts {
            read: snapshot.len() as u64,
            inserted: snapshot.len() as u64,
            deleted: deleted as u64,
            ..Counts::default()
        }
    }

    /// Makes it equal to the source, by what differs.
    pub(super) fn hash(&mut self, snapshot: &Orders) -> Counts {
        let mut counts = Counts {
            read: snapshot.len() as u64,
            deleted: self.take_away(snapshot),
            ..Counts::default()
        };
        let rows = self.rows.get_or_insert_default();
        for (id, row) in snapshot {
            let returned = self.marked.remove(id).is_some();
            match rows.insert(*id, row.clone()) {
                None if !returned => counts.inserted += 1,
                Some(kept) if kept == *row => {}
                _ => counts.updated += 1,
            }
        }
        counts
    }

    /// Takes away what the source does not have, and brings in what is marked and what it has.
    pub(super) fn deletes(&mut self, snapshot: &Orders) -> Counts {
        let deleted = self.take_away(snapshot);
        let rows = self.rows.get_or_insert_default();
        let returned = self.marked.extract_if(.., |id, _| snapshot.contains_key(id));
        let returned: Vec<i64> = returned.map(|(id, _)| id).collect();
        rows.extend(returned.iter().map(|id| (*id, snapshot[id].clone())));
        Counts {
            read: snapshot.len() as u64,
            updated: returned.len() as u64,
            deleted,
            ..Counts::default()
        }
    }

    /// Takes rows away that the source does not have, or marks them. Returns how many.
    fn take_away(&mut self, snapshot: &Orders) -> u64 {
        let rows = self.rows.get_or_insert_default();
        let gone: Orders = rows.extract_if(.., |id, _| !snapshot.contains_key(id)).collect();
        let number = gone.len() as u64;
        if self.soft {
            self.marked.extend(gone);
        }
        number
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
            let (kept, marked) = (rows.get(id), self.marked.get(id));
            let stays = kept.or(marked).is_some_and(|kept| match apply {
                Apply::Newer => later(kept.cursor, read.cursor),
                // A row that is marked differs from one that is not.
                Apply::Changed => kept == read && marked.is_none(),
            });
            if stays {
                counts.kept += u64::from(apply == Apply::Newer);
                continue;
            }
            *if kept.or(marked).is_some() {
                &mut counts.updated
            } else {
                &mut counts.inserted
            } += 1;
            self.marked.remove(id);
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
