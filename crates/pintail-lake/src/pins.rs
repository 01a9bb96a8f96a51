//! Pins: names for snapshots of a lake that are not to expire.
//!
//! ```text
//! lease on the whole lake ─▶ look at the newest snapshot ─▶ write the pin ─▶ lease given back
//! ```
//!
//! They stand in a table beside DuckLake's own, `pintail_pins`, where whoever maintains the lake sees them; the lake's tables
//! and its history stay as they were. [Maintenance](crate::maintenance) expires snapshots under the lease under which they are
//! pinned, so none goes between the look and the pin, and it leaves those alone that are pinned. Files that a snapshot needs
//! are not given up as long as it has not expired.
//!
//! Other programs know nothing of it. On Postgres a foreign key refuses them too, whoever asks; elsewhere a snapshot that such
//! a program expired is noticed by whoever looks for it.

use std::collections::BTreeSet;
use std::time::Duration;

use pintail_model::ErrorKind;
use serde::Serialize;

use crate::commit::{lease, worth_repeating};
use crate::error::{Error, FaultClass, Result};
use crate::lake::Lake;
use crate::ledger::ledger_table;
use crate::location::Catalogue;
use crate::metadata::{metadata_alias, metadata_table};
use crate::quote;
use crate::session::{Call, Row, Session};

const TABLE: &str = "pintail_pins";

/// A snapshot of a lake that somebody needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pin {
    /// The snapshot of the lake.
    pub lake_snapshot: i64,
    /// The project of whoever needs it.
    pub project: String,
    /// What needs it: the name of a snapshot of that project.
    pub snapshot: String,
    /// Where that one lies, for people.
    pub place: String,
    /// Tells the pin from all others.
    pub pin: String,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: String,
}

/// What is to be pinned; the snapshot of the lake is the newest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinRequest {
    /// As [`Pin::pin`].
    pub pin: String,
    /// As [`Pin::project`].
    pub project: String,
    /// As [`Pin::snapshot`].
    pub snapshot: String,
    /// As [`Pin::place`].
    pub place: String,
    /// As [`Pin::created_by`].
    pub created_by: String,
    /// As [`Pin::created_at`].
    pub created_at: String,
}

impl Lake {
    /// Pins the newest snapshot. `look` sees the lake as it is in that one, in a transaction that ends when it returns; its
    /// error ends the attempt. Returns the number of the snapshot, and what `look` found.
    ///
    /// # Errors
    /// `Unavailable` if the lease cannot be had, `Conflict` if another program expired the snapshot meanwhile. After an
    /// error the pin may be in the lake all the same, if the answer was lost: [`Lake::unpin`] it.
    pub fn pin<T, E: From<Error>>(
        &self,
        request: &PinRequest,
        look: impl FnOnce(&Session, i64) -> std::result::Result<T, E>,
    ) -> std::result::Result<(i64, T), E> {
        let lease = lease::acquire(self, &ledger_table())?;
        if lease.passed_over() {
            return Err(held().into());
        }
        let session = self.session()?;
        session.begin()?;
        let looked = self
            .snapshot(&session)
            .map_err(E::from)
            .and_then(|snapshot| Ok((snapshot, look(&session, snapshot)?)));
        // Before the pin is written: SQLite would refuse to go on in a transaction that began before it.
        session.rollback();
        let (snapshot, found) = looked?;
        repeated(self, || install(self))?;
        repeated(self, || write(self, snapshot, request))?;
        drop(lease);
        Ok((snapshot, found))
    }

    /// Lets go of a pin. False if there is none of that name.
    ///
    /// # Errors
    /// `Unavailable` if the lease cannot be had.
    pub fn unpin(&self, pin: &str) -> Result<bool> {
        if !there(self, pin)? {
            return Ok(false);
        }
        // What is written to a SQLite catalogue ends the transactions that others began before.
        let lease = lease::acquire(self, &ledger_table())?;
        if lease.passed_over() {
            return Err(held());
        }
        repeated(self, || remove(self, pin))?;
        drop(lease);
        Ok(true)
    }

    /// All pins, by snapshot. None of a lake in which nobody ever pinned anything.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        let call = Call::new("list the pins of the lake").protected();
        let columns = "snapshot_id, pin, project, snapshot, place, created_by, created_at";
        let session = self.session()?;
        let rows = match &self.location().catalogue {
            Catalogue::Postgres { metadata_schema, .. } => {
                let table = postgres_table(metadata_schema);
                let exists = format!(
                    "select to_regclass({}) is not null",
                    quote::postgres_literal(&table)
                );
                let found = asked(&session, call, &exists)?;
                if !found.first().is_some_and(|row| row.boolean(0)) {
                    return Ok(Vec::new());
                }
                asked(&session, call, &format!("select {columns} from {table}"))?
            }
            Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => {
                let sql = format!("select {columns} from {}", metadata_table(self, TABLE));
                match session.query(call, &sql) {
                    Ok(rows) => rows,
                    Err(Error::Statement { source, .. }) if source.class == FaultClass::Name => Vec::new(),
                    Err(error) => return Err(error),
                }
            }
        };
        let text = |row: &Row, index| row.text(index).unwrap_or_default().to_owned();
        let mut pins: Vec<Pin> = rows
            .iter()
            .filter_map(|row| {
                Some(Pin {
                    lake_snapshot: row.integer(0)?,
                    pin: text(row, 1),
                    project: text(row, 2),
                    snapshot: text(row, 3),
                    place: text(row, 4),
                    created_by: text(row, 5),
                    created_at: text(row, 6),
                })
            })
            .collect();
        pins.sort();
        Ok(pins)
    }

    /// Those of `snapshots` that have not expired.
    pub fn unexpired(&self, snapshots: &BTreeSet<i64>) -> Result<BTreeSet<i64>> {
        if snapshots.is_empty() {
            return Ok(BTreeSet::new());
        }
        let list: Vec<String> = snapshots.iter().map(i64::to_string).collect();
        let sql = format!(
            "select snapshot_id::bigint from {} where snapshot_id in ({})",
            metadata_table(self, "ducklake_snapshot"),
            list.join(", ")
        );
        let call = Call::new("look for snapshots of the lake").protected();
        let rows = self.session()?.query(call, &sql)?;
        Ok(rows.iter().filter_map(|row| row.integer(0)).collect())
    }
}

fn held() -> Error {
    Error::refused(
        ErrorKind::Unavailable,
        "cannot pin a snapshot of the lake: another process holds the lease and does not move",
        "Try again when it is over.",
    )
}

/// Makes the table where it is missing. The caller holds the lease.
fn install(lake: &Lake) -> Result<()> {
    let call = Call::new("make the table of pins of the lake").protected();
    let session = lake.session()?;
    match &lake.location().catalogue {
        Catalogue::Postgres { metadata_schema, .. } => {
            let table = postgres_table(metadata_schema);
            let exists = format!(
                "select to_regclass({}) is not null",
                quote::postgres_literal(&table)
            );
            if asked(&session, call, &exists)?
                .first()
                .is_some_and(|row| row.boolean(0))
            {
                return Ok(());
            }
            let sql = format!(
                "create table if not exists {table} (
                     pin text primary key,
                     snapshot_id bigint not null references {}.ducklake_snapshot (snapshot_id),
                     project text not null,
                     snapshot text not null,
                     place text not null,
                     created_by text not null,
                     created_at text not null
                 )",
                quote::identifier(metadata_schema)
            );
            remote(&session, call, &sql)
        }
        // No foreign key: DuckDB would not let DuckLake change a table that another one refers to, when a later release has a
        // newer format, and SQLite does not look at it.
        Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => session.batch(
            call,
            &format!(
                "create table if not exists {} (
                     pin varchar primary key,
                     snapshot_id bigint not null,
                     project varchar not null,
                     snapshot varchar not null,
                     place varchar not null,
                     created_by varchar not null,
                     created_at varchar not null
                 )",
                metadata_table(lake, TABLE)
            ),
        ),
    }
}

fn there(lake: &Lake, pin: &str) -> Result<bool> {
    Ok(lake.pins()?.iter().any(|known| known.pin == pin))
}

/// How often a write to the catalogue is tried that others come before.
const ATTEMPTS: u32 = 20;

/// Does a write again that lost against somebody who knows no lease.
fn repeated(lake: &Lake, mut work: impl FnMut() -> Result<()>) -> Result<()> {
    let mut attempt = 1;
    loop {
        match work() {
            Err(error) if attempt < ATTEMPTS && worth_repeating(&error) => {
                tracing::debug!(%error, "a pin is written again");
                lake.engine().pause(Duration::from_millis(20));
                attempt += 1;
            }
            done => return done,
        }
    }
}

fn remove(lake: &Lake, pin: &str) -> Result<()> {
    let call = Call::new("let go of a pin of the lake").protected();
    let session = lake.session()?;
    let written = match &lake.location().catalogue {
        Catalogue::Postgres { metadata_schema, .. } => {
            let sql = format!(
                "delete from {} where pin = {}",
                postgres_table(metadata_schema),
                quote::postgres_literal(pin)
            );
            remote(&session, call, &sql)
        }
        Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => {
            let sql = format!(
                "delete from {} where pin = {}",
                metadata_table(lake, TABLE),
                quote::literal(pin)
            );
            session.batch(call, &sql)
        }
    };
    drop(session);
    match written {
        // The answer was lost.
        Err(_) if !there(lake, pin)? => Ok(()),
        written => written,
    }
}

fn write(lake: &Lake, snapshot: i64, request: &PinRequest) -> Result<()> {
    let session = lake.session()?;
    let written = match &lake.location().catalogue {
        Catalogue::Postgres { metadata_schema, .. } => {
            let sql = format!(
                "insert into {} (pin, snapshot_id, project, snapshot, place, created_by, created_at) values ({})",
                postgres_table(metadata_schema),
                values(snapshot, request, quote::postgres_literal)
            );
            // The foreign key looks whether the snapshot is there, and keeps it there.
            remote(&session, Call::new(WRITE).protected(), &sql)
        }
        Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => write_in_file(lake, &session, snapshot, request),
    };
    drop(session);
    let Err(error) = written else { return Ok(()) };
    // An error after the commit means nothing; a refusal may be told better.
    if there(lake, &request.pin)? {
        return Ok(());
    }
    match lake.unexpired(&BTreeSet::from([snapshot]))?.is_empty() {
        true => Err(expired(snapshot)),
        false => Err(error),
    }
}

const WRITE: &str = "pin a snapshot of the lake";

fn write_in_file(lake: &Lake, session: &Session, snapshot: i64, request: &PinRequest) -> Result<()> {
    let call = Call::new(WRITE).protected();
    session.begin()?;
    let there = session.query(
        call,
        &format!(
            "select count(*) from {} where snapshot_id = {snapshot}",
            metadata_table(lake, "ducklake_snapshot")
        ),
    );
    let written = there.and_then(|rows| {
        if rows.first().and_then(|row| row.integer(0)) != Some(1) {
            return Err(expired(snapshot));
        }
        session.batch(
            call,
            &format!(
                "insert into {} (pin, snapshot_id, project, snapshot, place, created_by, created_at) values ({})",
                metadata_table(lake, TABLE),
                values(snapshot, request, quote::literal)
            ),
        )
    });
    match written {
        Ok(()) => session.batch(call, "commit"),
        Err(error) => {
            session.rollback();
            Err(error)
        }
    }
}

fn values(snapshot: i64, request: &PinRequest, literal: fn(&str) -> String) -> String {
    let PinRequest {
        pin,
        project,
        snapshot: name,
        place,
        created_by,
        created_at,
    } = request;
    let texts = [project, name, place, created_by, created_at].map(|text| literal(text));
    format!("{}, {snapshot}, {}", literal(pin), texts.join(", "))
}

fn expired(snapshot: i64) -> Error {
    Error::refused(
        ErrorKind::Conflict,
        format!("cannot pin snapshot {snapshot} of the lake: another program expired it meanwhile"),
        "Try again: the newest snapshot is pinned then.",
    )
}

fn postgres_table(metadata_schema: &str) -> String {
    format!("{}.{TABLE}", quote::identifier(metadata_schema))
}

/// Has Postgres run a statement that answers nothing.
fn remote(session: &Session, call: Call<'_>, sql: &str) -> Result<()> {
    let alias = quote::literal(&metadata_alias());
    session.batch(
        call,
        &format!("call postgres_execute({alias}, {})", quote::literal(sql)),
    )
}

/// Asks Postgres.
fn asked(session: &Session, call: Call<'_>, sql: &str) -> Result<Vec<Row>> {
    let alias = quote::literal(&metadata_alias());
    session.query(
        call,
        &format!("from postgres_query({alias}, {})", quote::literal(sql)),
    )
}
