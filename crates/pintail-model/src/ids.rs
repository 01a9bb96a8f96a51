//! Identifiers that are made from their inputs, so that the same work always has the same name.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names one attempt: `20240115_140000_abc123`, the UTC second it began and six hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// An id from the time and a random number; only the low 24 bits of `random` are used.
    #[must_use]
    pub fn new(started_at: Timestamp, random: u32) -> Self {
        Self(format!(
            "{}_{:06x}",
            started_at.strftime("%Y%m%d_%H%M%S"),
            random & 0x00ff_ffff
        ))
    }

    /// An id in the form that [`RunId::new`] gives; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('_').collect();
        let [day, second, random] = parts.as_slice() else {
            return None;
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let lengths = (day.len(), second.len(), random.len()) == (8, 6, 6);
        (lengths && digits(day) && digits(second) && random.bytes().all(hexadecimal))
            .then(|| Self(text.to_owned()))
    }

    /// An id read back from where it was stored.
    #[must_use]
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name under which a partition is committed, once and for ever: `<pipeline>/<run>/<partition>`.
///
/// The ledger and the fence are keyed by it. A run keeps its id when it is resumed, so a partition that was
/// committed before a crash has the same key afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionKey(String);

impl PartitionKey {
    /// The key of one partition of one run.
    #[must_use]
    pub fn new(pipeline: &str, run: &RunId, partition: &str) -> Self {
        Self(format!("{pipeline}/{run}/{partition}"))
    }

    /// A key read back from where it was stored, or chosen by a caller that is not a pipeline.
    #[must_use]
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key as text; never empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
