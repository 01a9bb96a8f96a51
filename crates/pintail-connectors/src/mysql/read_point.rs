//! The server's clock and its oldest open transaction.
//!
//! The clock is read first, then a transaction of our own begins, then the list of open transactions is read. InnoDB
//! makes that list anew only if nobody has read it for a tenth of a second: only a list that shows the statement which
//! asks for it is newer than the clock. Whoever began before the clock and is still at work is in it then; whoever is not
//! in it has committed, and the snapshot that is opened afterwards sees that.
//!
//! A stamp may be older than the transaction that writes it, since a statement that waits for a lock has its clock
//! already: statements at work count as well. What a replica applies was stamped elsewhere and long before.

use jiff::Timestamp;
use pintail_lake::connector::{OldestTransaction, ReadPoint};
use pintail_lake::{Error, Relation, Result, Row, Session};
use pintail_model::{CursorType, ErrorKind};

use super::catalog::{reading, rows};
use super::quote::{from, identifier};
use super::snapshot;

/// Whether the user may see the transactions of others.
const MAY_SEE: &str = include_str!("may_see.sql");

/// Whether the list shows this very statement; transactions that wait for their end, and those of replication; when the
/// oldest transaction and the oldest statement of somebody else began. Times in microseconds.
const TRANSACTIONS: &str = include_str!("transactions.sql");

/// How often the list is asked for, with a pause that lets InnoDB make it anew.
const ATTEMPTS: u32 = 4;
const PAUSE: &str = "select sleep(0.15) as slept";

const CLOCK_LABEL: &str = "read the clock of the source";

/// Now, the offset of the server's zone, and that zone.
const CLOCK: &str = "select \
     timestampdiff(microsecond, timestamp '1970-01-01 00:00:00', utc_timestamp(6)) as now, \
     timestampdiff(microsecond, utc_timestamp(), convert_tz(utc_timestamp(), '+00:00', @@global.time_zone)) as zone, \
     convert(if(@@global.time_zone = 'SYSTEM', @@system_time_zone, @@global.time_zone) using utf8mb4) as name";

pub(super) fn read(
    session: &Session,
    alias: &str,
    relation: &Relation,
    cursor: (&str, CursorType),
) -> Result<ReadPoint> {
    let clock = reading(session, || rows(session, alias, CLOCK_LABEL, CLOCK))?;
    let clock = clock.first().ok_or_else(unreadable)?;
    snapshot::begin(session, alias)?;
    let point = within(session, alias, relation, cursor, clock);
    session.rollback();
    point
}

fn within(
    session: &Session,
    alias: &str,
    relation: &Relation,
    (cursor, cursor_type): (&str, CursorType),
    clock: &Row,
) -> Result<ReadPoint> {
    // Reading the table fixes the state, where that was not done yet.
    let largest = match cursor_type {
        CursorType::Integer => format!(
            "select cast(max({}) as signed) as largest from {}",
            identifier(cursor),
            from(relation)
        ),
        _ => format!(
            "select cast(null as signed) as largest from {} limit 1",
            from(relation)
        ),
    };
    let largest = rows(session, alias, "read the largest value of the cursor", &largest)?;
    let mark = clock.integer(0).ok_or_else(unreadable)?;
    let oldest = oldest(session, alias, mark)?;
    let seen = rows(session, alias, CLOCK_LABEL, CLOCK)?;
    let instant = |row: &Row| Timestamp::from_microsecond(row.integer(0)?).ok();
    Ok(ReadPoint {
        now: instant(clock).ok_or_else(unreadable)?,
        zone_offset_micros: clock.integer(1).unwrap_or(0),
        time_zone: clock.text(2).map(str::to_owned),
        oldest,
        cursor_max: largest.first().and_then(|row| row.integer(0)),
        seen_at: seen.first().and_then(instant).ok_or_else(unreadable)?,
    })
}

/// The oldest transaction. `mark` is a number that no statement before this call held.
fn oldest(session: &Session, alias: &str, mark: i64) -> Result<OldestTransaction> {
    let label = "read the open transactions of the source";
    let granted = rows(session, alias, label, MAY_SEE)?;
    if granted.first().and_then(|row| row.integer(0)) == Some(0) {
        return Ok(unknown(
            "transactions of other users are hidden: grant the user PROCESS",
        ));
    }
    for attempt in 0..ATTEMPTS {
        let sql = TRANSACTIONS.replace("/* mark */", &format!("{mark}-{attempt}"));
        let listed = rows(session, alias, label, &sql)?;
        let row = listed.first().ok_or_else(unreadable)?;
        if row.integer(0) > Some(0) {
            return Ok(judged(row));
        }
        rows(session, alias, label, PAUSE)?;
    }
    Ok(unknown(
        "the list of open transactions is an old one: another program asks for it all the time",
    ))
}

/// What a list that is new says.
fn judged(row: &Row) -> OldestTransaction {
    if row.integer(2) > Some(0) {
        return unknown("the server is a replica, and applies transactions with their own old stamps");
    }
    if row.integer(1) > Some(0) {
        return OldestTransaction::Held {
            reason: "prepared transactions wait for their end".to_owned(),
        };
    }
    let began = [row.integer(3), row.integer(4)].into_iter().flatten().min();
    match began.and_then(|micros| Timestamp::from_microsecond(micros).ok()) {
        Some(began) => OldestTransaction::At(began),
        None => OldestTransaction::None,
    }
}

fn unreadable() -> Error {
    Error::Refused {
        kind: ErrorKind::Internal,
        message: "cannot read the clock of the source: the answer has another shape".to_owned(),
        hint: None,
    }
}

fn unknown(reason: &str) -> OldestTransaction {
    OldestTransaction::Unknown {
        reason: reason.to_owned(),
    }
}
