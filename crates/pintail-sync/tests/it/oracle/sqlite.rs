//! SQLite: one writer at a time, so a transaction that is "open" is an application that took the time when it began
//! and writes when it ends, within the declared lag.
//!
//! SQLite's locks belong to the process: the file is never open here while a run has it open.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::{Clock, CursorType, CursorValue, FixedClock, TableName};
use rusqlite::Connection;
use tempfile::TempDir;

use super::history::{Change, Note, SLOTS, Setting, Stamp, Traits, What};
use super::model::{Order, Written};
use super::source::Source;

const MICROS_PER_DAY: i64 = 86_400_000_000;

pub(super) struct SqliteTable {
    folder: TempDir,
    clock: Arc<FixedClock>,
    slots: [Option<Slot>; SLOTS],
    table: String,
    setting: Option<Setting>,
    /// The newest number of an integer cursor.
    number: i64,
}

struct Slot {
    began_at: i64,
    changes: Vec<(i64, Change)>,
}

impl SqliteTable {
    pub(super) fn new() -> Self {
        let start: Timestamp = "2024-01-15T14:00:00Z".parse().expect("an instant");
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            clock: Arc::new(FixedClock::new(start)),
            slots: std::array::from_fn(|_| None),
            table: String::new(),
            setting: None,
            number: 0,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.table))
    }

    fn setting(&self) -> &Setting {
        self.setting.as_ref().expect("a table was made")
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Makes changes that were stamped at an instant each.
    fn apply(&mut self, changes: &[(i64, Change)]) -> Written {
        let mut connection = Connection::open(self.path()).expect("a database");
        let transaction = connection.transaction().expect("nobody else writes");
        let mut written = Written::new();
        for (at, Change { id, what }) in changes {
            let What::Put {
                value,
                note,
                cents,
                stamp,
            } = what
            else {
                transaction
                    .execute(&format!("delete from {} where id = ?", self.table), [id])
                    .expect("a deletion");
                written.push((*id, None));
                continue;
            };
            let cursor = (*stamp != Stamp::Null).then(|| self.cursor(*at));
            let spelt = cursor.map(|cursor| self.spelling(cursor, *id + value));
            // A number in the middle of a text would be quoted wrong; a float is what applications write.
            let (note, price) = (note.map(Note::text), *cents as f64 / 100.0);
            let sql = format!("insert or replace into {} values (?, ?, ?, ?, ?)", self.table);
            transaction
                .execute(&sql, (id, value, &note, price, spelt))
                .expect("a row");
            let order = Order {
                value: *value,
                note,
                cents: *cents,
                cursor,
            };
            written.push((*id, Some(order)));
        }
        transaction.commit().expect("nobody else writes");
        written
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

    /// One of several ways to write the same cursor.
    fn spelling(&self, cursor: i64, way: i64) -> rusqlite::types::Value {
        let kind = self.setting().cursor;
        let zoned = |shift_hours: i64, zone: &str| {
            let local = CursorValue::Timestamp(cursor + shift_hours * 3_600_000_000).text();
            format!("{local}{zone}")
        };
        let text = match (kind, way.rem_euclid(3)) {
            (CursorType::Integer, _) => return cursor.into(),
            (CursorType::Date, _) => CursorValue::from_number(kind, cursor).text(),
            (CursorType::Timestamp, 0) => CursorValue::Timestamp(cursor).text().replace(' ', "T"),
            (CursorType::Timestamp, _) => CursorValue::Timestamp(cursor).text(),
            (CursorType::TimestampTz, 0) => zoned(0, "Z"),
            (CursorType::TimestampTz, 1) => zoned(2, "+02:00"),
            (CursorType::TimestampTz, _) => zoned(-11, "-11:00").replace(' ', "T"),
        };
        text.into()
    }
}

impl Source for SqliteTable {
    fn name(&self) -> &'static str {
        "SQLite"
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
        }
    }

    fn make_table(&mut self, name: &str, setting: &Setting) {
        self.slots = std::array::from_fn(|_| None);
        name.clone_into(&mut self.table);
        self.setting = Some(setting.clone());
        let cursor = match setting.cursor {
            CursorType::Integer => "integer",
            CursorType::Date => "date",
            CursorType::Timestamp => "datetime",
            CursorType::TimestampTz => "timestamptz",
        };
        let required = if setting.nulls.is_none() { " not null" } else { "" };
        let journal = if setting.ids % 2 == 0 { "wal" } else { "delete" };
        Connection::open(self.path())
            .and_then(|connection| {
                connection.execute_batch(&format!(
                    "pragma journal_mode = {journal};
                     create table {name} (
                         id integer primary key, value integer not null, note text, price decimal(12,2),
                         updated_at {cursor}{required}
                     );
                     create index {name}_updated on {name} (updated_at)"
                ))
            })
            .expect("a new database");
    }

    fn table(&self) -> TableName {
        TableName::bare(&self.table)
    }

    fn connector(&self) -> Box<dyn Connector> {
        let address = format!("sqlite:{}", self.path().display());
        let location = Location::parse(&address, std::path::Path::new("/")).expect("an address");
        registry::source(&location.datastore).expect("a source of this release")
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    fn wait(&mut self, micros: i64) {
        self.clock.advance(SignedDuration::from_micros(micros));
    }

    fn write(&mut self, changes: &[Change]) -> Written {
        let now = self.now();
        let stamped: Vec<(i64, Change)> = changes.iter().map(|change| (now, change.clone())).collect();
        self.apply(&stamped)
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

    fn end(&mut self, slot: usize, commits: bool) -> Written {
        let slot = self.slots[slot].take().expect("the transaction was begun");
        let lag = Duration::from_secs(self.setting().lag_seconds.into()).as_micros() as i64;
        // What was declared holds: whoever takes longer gives up.
        if !commits || self.now() - slot.began_at > lag {
            return Written::new();
        }
        self.apply(&slot.changes)
    }
}
