//! Postgres: transactions stay open on connections of their own, and the server's clock stamps the rows.

use std::sync::Arc;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::{Clock, CursorType, SystemClock, TableName};
use pintail_sync::spec::Compare;
use pintail_testkit::{Database, PostgresServer};
use postgres::{Client, Row};

use super::history::{Change, SLOTS, Setting, Stamp, Traits, What};
use super::model::{Order, Ratio, Written};
use super::source::Source;

pub(super) struct PostgresTable {
    database: Database<'static>,
    client: Client,
    slots: [Slot; SLOTS],
    table: String,
    cursor: CursorType,
    whole_seconds: bool,
}

struct Slot {
    client: Client,
    written: Written,
}

impl PostgresTable {
    pub(super) fn new() -> Self {
        let database = PostgresServer::shared().fresh_database();
        let slot = |_| Slot {
            client: database.client(),
            written: Vec::new(),
        };
        Self {
            client: database.client(),
            slots: std::array::from_fn(slot),
            table: String::new(),
            cursor: CursorType::TimestampTz,
            whole_seconds: false,
            database,
        }
    }

    fn stamp(&self, stamp: Stamp) -> String {
        let instant = match stamp {
            Stamp::Null => return "null".to_owned(),
            Stamp::Begin => "now()",
            Stamp::Moment => "clock_timestamp()",
        };
        match self.cursor {
            CursorType::Integer => format!("nextval('{}_numbers')", self.table),
            CursorType::Timestamp => format!("{instant} at time zone 'Europe/Berlin'"),
            CursorType::TimestampTz | CursorType::Date => instant.to_owned(),
        }
    }

    /// The statements that make `changes` and say what they wrote.
    fn statements(&self, changes: &[Change]) -> Vec<String> {
        let text = |text: String| format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let put = |change: &Change| match &change.what {
            What::Delete => None,
            What::Put {
                value,
                note,
                cents,
                ratio,
                stamp,
            } => Some(format!(
                "({}, {value}, {}, {cents} / 100.0, {}, {}::float8)",
                change.id,
                note.map_or_else(|| "null".to_owned(), |note| text(note.text())),
                self.stamp(*stamp),
                ratio.map_or_else(|| "null".to_owned(), |ratio| text(ratio.text()))
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
            "updated_at::bigint"
        } else {
            "(extract(epoch from updated_at) * 1000000)::bigint"
        };
        if !puts.is_empty() {
            statements.push(format!(
                "insert into {table} values {} on conflict (id) do update set value = excluded.value, note = \
                 excluded.note, price = excluded.price, updated_at = excluded.updated_at, ratio = excluded.ratio
                 returning id, true, value, note, (price * 100)::bigint, {number}, ratio",
                puts.join(", ")
            ));
        }
        if !deletes.is_empty() {
            statements.push(format!(
                "delete from {table} where id in ({}) returning id, false, value, note, (price * 100)::bigint, {number}, ratio",
                deletes.join(", ")
            ));
        }
        statements
    }
}

fn written(row: &Row) -> (i64, Option<Order>) {
    let order = Order {
        value: row.get(2),
        note: row.get(3),
        cents: row.get(4),
        cursor: row.get(5),
        ratio: row.get::<_, Option<f64>>(6).map(Ratio::of),
    };
    (row.get(0), row.get::<_, bool>(1).then_some(order))
}

fn execute(client: &mut Client, statements: &[String]) -> Written {
    let mut all = Written::new();
    for statement in statements {
        let rows = client
            .query(statement, &[])
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        all.extend(rows.iter().map(written));
    }
    all
}

impl Source for PostgresTable {
    fn name(&self) -> &'static str {
        "Postgres"
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
            compares: &[Compare::Stream, Compare::Stored, Compare::Pushdown],
            any_float: true,
        }
    }

    fn make_table(&mut self, name: &str, setting: &Setting) {
        for slot in &mut self.slots {
            slot.client
                .batch_execute("rollback")
                .expect("a transaction can always be rolled back");
            slot.written.clear();
        }
        name.clone_into(&mut self.table);
        self.cursor = setting.cursor;
        self.whole_seconds = setting.whole_seconds;
        let cursor = match (setting.cursor, setting.whole_seconds) {
            (CursorType::Integer, _) => "bigint",
            (CursorType::Date, _) => "date",
            (CursorType::Timestamp, false) => "timestamp",
            (CursorType::Timestamp, true) => "timestamp(0)",
            (CursorType::TimestampTz, false) => "timestamptz",
            (CursorType::TimestampTz, true) => "timestamptz(0)",
        };
        let required = if setting.nulls.is_none() { " not null" } else { "" };
        // Few rows lie on a page, so that few rows lie on many pages.
        self.client
            .batch_execute(&format!(
                "create sequence {name}_numbers;
                 create table {name} (
                     id bigint primary key, value bigint not null, note text, price numeric(12,2),
                     updated_at {cursor}{required}, ratio double precision
                 ) with (fillfactor = 10);"
            ))
            .expect("a new name makes a table");
        if setting.ids % 2 == 0 {
            self.client
                .batch_execute(&format!("create index on {name} (updated_at)"))
                .expect("an index");
        }
    }

    fn table(&self) -> TableName {
        TableName::new("public", &self.table)
    }

    fn connector(&self) -> Box<dyn Connector> {
        let location = Location::parse(&self.database.url(), std::path::Path::new("/")).expect("an address");
        registry::source(&location.datastore).expect("a source of this release")
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn wait(&mut self, micros: i64) {
        // The server rounds up to half a second into the future, and nobody else can let its time pass.
        if self.whole_seconds && micros >= 1_000_000 {
            self.client
                .batch_execute("select pg_sleep(0.51)")
                .expect("a pause");
        }
    }

    fn write(&mut self, changes: &[Change]) -> Written {
        let statements = self.statements(changes);
        self.client
            .batch_execute("begin")
            .expect("no transaction is open");
        let written = execute(&mut self.client, &statements);
        self.client
            .batch_execute("commit")
            .expect("nothing speaks against it");
        written
    }

    fn begin(&mut self, slot: usize) {
        self.slots[slot]
            .client
            .batch_execute("begin")
            .expect("no transaction is open");
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
        slot.client.batch_execute(end).expect("nothing speaks against it");
        if commits { written } else { Written::new() }
    }
}
