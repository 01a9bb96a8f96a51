//! What a tap keeps of the rows that passed.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ThreadId};

use pintail_model::sketch::{Item, Sketch};
use pintail_model::{Checksum, LeafChecksums};

use super::vector::Vector;
use super::{GivenKey, KeyLeaves};

/// Leaves of a table without an integer key.
const HASH_LEAVES_BITS: u32 = 6;

/// Checksums by leaf, the number of rows, and a sketch where one is kept.
#[derive(Default)]
pub(super) struct Sums {
    leaves: Mutex<HashMap<i64, Checksum>>,
    rows: AtomicU64,
    /// One for each thread: what one thread writes, another one's cache would have to fetch, cell by cell.
    sketches: Option<Mutex<HashMap<ThreadId, Sketch>>>,
    /// Rows come with their key instead of their leaf.
    keys: Option<Keys>,
}

/// How keys become leaves.
#[derive(Default)]
struct Keys {
    leaves: Option<KeyLeaves>,
    /// Some row came without its key.
    missing: AtomicBool,
}

impl KeyLeaves {
    /// The leaf of a key. Rounds towards zero, as the engine does.
    fn of(self, key: i64) -> i64 {
        (key / self.width.max(1)).min(self.last).max(self.first)
    }

    /// The keys of a leaf: a comparison is cheaper than a division, and neighbours mostly share a leaf.
    fn keys(self, leaf: i64) -> RangeInclusive<i64> {
        let width = i128::from(self.width.max(1));
        let near = i128::from(leaf) * width;
        // All keys that are rounded to zero belong to its leaf.
        let (low, high) = match leaf {
            0 => (1 - width, width - 1),
            1.. => (near, near + width - 1),
            _ => (near - width + 1, near),
        };
        let bound = |at_end: bool, end: i64, inner: i128| match i64::try_from(inner) {
            Ok(inner) if !at_end => inner,
            _ => end,
        };
        bound(leaf == self.first, i64::MIN, low)..=bound(leaf == self.last, i64::MAX, high)
    }
}

impl Sums {
    pub(super) fn keyed(given: GivenKey) -> Self {
        let keys = match given {
            GivenKey::Leaf => None,
            GivenKey::Integer(leaves) => Some(Keys {
                leaves,
                missing: AtomicBool::default(),
            }),
        };
        Self {
            keys,
            ..Self::default()
        }
    }

    pub(super) fn sketching(given: GivenKey) -> Self {
        Self {
            sketches: Some(Mutex::default()),
            ..Self::keyed(given)
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(super) fn checksums(&self) -> LeafChecksums {
        let leaves = self.leaves.lock().expect("no holder of this lock panics");
        LeafChecksums(leaves.iter().map(|(leaf, checksum)| (*leaf, *checksum)).collect())
    }

    pub(super) fn sketch(&self) -> Option<Sketch> {
        let sketches = self.sketches.as_ref()?;
        let keys = self.keys.as_ref();
        if keys.is_some_and(|keys| keys.missing.load(Ordering::Relaxed)) {
            return None;
        }
        let sketches = sketches.lock().expect("no holder of this lock panics");
        Some(sketches.values().fold(Sketch::default(), |mut sum, sketch| {
            sum.merge(sketch);
            sum
        }))
    }

    /// Adds the rows of a chunk: their hashes, and the leaf or the key of each.
    pub(super) fn add(&self, hashes: &[u64], given: &Vector<i64>) {
        // Neighbours mostly share a leaf: sum up runs first, then take the lock once.
        let mut runs: Vec<(i64, Checksum)> = Vec::new();
        let leaves = self.keys.as_ref().and_then(|keys| keys.leaves);
        let mut latest: Option<(i64, RangeInclusive<i64>)> = None;
        for (row, hash) in hashes.iter().enumerate() {
            let leaf = match (given.get(row), &self.keys) {
                (Some(leaf), None) => Some(leaf),
                (Some(key), Some(_)) => leaves.map(|leaves| match &latest {
                    Some((leaf, keys)) if keys.contains(&key) => *leaf,
                    _ => {
                        let leaf = leaves.of(key);
                        latest = Some((leaf, leaves.keys(leaf)));
                        leaf
                    }
                }),
                (None, _) => None,
            };
            let leaf =
                leaf.unwrap_or_else(|| i64::try_from(hash >> (64 - HASH_LEAVES_BITS)).expect("six bits fit"));
            match runs.last_mut() {
                Some((last, checksum)) if *last == leaf => checksum.add(*hash),
                _ => {
                    let mut checksum = Checksum::default();
                    checksum.add(*hash);
                    runs.push((leaf, checksum));
                }
            }
        }
        let mut sums = self.leaves.lock().expect("no holder of this lock panics");
        for (leaf, checksum) in runs {
            sums.entry(leaf).or_default().merge(checksum);
        }
        drop(sums);
        if let Some(sketches) = &self.sketches {
            let thread = thread::current().id();
            let locked = || sketches.lock().expect("no holder of this lock panics");
            let own = locked().remove(&thread);
            let mut sketch = own.unwrap_or_default();
            let item = |(row, hash): (usize, &u64)| {
                let key = match &self.keys {
                    None => 0,
                    Some(keys) => given.get(row).unwrap_or_else(|| {
                        keys.missing.store(true, Ordering::Relaxed);
                        0
                    }),
                };
                Item { key, hash: *hash }
            };
            let items: Vec<Item> = hashes.iter().enumerate().map(item).collect();
            sketch.add(&items);
            locked().insert(thread, sketch);
        }
        self.rows.fetch_add(hashes.len() as u64, Ordering::Relaxed);
    }
}
