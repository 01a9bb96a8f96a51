//! SQLite.
//!
//! SQLite's locks belong to the process: the file is never open here while a run has it open.

use std::path::PathBuf;

use pintail_model::{CursorType, CursorValue};
use rusqlite::Connection;
use tempfile::TempDir;

use super::history::Change;
use super::model::{Ratio, Written};
use super::stamped::{Applications, Embedded, Stamped};

pub(super) struct SqliteTable {
    folder: TempDir,
    applications: Applications,
}

impl SqliteTable {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            applications: Applications::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder
            .path()
            .join(format!("{}.db", self.applications.table()))
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

impl Embedded for SqliteTable {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn any_float(&self) -> bool {
        false
    }

    fn applications(&self) -> &Applications {
        &self.applications
    }

    fn applications_mut(&mut self) -> &mut Applications {
        &mut self.applications
    }

    fn make(&mut self) {
        let (name, setting) = (self.applications.table(), self.applications.setting());
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
                         updated_at {cursor}{required}, ratio double
                     );
                     create index {name}_updated on {name} (updated_at)"
                ))
            })
            .expect("a new database");
    }

    fn address(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    fn apply(&mut self, changes: &[Stamped]) -> Written {
        let table = self.applications.table().to_owned();
        let mut connection = Connection::open(self.path()).expect("a database");
        let transaction = connection.transaction().expect("nobody else writes");
        let mut written = Written::new();
        for (at, Change { id, what }) in changes {
            let Some(order) = self.applications.row(*at, what) else {
                transaction
                    .execute(&format!("delete from {table} where id = ?"), [id])
                    .expect("a deletion");
                written.push((*id, None));
                continue;
            };
            let spelt = order
                .cursor
                .map(|cursor| self.spelling(cursor, *id + order.value));
            // A number in the middle of a text would be quoted wrong; a float is what applications write.
            let price = order.cents as f64 / 100.0;
            let sql = format!("insert or replace into {table} values (?, ?, ?, ?, ?, ?)");
            transaction
                .execute(
                    &sql,
                    (
                        id,
                        order.value,
                        &order.note,
                        price,
                        spelt,
                        order.ratio.map(Ratio::value),
                    ),
                )
                .expect("a row");
            written.push((*id, Some(order)));
        }
        transaction.commit().expect("nobody else writes");
        written
    }
}
