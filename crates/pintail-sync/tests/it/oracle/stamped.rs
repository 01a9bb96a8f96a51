//! Applications beside an embedded database, which has one writer at a time: a transaction that is "open" is an
//! application that took the time when it began and writes when it ends, within the declared lag.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::{Clock, CursorType, FixedClock, TableName};
use pintail_sync::spec::Compare;

use super::history::{Change, Note, SLOTS, Setting, Stamp, Traits, What};
use super::model::{Order, Written};
use super::source::Source;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A change, and when it was stamped, in microseconds.
pub(super) type Stamped = (i64, Change);

/// An embedded database, for its applications.
pub(super) trait Embedded: Send {
    fn name(&self) -> &'static str;

    /// Whether floats may be no number, or have no end.
    fn any_float(&self) -> bool;

    fn applications(&self) -> &Applications;

    fn applications_mut(&mut self) -> &mut Applications;

    /// Makes the empty table of which the applications know now.
    fn make(&mut self);

    /// Whether the database itself says what the key of the table is.
    fn has_key(&self) -> bool {
        true
    }

    /// Where a source is, as on a command line.
    fn address(&self) -> String;

    /// Makes changes in one transaction.
    fn apply(&mut self, changes: &[Stamped]) -> Written;

    /// Whether nobody can look while an application has the database open, so that its transactions take no time.
    fn at_once(&self) -> bool {
        false
    }
}

/// What all applications of one table have in common: a clock, and the newest number of an integer cursor.
pub(super) struct Applications {
    table: String,
    clock: Arc<FixedClock>,
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
            table: String::new(),
            clock: Arc::new(FixedClock::new(start)),
            slots: std::array::from_fn(|_| None),
            setting: None,
            number: 0,
        }
    }

    /// Forgets the table before, and who was about to write to it.
    fn begin_with(&mut self, table: &str, setting: &Setting) {
        table.clone_into(&mut self.table);
        self.slots = std::array::from_fn(|_| None);
        self.setting = Some(setting.clone());
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    pub(super) fn setting(&self) -> &Setting {
        self.setting.as_ref().expect("a table was made")
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    fn wait(&self, micros: i64) {
        self.clock.advance(SignedDuration::from_micros(micros));
    }

    /// Changes that are stamped at this moment.
    fn stamp(&self, changes: &[Change]) -> Vec<Stamped> {
        let now = self.now();
        changes.iter().map(|change| (now, change.clone())).collect()
    }

    fn begin(&mut self, slot: usize) {
        self.slots[slot] = Some(Slot {
            began_at: self.now(),
            changes: Vec::new(),
        });
    }

    fn write_open(&mut self, slot: usize, changes: &[Change]) {
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
    fn end(&mut self, slot: usize, commits: bool) -> Vec<Stamped> {
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
            ratio,
            stamp,
        } = what
        else {
            return None;
        };
        Some(Order {
            value: *value,
            note: note.map(Note::text),
            cents: *cents,
            ratio: *ratio,
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

impl<T: Embedded> Source for T {
    fn name(&self) -> &'static str {
        Embedded::name(self)
    }

    fn traits(&self) -> Traits {
        Traits {
            own_clock: true,
            changes_during_runs: false,
            cursors: &[
                CursorType::Timestamp,
                CursorType::TimestampTz,
                CursorType::Integer,
                CursorType::Date,
            ],
            compares: &[Compare::Auto],
            any_float: self.any_float(),
        }
    }

    fn make_table(&mut self, name: &str, setting: &Setting) {
        self.applications_mut().begin_with(name, setting);
        self.make();
    }

    fn has_key(&self) -> bool {
        Embedded::has_key(self)
    }

    fn table(&self) -> TableName {
        TableName::bare(self.applications().table())
    }

    fn connector(&self) -> Box<dyn Connector> {
        let location = Location::parse(&self.address(), std::path::Path::new("/")).expect("an address");
        registry::source(&location.datastore).expect("a source of this release")
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.applications().clock) as Arc<dyn Clock>
    }

    fn wait(&mut self, micros: i64) {
        self.applications().wait(micros);
    }

    fn write(&mut self, changes: &[Change]) -> Written {
        let stamped = self.applications().stamp(changes);
        self.apply(&stamped)
    }

    fn begin(&mut self, slot: usize) {
        self.applications_mut().begin(slot);
    }

    fn write_open(&mut self, slot: usize, changes: &[Change]) {
        self.applications_mut().write_open(slot, changes);
    }

    fn end(&mut self, slot: usize, commits: bool) -> Written {
        let mut changes = self.applications_mut().end(slot, commits);
        if self.at_once() {
            let now = self.applications().now();
            changes.iter_mut().for_each(|(at, _)| *at = now);
        }
        self.apply(&changes)
    }
}
