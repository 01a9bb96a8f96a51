//! Applications beside an embedded database, which has one writer at a time: a transaction that is "open" is an
//! application that took the time when it began and writes when it ends, within the declared lag.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pintail_model::{Clock, CursorType, FixedClock};

use super::history::{Change, Note, SLOTS, Setting, Stamp, What};
use super::model::Order;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A change, and when it was stamped, in microseconds.
pub(super) type Stamped = (i64, Change);

/// What all applications of one table have in common: a clock, and the newest number of an integer cursor.
pub(super) struct Applications {
    pub(super) clock: Arc<FixedClock>,
    slots: [Option<Slot>; SLOTS],
    setting: Option<Setting>,
    number: i64,
}

struct Slot {
    began_at: i64,
    changes: Vec<Stamped>,
}

impl Applications {
    pub(super) fn new() -> Self {
        let start: Timestamp = "2024-01-15T14:00:00Z".parse().expect("an instant");
        Self {
            clock: Arc::new(FixedClock::new(start)),
            slots: std::array::from_fn(|_| None),
            setting: None,
            number: 0,
        }
    }

    /// Forgets the table before, and who was about to write to it.
    pub(super) fn begin_with(&mut self, setting: &Setting) {
        self.slots = std::array::from_fn(|_| None);
        self.setting = Some(setting.clone());
    }

    pub(super) fn setting(&self) -> &Setting {
        self.setting.as_ref().expect("a table was made")
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    pub(super) fn wait(&self, micros: i64) {
        self.clock.advance(SignedDuration::from_micros(micros));
    }

    /// Changes that are stamped at this moment.
    pub(super) fn stamp(&self, changes: &[Change]) -> Vec<Stamped> {
        let now = self.now();
        changes.iter().map(|change| (now, change.clone())).collect()
    }

    pub(super) fn begin(&mut self, slot: usize) {
        self.slots[slot] = Some(Slot {
            began_at: self.now(),
            changes: Vec::new(),
        });
    }

    pub(super) fn write_open(&mut self, slot: usize, changes: &[Change]) {
        let now = self.now();
        let slot = self.slots[slot].as_mut().expect("the transaction was begun");
        let stamped = changes.iter().map(|change| match change.what {
            What::Put {
                stamp: Stamp::Moment, ..
            } => (now, change.clone()),
            _ => (slot.began_at, change.clone()),
        });
        slot.changes.extend(stamped);
    }

    /// What the application of a slot writes in the end; nothing if it gives up.
    pub(super) fn end(&mut self, slot: usize, commits: bool) -> Vec<Stamped> {
        let slot = self.slots[slot].take().expect("the transaction was begun");
        let lag = Duration::from_secs(self.setting().lag_seconds.into()).as_micros() as i64;
        // What was declared holds: whoever takes longer gives up.
        if !commits || self.now() - slot.began_at > lag {
            return Vec::new();
        }
        slot.changes
    }

    /// The row that a change leaves, with the next number if the cursor is one; `None` if it deletes the row.
    pub(super) fn row(&mut self, at: i64, what: &What) -> Option<Order> {
        let What::Put {
            value,
            note,
            cents,
            stamp,
        } = what
        else {
            return None;
        };
        Some(Order {
            value: *value,
            note: note.map(Note::text),
            cents: *cents,
            cursor: (*stamp != Stamp::Null).then(|| self.cursor(at)),
        })
    }

    fn cursor(&mut self, at: i64) -> i64 {
        match self.setting().cursor {
            CursorType::Integer => {
                self.number += 1;
                self.number
            }
            CursorType::Date => at.div_euclid(MICROS_PER_DAY),
            CursorType::Timestamp | CursorType::TimestampTz if self.setting().whole_seconds => {
                at - at.rem_euclid(1_000_000)
            }
            CursorType::Timestamp | CursorType::TimestampTz => at,
        }
    }
}
