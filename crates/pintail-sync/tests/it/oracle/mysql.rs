//! MariaDB: transactions stay open on connections of their own, and the server's clock stamps the rows.

use std::sync::Arc;

use jiff::tz::TimeZone;
use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::{Clock, CursorType, SystemClock, TableName};
use pintail_sync::spec::Compare;
use pintail_testkit::MariaDbServer;

use super::history::{Change, SLOTS, Setting, Stamp, Traits, What};
use super::model::{Order, Ratio, Written};
use super::source::Source;

/// Statements lock the rows that they change and no gaps beside them: a history knows which rows wait for which.
const WRITER: &str =
    "set session transaction isolation level read committed; set session innodb_lock_wait_timeout = 5";

/// The database in which all tables are made.
const DATABASE: &str = "shop";

/// A server of its own: transactions of other tests would hold back what a delta may read.
pub(super) struct MySqlTable {
    server: MariaDbServer,
    client: Conn,
    slots: [Slot; SLOTS],
    table: String,
    cursor: CursorType,
}

struct Slot {
    client: Conn,
    written: Written,
}

impl MySqlTable {
    pub(super) fn new() -> Self {
        let server = MariaDbServer::start().unwrap_or_else(|error| panic!("{error}"));
        server.create_database(DATABASE);
        let writer = || {
            let mut client = server.client(DATABASE);
            client.query_drop(WRITER).expect("settings");
            client
        };
        Self {
            client: writer(),
            slots: std::array::from_fn(|_| Slot {
                client: writer(),
                written: Vec::new(),
            }),
            table: String::new(),
            cursor: CursorType::TimestampTz,
            server,
        }
    }

    fn stamp(&self, stamp: Stamp) -> String {
        let instant = match stamp {
            Stamp::Null => return "null".to_owned(),
            Stamp::Begin => "@began",
            Stamp::Moment => "sysdate(6)",
        };
        match self.cursor {
            CursorType::Integer => format!("nextval({}_numbers)", self.table),
            CursorType::Timestamp => {
                let zone = TimeZone::get("Europe/Berlin").expect("a zone");
                let ahead = zone.to_offset(SystemClock.now()).seconds();
                format!("{instant} + interval {ahead} second")
            }
            CursorType::TimestampTz | CursorType::Date => instant.to_owned(),
        }
    }

    /// The statements that make `changes` and say what they wrote.
    fn statements(&self, changes: &[Change]) -> Vec<String> {
        let put = |change: &Change| match &change.what {
            What::Delete => None,
            What::Put {
                value,
                note,
                cents,
                ratio,
                stamp,
            } => Some(format!(
                "({}, {value}, {}, {cents} / 100.0, {}, {})",
                change.id,
                note.map_or_else(|| "null".to_owned(), |note| text(&note.text())),
                self.stamp(*stamp),
                ratio.map_or_else(|| "null".to_owned(), Ratio::text)
            )),
        };
        let puts: Vec<String> = changes.iter().filter_map(put).collect();
        let deletes: Vec<String> = changes
            .iter()
            .filter(|change| matches!(change.what, What::Delete))
            .map(|change| change.id.to_string())
            .collect();
        let (table, mut statements) = (&self.table, Vec::new());
        let number = if self.cursor == CursorType::Integer {
            "updated_at"
        } else {
            "timestampdiff(microsecond, timestamp '1970-01-01 00:00:00', updated_at)"
        };
        if !puts.is_empty() {
            statements.push(format!(
                "insert into {table} values {} on duplicate key update value = values(value), note = values(note), \
                 price = values(price), updated_at = values(updated_at), ratio = values(ratio) \
                 returning id, 1, value, note, cast(price * 100 as signed), {number}, ratio",
                puts.join(", ")
            ));
        }
        if !deletes.is_empty() {
            statements.push(format!(
                "delete from {table} where id in ({}) \
                 returning id, 0, value, note, cast(price * 100 as signed), {number}, ratio",
                deletes.join(", ")
            ));
        }
        statements
    }
}

/// A text, by its bytes.
fn text(text: &str) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("convert(x'{digits}' using utf8mb4)")
}

fn written(row: &Row) -> (i64, Option<Order>) {
    let order = Order {
        value: row.get(2).expect("a value"),
        note: row.get(3).expect("a note or NULL"),
        cents: row.get(4).expect("a price"),
        cursor: row.get(5).expect("a cursor or NULL"),
        ratio: row
            .get::<Option<f64>, _>(6)
            .expect("a float or NULL")
            .map(Ratio::of),
    };
    let put: bool = row.get(1).expect("a mark");
    (row.get(0).expect("an id"), put.then_some(order))
}

fn execute(client: &mut Conn, statements: &[String]) -> Written {
    let mut all = Written::new();
    for statement in statements {
        let rows: Vec<Row> = client
            .query(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        all.extend(rows.iter().map(written));
    }
    all
}

/// Begins a transaction that InnoDB lists from now on, and notes when that was.
fn begin(client: &mut Conn, table: &str) {
    client
        .query_drop(format!(
            "start transaction; select 1 from {table} limit 1; set @began = sysdate(6)"
        ))
        .expect("no transaction is open");
}

impl Source for MySqlTable {
    fn name(&self) -> &'static str {
        "MariaDB"
    }

    fn traits(&self) -> Traits {
        Traits {
            own_clock: false,
            changes_during_runs: true,
            cursors: &[
                CursorType::TimestampTz,
                CursorType::TimestampTz,
                CursorType::Timestamp,
                CursorType::Integer,
            ],
            compares: &[Compare::Auto],
            any_float: false,
        }
    }

    fn make_table(&mut self, name: &str, setting: &Setting) {
        for slot in &mut self.slots {
            slot.client
                .query_drop("rollback")
                .expect("a transaction can always be rolled back");
            slot.written.clear();
        }
        name.clone_into(&mut self.table);
        self.cursor = setting.cursor;
        let cursor = match (setting.cursor, setting.whole_seconds) {
            (CursorType::Integer, _) => "bigint",
            (CursorType::Date, _) => "date",
            (CursorType::Timestamp, false) => "datetime(6)",
            (CursorType::Timestamp, true) => "datetime",
            (CursorType::TimestampTz, false) => "timestamp(6)",
            (CursorType::TimestampTz, true) => "timestamp",
        };
        let required = if setting.nulls.is_none() {
            "not null"
        } else {
            "null"
        };
        let index = if setting.ids % 2 == 0 {
            ", key (updated_at)"
        } else {
            ""
        };
        let made = self.client.query_drop(format!(
            "create sequence {name}_numbers;
             create table {name} (
                 id bigint primary key, value bigint not null, note text, price decimal(12,2),
                 updated_at {cursor} {required}, ratio double{index}
             )"
        ));
        made.expect("a new name makes a table");
    }

    fn table(&self) -> TableName {
        TableName::new(DATABASE, &self.table)
    }

    fn connector(&self) -> Box<dyn Connector> {
        let location =
            Location::parse(&self.server.url(DATABASE), std::path::Path::new("/")).expect("an address");
        registry::source(&location.datastore).expect("a source of this release")
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    /// Its time passes by itself, and it cuts seconds off instead of rounding them up.
    fn wait(&mut self, _: i64) {}

    fn write(&mut self, changes: &[Change]) -> Written {
        let statements = self.statements(changes);
        begin(&mut self.client, &self.table);
        let written = execute(&mut self.client, &statements);
        self.client
            .query_drop("commit")
            .expect("nothing speaks against it");
        written
    }

    fn begin(&mut self, slot: usize) {
        begin(&mut self.slots[slot].client, &self.table);
    }

    fn write_open(&mut self, slot: usize, changes: &[Change]) {
        let statements = self.statements(changes);
        let slot = &mut self.slots[slot];
        slot.written.extend(execute(&mut slot.client, &statements));
    }

    fn end(&mut self, slot: usize, commits: bool) -> Written {
        let slot = &mut self.slots[slot];
        let written = std::mem::take(&mut slot.written);
        let end = if commits { "commit" } else { "rollback" };
        slot.client.query_drop(end).expect("nothing speaks against it");
        if commits { written } else { Written::new() }
    }
}
