//! SQLite.
//!
//! SQLite's locks belong to the process: the file is never open here while a run has it open.

use std::path::PathBuf;
use std::sync::Arc;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::{Clock, CursorType, CursorValue, TableName};
use pintail_sync::spec::Compare;
use rusqlite::Connection;
use tempfile::TempDir;

use super::history::{Change, Setting, Traits};
use super::model::Written;
use super::source::Source;
use super::stamped::{Applications, Stamped};

pub(super) struct SqliteTable {
    folder: TempDir,
    applications: Applications,
    table: String,
}

impl SqliteTable {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            applications: Applications::new(),
            table: String::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.table))
    }

    /// Makes changes in one transaction.
    fn apply(&mut self, changes: &[Stamped]) -> Written {
        let mut connection = Connection::open(self.path()).expect("a database");
        let transaction = connection.transaction().expect("nobody else writes");
        let mut written = Written::new();
        for (at, Change { id, what }) in changes {
            let Some(order) = self.applications.row(*at, what) else {
                transaction
                    .execute(&format!("delete from {} where id = ?", self.table), [id])
                    .expect("a deletion");
                written.push((*id, None));
                continue;
            };
            let spelt = order
                .cursor
                .map(|cursor| self.spelling(cursor, *id + order.value));
            // A number in the middle of a text would be quoted wrong; a float is what applications write.
            let price = order.cents as f64 / 100.0;
            let sql = format!("insert or replace into {} values (?, ?, ?, ?, ?)", self.table);
            transaction
                .execute(&sql, (id, order.value, &order.note, price, spelt))
                .expect("a row");
            written.push((*id, Some(order)));
        }
        transaction.commit().expect("nobody else writes");
        written
    }

    /// One of several ways to write the same cursor.
    fn spelling(&self, cursor: i64, way: i64) -> rusqlite::types::Value {
        let kind = self.applications.setting().cursor;
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
            compares: &[Compare::Auto],
        }
    }

    fn make_table(&mut self, name: &str, setting: &Setting) {
        self.applications.begin_with(setting);
        name.clone_into(&mut self.table);
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
        Arc::clone(&self.applications.clock) as Arc<dyn Clock>
    }

    fn wait(&mut self, micros: i64) {
        self.applications.wait(micros);
    }

    fn write(&mut self, changes: &[Change]) -> Written {
        let stamped = self.applications.stamp(changes);
        self.apply(&stamped)
    }

    fn begin(&mut self, slot: usize) {
        self.applications.begin(slot);
    }

    fn write_open(&mut self, slot: usize, changes: &[Change]) {
        self.applications.write_open(slot, changes);
    }

    fn end(&mut self, slot: usize, commits: bool) -> Written {
        let changes = self.applications.end(slot, commits);
        self.apply(&changes)
    }
}
