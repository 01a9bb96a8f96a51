//! One DuckDB connection, and the one door through which every statement passes.
//!
//! [`Session::run`] gives each call a label, a deadline and an entry in the engine's books. A call that misses its
//! deadline, or whose engine was told to stop, is interrupted and returns an error; the session stays usable, but
//! an open transaction of it is over. Everything is blocking: async callers use threads of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use duckdb::types::ValueRef;
use duckdb::{Connection, InterruptHandle};

use crate::engine::EngineShared;
use crate::error::{Error, Fault, FaultClass, Result};

/// A connection to an engine. Sessions of one engine see the same attached databases; each has its own
/// transaction.
pub struct Session {
    pub(crate) shared: Arc<EngineShared>,
    /// There until the session is dropped.
    connection: Option<Connection>,
    interrupt: Arc<InterruptHandle>,
}

/// One statement's circumstances.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What is tried, worded to follow "cannot": `read table "shop.orders"`.
    pub label: &'a str,
    /// When to give up; the engine's own deadline if `None`.
    pub deadline: Option<Duration>,
    /// A protected call is not interrupted by a request to stop, only by its deadline: a commit.
    pub protected: bool,
}

impl<'a> Call<'a> {
    /// A call with the engine's deadline.
    #[must_use]
    pub fn new(label: &'a str) -> Self {
        Self {
            label,
            deadline: None,
            protected: false,
        }
    }

    /// The same call, which a request to stop does not interrupt.
    #[must_use]
    pub fn protected(self) -> Self {
        Self {
            protected: true,
            ..self
        }
    }
}

/// One value of a small result.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// Boolean.
    Boolean(bool),
    /// Any integer type.
    Integer(i128),
    /// Any float type.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row of a small result. The statement is ours, so its shape is known: a cell of another type is a fault of the
/// statement and reads as absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Cell>);

impl Row {
    /// The text in column `index`; `None` for NULL.
    #[must_use]
    pub fn text(&self, index: usize) -> Option<&str> {
        match self.0.get(index) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The integer in column `index`, if it is one and fits.
    #[must_use]
    pub fn integer(&self, index: usize) -> Option<i64> {
        match self.0.get(index) {
            Some(Cell::Integer(number)) => i64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The integer of up to 128 bits in column `index`.
    #[must_use]
    pub fn wide(&self, index: usize) -> Option<i128> {
        match self.0.get(index) {
            Some(Cell::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// The boolean in column `index`; NULL is false.
    #[must_use]
    pub fn boolean(&self, index: usize) -> bool {
        matches!(self.0.get(index), Some(Cell::Boolean(true)))
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<EngineShared>, connection: Connection) -> Self {
        let interrupt = connection.interrupt_handle();
        Self {
            shared,
            connection: Some(connection),
            interrupt,
        }
    }

    /// Runs one or more statements and returns the number of rows that the last one changed.
    pub fn execute(&self, call: Call<'_>, sql: &str) -> Result<u64> {
        self.run(call, |connection| {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            // INSERT, UPDATE, DELETE and COPY answer with one row that holds the count.
            let changed = match rows.next()? {
                Some(row) => match cell(row.get_ref(0)?) {
                    Cell::Integer(count) => u64::try_from(count).unwrap_or(0),
                    _ => 0,
                },
                None => 0,
            };
            Ok(changed)
        })
    }

    /// Runs several statements, separated by semicolons.
    pub fn batch(&self, call: Call<'_>, sql: &str) -> Result<()> {
        self.run(call, |connection| connection.execute_batch(sql))
    }

    /// Runs a query whose result is small, and returns all its rows.
    pub fn query(&self, call: Call<'_>, sql: &str) -> Result<Vec<Row>> {
        self.query_with(call, sql, &[])
    }

    /// Like [`Session::query`], with texts bound to `?`.
    pub fn query_with(&self, call: Call<'_>, sql: &str, texts: &[&str]) -> Result<Vec<Row>> {
        self.run(call, |connection| {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query(duckdb::params_from_iter(texts))?;
            let columns = rows.as_ref().map_or(0, duckdb::Statement::column_count);
            let mut result = Vec::new();
            while let Some(row) = rows.next()? {
                let cells = (0..columns)
                    .map(|index| row.get_ref(index).map(cell))
                    .collect::<duckdb::Result<_>>()?;
                result.push(Row(cells));
            }
            Ok(result)
        })
    }

    /// Runs a query whose result is small, and returns the names of its columns and all values as text, in
    /// DuckDB's own spelling.
    pub fn table(&self, call: Call<'_>, sql: &str) -> Result<TextTable> {
        let sql = sql.trim().trim_end_matches(';');
        // Casting inside the engine gives every type its own spelling. Statements that cannot stand in a FROM
        // clause (EXPLAIN, PRAGMA, DDL) answer with plain types anyway.
        let wrapped = format!("select columns(*)::varchar from ({sql}\n) as result");
        let wrappable = self.run(call, |connection| Ok(connection.prepare(&wrapped).is_ok()))?;
        self.run(call, |connection| {
            let mut statement = connection.prepare(if wrappable { &wrapped } else { sql })?;
            let mut rows = statement.query([])?;
            let columns: Vec<String> = rows
                .as_ref()
                .map(duckdb::Statement::column_names)
                .unwrap_or_default();
            let mut result = Vec::new();
            while let Some(row) = rows.next()? {
                let texts = (0..columns.len())
                    .map(|index| row.get_ref(index).map(|value| cell(value).into_text()))
                    .collect::<duckdb::Result<_>>()?;
                result.push(texts);
            }
            Ok(TextTable {
                columns,
                rows: result,
            })
        })
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<()> {
        self.batch(Call::new("begin a transaction"), "begin transaction")
    }

    /// Ends a transaction without effect. A transaction that an error ended already is no error.
    pub fn rollback(&self) {
        let ended = self.batch(Call::new("end a transaction").protected(), "rollback");
        if let Err(error) = ended {
            tracing::debug!(%error, "transaction was over already");
        }
    }

    /// The door. `work` sees the connection; its error is classified, and shown without secrets or values.
    pub(crate) fn run<T>(
        &self,
        call: Call<'_>,
        work: impl FnOnce(&Connection) -> duckdb::Result<T>,
    ) -> Result<T> {
        let deadline = call.deadline.unwrap_or(self.shared.deadline);
        let watch = self
            .shared
            .watchdog
            .enter(&self.interrupt, Instant::now() + deadline, call.protected);
        let Some(watch) = watch else {
            return Err(Error::Cancelled {
                label: call.label.to_owned(),
            });
        };
        let started_at = Instant::now();
        let connection = self
            .connection
            .as_ref()
            .expect("a session has its connection until it is dropped");
        let result = work(connection);
        let elapsed = started_at.elapsed();
        let ending = watch.leave();
        tracing::trace!(
            label = call.label,
            seconds = elapsed.as_secs_f64(),
            "statement ran"
        );
        result.map_err(|error| {
            let fault = self.shared.fault(&error);
            if fault.class == FaultClass::Ended {
                self.shared.ended.store(true, Ordering::Release);
            }
            match fault.class {
                FaultClass::Interrupt if ending.late => Error::Deadline {
                    label: call.label.to_owned(),
                    after: deadline,
                },
                FaultClass::Interrupt => Error::Cancelled {
                    label: call.label.to_owned(),
                },
                _ => Error::Statement {
                    label: call.label.to_owned(),
                    source: fault,
                },
            }
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closing a connection ends its transaction, which an engine that is past its end answers with an exception
        // that nobody catches: the process would abort. Such a connection stays open until the process goes.
        if self.shared.ended.load(Ordering::Acquire) {
            std::mem::forget(self.connection.take());
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

/// A small result for people: every value as text, `None` for NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTable {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows of as many values as there are columns.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Cell {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("\\x{byte:02X}")).collect()),
        }
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Boolean(value) => Cell::Boolean(value),
        ValueRef::TinyInt(value) => Cell::Integer(value.into()),
        ValueRef::SmallInt(value) => Cell::Integer(value.into()),
        ValueRef::Int(value) => Cell::Integer(value.into()),
        ValueRef::BigInt(value) => Cell::Integer(value.into()),
        ValueRef::HugeInt(value) => Cell::Integer(value),
        ValueRef::UTinyInt(value) => Cell::Integer(value.into()),
        ValueRef::USmallInt(value) => Cell::Integer(value.into()),
        ValueRef::UInt(value) => Cell::Integer(value.into()),
        ValueRef::UBigInt(value) => Cell::Integer(value.into()),
        ValueRef::Float(value) => Cell::Float(value.into()),
        ValueRef::Double(value) => Cell::Float(value),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
        other => Cell::Text(format!("{other:?}")),
    }
}

/// Converts DuckDB's error; the text is scrubbed by the engine.
impl EngineShared {
    pub(crate) fn fault(&self, error: &duckdb::Error) -> Fault {
        let text = match error {
            duckdb::Error::DuckDBFailure(_, Some(text)) => text.clone(),
            other => other.to_string(),
        };
        Fault::new(&text, &self.secrets())
    }
}
