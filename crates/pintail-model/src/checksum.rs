//! Checksums of rows and of sets of rows, version 1. They are stored with runs, so they never change their
//! meaning: a better function gets a new version.
//!
//! A row hash is built column by column, in the order of the destination's columns:
//!
//! ```text
//! h = seed;   for each column:  h = mum(h ^ tag(class, null), word(value))
//! ```
//!
//! - `mum(a, b)` multiplies two 64-bit words into 128 bits and folds the halves with xor.
//! - `tag` is a different odd constant for every class of type, and for NULL, so that NULL, an empty text and
//!   zero never meet, and a value never moves from one column to the next unnoticed: `('ab','c')` ≠ `('a','bc')`.
//! - `word` is the value itself for anything of up to 64 bits (floats by their bits, so that -0.0 ≠ 0.0; every NaN
//!   is one NaN), `XXH3_64` of the bytes for texts and bytes (<https://github.com/Cyan4973/xxHash>), and both
//!   halves folded for 128-bit values.
//! - A list adds its length, then what it holds, NULLs included. Of lists of lists come first the lengths of all that lie
//!   on one level, so that `[[1], [2]]` ≠ `[[1, 2], []]`. A map is a list of its pairs.
//! - A struct adds the number of its fields, then field by field what they hold; a NULL struct is one NULL.
//!
//! A set of rows is summed up by its count and two wrapping 64-bit sums, of the hashes and of the hashes mixed
//! once more. Sums do not depend on order, see duplicates, and can be added leaf by leaf; xor would cancel pairs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of everything in this module; the first part of every digest that is stored.
pub const CHECKSUM_VERSION: u32 = 1;

/// Start of every row hash.
pub const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Class of a value. Types of one class hash alike, so that a widened integer keeps its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Class {
    /// No value.
    Null = 0xa076_1d64_78bd_642f,
    /// Booleans, as 0 and 1.
    Boolean = 0xe703_7ed1_a0b4_28db,
    /// Integers, sign-extended to 64 bits; larger ones, which have no sign, as 128 bits.
    Integer = 0x8ebc_6af0_9c88_c6e3,
    /// Floats, as double-precision bits.
    Float = 0x5899_65cc_7537_4cc3,
    /// Decimals, unscaled, as 128 bits.
    Decimal = 0x1d8e_4e27_c47d_124f,
    /// Texts, UTF-8. JSON is a text.
    Text = 0xeb44_acca_b455_d165,
    /// Bytes.
    Bytes = 0x9c6e_6877_736c_46e3,
    /// Days.
    Date = 0xd1b5_4a32_d192_ed03,
    /// Microseconds of a day.
    Time = 0xaf36_d42d_42c1_8b67,
    /// Microseconds without a zone.
    Timestamp = 0xc2b2_ae3d_27d4_eb4f,
    /// Nanoseconds without a zone.
    TimestampNs = 0x9fb2_1c65_1e98_df25,
    /// Microseconds, UTC.
    TimestampTz = 0x8575_ca4c_1d1b_9f1d,
    /// UUIDs, as 128 bits.
    Uuid = 0xf135_7aea_2e62_a9c5,
    /// Lists, by their length; what they hold follows, level by level.
    List = 0x5851_f42d_4c95_7f2d,
    /// Structs, by the number of their fields; what these hold follows, field by field.
    Struct = 0xd6e8_feb8_6659_fd93,
}

/// Multiplies and folds: the one mixing step of a row hash.
#[inline]
#[must_use]
pub fn mum(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Adds one value to a row hash.
#[inline]
#[must_use]
pub fn fold(hash: u64, class: Class, word: u64) -> u64 {
    // The rotation keeps a zero product, which would forget all columns before it, out of reach of small words.
    mum(hash ^ class as u64, word ^ SEED.rotate_left(17)) ^ hash.rotate_left(29)
}

/// Adds a NULL to a row hash.
#[inline]
#[must_use]
pub fn fold_null(hash: u64) -> u64 {
    fold(hash, Class::Null, 0)
}

/// Adds a 128-bit value to a row hash.
#[inline]
#[must_use]
pub fn fold_wide(hash: u64, class: Class, value: u128) -> u64 {
    fold(fold(hash, class, value as u64), class, (value >> 64) as u64)
}

/// The word of a text or of bytes.
#[inline]
#[must_use]
pub fn bytes_word(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// The word of a float: its bits as a double, with one NaN for all.
#[inline]
#[must_use]
pub fn float_word(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

/// What is known of a set of rows: how many, and two sums of their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checksum {
    /// Number of rows.
    pub rows: u64,
    /// Wrapping sum of the row hashes.
    pub sum: u64,
    /// Wrapping sum of the row hashes, mixed once more.
    pub mixed: u64,
}

impl Checksum {
    /// Adds one row.
    #[inline]
    pub fn add(&mut self, row_hash: u64) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row_hash);
        self.mixed = self
            .mixed
            .wrapping_add(mum(row_hash ^ Class::Uuid as u64, row_hash | 1));
    }

    /// Adds all rows of another set.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
        self.mixed = self.mixed.wrapping_add(other.mixed);
    }

    /// Takes all rows of another set away, which are rows of this one.
    pub fn remove(&mut self, other: Self) {
        self.rows = self.rows.wrapping_sub(other.rows);
        self.sum = self.sum.wrapping_sub(other.sum);
        self.mixed = self.mixed.wrapping_sub(other.mixed);
    }

    /// The version of this module and both sums as 32 hexadecimal digits, for people and for rows of the ledger:
    /// `1:…`. Digests of different versions say nothing about each other.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{CHECKSUM_VERSION}:{:016x}{:016x}", self.sum, self.mixed)
    }

    /// Reads what [`Checksum::digest`] writes of that many rows; `None` for another version or another form.
    #[must_use]
    pub fn from_digest(rows: u64, digest: &str) -> Option<Self> {
        let (version, sums) = digest.split_once(':')?;
        let known = version == CHECKSUM_VERSION.to_string() && sums.len() == 32;
        let half = |range: std::ops::Range<usize>| u64::from_str_radix(sums.get(range)?, 16).ok();
        known.then_some(Self {
            rows,
            sum: half(0..16)?,
            mixed: half(16..32)?,
        })
    }
}

/// Checksums of the leaves of one side, by leaf number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeafChecksums(pub BTreeMap<i64, Checksum>);

impl LeafChecksums {
    /// Adds the rows of `other`, leaf by leaf.
    pub fn merge(&mut self, other: &Self) {
        for (leaf, checksum) in &other.0 {
            self.0.entry(*leaf).or_default().merge(*checksum);
        }
    }

    /// The same without the rows of `other`, which are rows of this one.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = self.clone();
        for (leaf, checksum) in &other.0 {
            left.0.entry(*leaf).or_default().remove(*checksum);
        }
        left.0.retain(|_, checksum| *checksum != Checksum::default());
        left
    }

    /// All leaves in one.
    #[must_use]
    pub fn total(&self) -> Checksum {
        let mut total = Checksum::default();
        for checksum in self.0.values() {
            total.merge(*checksum);
        }
        total
    }

    /// The leaves that are not the same on both sides, in order.
    #[must_use]
    pub fn mismatches(&self, other: &Self) -> Vec<i64> {
        let mut leaves: Vec<i64> = self
            .0
            .iter()
            .filter(|(leaf, own)| other.0.get(leaf) != Some(own))
            .map(|(leaf, _)| *leaf)
            .collect();
        leaves.extend(other.0.keys().filter(|leaf| !self.0.contains_key(leaf)));
        leaves.sort_unstable();
        leaves
    }
}

#[cfg(test)]
mod tests {
    use super::{Checksum, Class, LeafChecksums, SEED, bytes_word, fold, fold_null, fold_wide};

    fn texts(values: &[Option<&str>]) -> u64 {
        values.iter().fold(SEED, |hash, value| match value {
            Some(text) => fold(hash, Class::Text, bytes_word(text.as_bytes())),
            None => fold_null(hash),
        })
    }

    #[test]
    fn columns_are_framed() {
        assert_ne!(texts(&[Some("ab"), Some("c")]), texts(&[Some("a"), Some("bc")]));
        assert_ne!(texts(&[None, Some("")]), texts(&[Some(""), None]));
        assert_ne!(texts(&[None]), texts(&[Some("")]));
        assert_ne!(texts(&[None, None]), texts(&[None]));
    }

    #[test]
    fn version_1_never_changes() {
        let mut hash = texts(&[Some("pintail"), None]);
        hash = fold(hash, Class::Integer, 42);
        hash = fold_wide(hash, Class::Decimal, 12_345);
        assert_eq!(hash, VERSION_1_SAMPLE);
    }

    const VERSION_1_SAMPLE: u64 = 15_599_234_912_679_700_195;

    #[test]
    fn a_digest_names_its_version_and_is_read_again() {
        let checksum = Checksum {
            rows: 3,
            sum: u64::MAX,
            mixed: 0x1f,
        };
        let digest = checksum.digest();
        assert_eq!(digest, "1:ffffffffffffffff000000000000001f");
        assert_eq!(Checksum::from_digest(3, &digest), Some(checksum));
        let of_the_next_version = digest.replacen('1', "2", 1);
        for other in [
            &digest[2..],
            &of_the_next_version,
            "1:",
            "1:€€€€€€€€€€€€€€€€€€€€€€€€",
        ] {
            assert_eq!(Checksum::from_digest(3, other), None, "{other}");
        }
    }

    #[test]
    fn duplicates_and_missing_leaves_are_seen() {
        let once = {
            let mut sum = Checksum::default();
            sum.add(7);
            sum
        };
        let twice = {
            let mut sum = once;
            sum.add(7);
            sum
        };
        assert_ne!(once, twice);
        let left = LeafChecksums([(1, once), (2, twice)].into());
        let right = LeafChecksums([(2, twice), (3, once)].into());
        assert_eq!(left.mismatches(&right), [1, 3]);
        let taken = LeafChecksums([(1, once), (2, once)].into());
        assert_eq!(left.without(&taken), LeafChecksums([(2, once)].into()));
    }
}
