//! A sketch of a set of rows: small, of a fixed size, and enough to tell in what two large sets differ.
//!
//! Each side adds its rows to a sketch of its own while they stream past. One sketch is taken from the other: what is in
//! both is gone, and the rows that are on one side alone can be read off, by key, as long as there are not too many of
//! them. Memory does not depend on how large the sets are, and no row is kept.
//!
//! The structure is the invertible Bloom lookup table of Eppstein, Goodrich, Uyeda and Varghese, "What's the Difference?
//! Efficient Set Reconciliation without Prior Context" (SIGCOMM 2011), with three cells for each row, one in each third
//! of the table. A cell that a single row is left in is known by its check word, of 64 bits. With 3 cells a row, a table
//! gives back as many rows as about 0.8 times its cells (their threshold is 1 / 1.222); whether it did is always known.
//!
//! A row that stands twice on one side cannot be told apart from itself and makes reading fail, which is said and not
//! guessed around.

use crate::checksum::mum;

/// Cells of each third of a sketch, as a power of two: 3 × 8,192 cells of 24 bytes, from which about 19,000 rows are read.
/// Every row meets three cells anywhere, so that all of them had better fit into the cache of a core.
const THIRD_BITS: u32 = 13;
const THIRD: usize = 1 << THIRD_BITS;

/// Rows whose cells are found before the first of them is added, so that the processor can fetch many cells at once.
const BLOCK: usize = 64;

/// A row, as a sketch keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its integer key, or 0 for rows that have none.
    pub key: i64,
    /// Its hash, as [`crate::checksum`] says.
    pub hash: u64,
}

/// Rows added up, three cells each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    cells: Vec<Cell>,
}

/// The rows that only one of two sides has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Those of the side that the other one was taken from.
    pub ours: Vec<Item>,
    /// Those of the other side.
    pub theirs: Vec<Item>,
}

/// Sums over the rows that fall into a cell, all of them wrapping, so that a row can be taken away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    key: u64,
    hash: u64,
    check: u64,
}

impl Item {
    #[inline]
    fn check(self) -> u64 {
        let word = mum(
            self.key.cast_unsigned() ^ 0x2d35_8dcc_aa6c_78a5,
            self.hash ^ 0x8bb8_4b93_962e_acc9,
        );
        mum(word ^ 0x4b33_a62e_d433_d4a3, self.hash | 1)
    }
}

/// The cells of a row with that check word.
#[inline]
fn places(check: u64) -> [usize; 3] {
    let word = mum(check ^ 0x4d5a_2da5_1de1_aa47, 0xa076_1d64_78bd_642f);
    let place = |third: usize| {
        let bits = (word >> (21 * third)) as usize & (THIRD - 1);
        third * THIRD + bits
    };
    [place(0), place(1), place(2)]
}

impl Cell {
    /// Adds a row `times` times; minus one takes it away.
    #[inline]
    fn add(&mut self, item: Item, check: u64, times: u64) {
        self.key = self
            .key
            .wrapping_add(times.wrapping_mul(item.key.cast_unsigned()));
        self.hash = self.hash.wrapping_add(times.wrapping_mul(item.hash));
        self.check = self.check.wrapping_add(times.wrapping_mul(check));
    }

    /// The only row in it and how often it was added: once, or minus once.
    fn only(&self) -> Option<(Item, u64, u64)> {
        [1, u64::MAX].into_iter().find_map(|times| {
            let item = Item {
                key: times.wrapping_mul(self.key).cast_signed(),
                hash: times.wrapping_mul(self.hash),
            };
            let check = item.check();
            (times.wrapping_mul(self.check) == check).then_some((item, check, times))
        })
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            cells: vec![Cell::default(); 3 * THIRD],
        }
    }
}

impl Sketch {
    /// Adds rows.
    pub fn add(&mut self, items: &[Item]) {
        for block in items.chunks(BLOCK) {
            let mut found = [(0, [0; 3]); BLOCK];
            for (item, found) in block.iter().zip(&mut found) {
                let check = item.check();
                *found = (check, places(check));
            }
            for (item, (check, places)) in block.iter().zip(&found) {
                for place in places {
                    self.cells[*place].add(*item, *check, 1);
                }
            }
        }
    }

    /// Adds the rows of another sketch of the same side.
    pub fn merge(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            cell.key = cell.key.wrapping_add(more.key);
            cell.hash = cell.hash.wrapping_add(more.hash);
            cell.check = cell.check.wrapping_add(more.check);
        }
    }

    /// Reads the rows that only one side has; `None` if they are too many, or if a row stands twice on one side.
    #[must_use]
    pub fn difference(mut self, theirs: &Self) -> Option<Difference> {
        for (cell, other) in self.cells.iter_mut().zip(&theirs.cells) {
            cell.key = cell.key.wrapping_sub(other.key);
            cell.hash = cell.hash.wrapping_sub(other.hash);
            cell.check = cell.check.wrapping_sub(other.check);
        }
        let mut difference = Difference::default();
        let mut open: Vec<usize> = (0..self.cells.len()).collect();
        while let Some(place) = open.pop() {
            let Some((item, check, times)) = self.cells[place].only() else {
                continue;
            };
            let cells = places(check);
            if !cells.contains(&place) || difference.ours.len() + difference.theirs.len() == self.cells.len()
            {
                // A check word that fits by chance: sums of several rows are no row of this cell.
                continue;
            }
            for other in cells {
                self.cells[other].add(item, check, times.wrapping_neg());
                open.push(other);
            }
            match times {
                1 => difference.ours.push(item),
                _ => difference.theirs.push(item),
            }
        }
        let empty = self.cells.iter().all(|cell| *cell == Cell::default());
        empty.then_some(difference)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::{any, proptest};

    use super::{Difference, Item, Sketch};

    fn sketch(items: impl IntoIterator<Item = Item>) -> Sketch {
        let mut sketch = Sketch::default();
        sketch.add(&items.into_iter().collect::<Vec<_>>());
        sketch
    }

    fn numbered(numbers: impl IntoIterator<Item = i64>) -> impl Iterator<Item = Item> {
        let item = |key: i64| Item {
            key,
            hash: crate::checksum::bytes_word(&key.to_le_bytes()),
        };
        numbers.into_iter().map(item)
    }

    fn sorted(difference: Option<Difference>) -> Difference {
        let mut difference = difference.expect("the difference is small enough");
        difference.ours.sort_unstable();
        difference.theirs.sort_unstable();
        difference
    }

    proptest! {
        #[test]
        fn every_small_difference_is_read(
            ours in btree_set(any::<(i64, u64)>(), 0..40),
            theirs in btree_set(any::<(i64, u64)>(), 0..40),
            both in btree_set(any::<(i64, u64)>(), 0..200),
        ) {
            let item = |(key, hash): &(i64, u64)| Item { key: *key, hash: *hash };
            let one: std::collections::BTreeSet<Item> = ours.iter().chain(&both).map(item).collect();
            let other: std::collections::BTreeSet<Item> = theirs.iter().chain(&both).map(item).collect();
            let found = sorted(sketch(one.iter().copied()).difference(&sketch(other.iter().copied())));
            let wanted = Difference {
                ours: one.difference(&other).copied().collect(),
                theirs: other.difference(&one).copied().collect(),
            };
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn fifteen_thousand_rows_among_a_million_are_read() {
        let found = sorted(sketch(numbered(-5_000..1_000_000)).difference(&sketch(numbered(0..1_010_000))));
        let keys = |items: &[Item]| items.iter().map(|item| item.key).collect::<Vec<_>>();
        assert_eq!(keys(&found.ours), (-5_000..0).collect::<Vec<_>>());
        assert_eq!(keys(&found.theirs), (1_000_000..1_010_000).collect::<Vec<_>>());
    }

    #[test]
    fn too_many_rows_are_not_guessed() {
        assert_eq!(sketch(numbered(0..60_000)).difference(&Sketch::default()), None);
    }

    #[test]
    fn a_row_that_stands_twice_is_not_guessed() {
        let twice = sketch(numbered([7, 7, 9]));
        assert_eq!(twice.clone().difference(&sketch(numbered([9]))), None);
        assert_eq!(
            twice
                .clone()
                .difference(&sketch(numbered([7])))
                .map(|found| found.ours.len()),
            Some(2)
        );
        assert_eq!(twice.clone().difference(&twice), Some(Difference::default()));
    }

    #[test]
    fn the_same_key_with_another_hash_is_on_both_sides() {
        let row = |hash| Item { key: i64::MIN, hash };
        let found = sketch([row(1)]).difference(&sketch([row(2)]));
        assert_eq!(
            found,
            Some(Difference {
                ours: vec![row(1)],
                theirs: vec![row(2)]
            })
        );
    }
}
