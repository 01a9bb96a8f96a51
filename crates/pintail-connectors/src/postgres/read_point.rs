//! The server's clock and its oldest open transaction.
//!
//! The clock is the begin of our own transaction, and so is older than everything that the same statement then sees
//! in `pg_stat_activity`: whoever began before it and is still at work is listed, whoever is not listed any more has
//! committed, and the snapshot that is opened afterwards sees that.
//!
//! All open transactions count, those without a transaction id too: an idle one can still write with an old `now()`.
//! Autovacuum and the senders of replication write no rows. What a subscription applies was stamped elsewhere and long
//! before the worker began to apply it, so a database that subscribes cannot tell.

use jiff::Timestamp;
use pintail_lake::connector::{OldestTransaction, ReadPoint};
use pintail_lake::quote::identifier;
use pintail_lake::relation::Relation;
use pintail_lake::{Call, Error, Result, Row, Session};
use pintail_model::{CursorType, ErrorKind, Range};

use super::scan::{from, query};

/// One row: now, zone offset, standby, prepared transactions, sessions that hide their transactions, sessions that
/// do not report them, oldest begin, largest cursor, zone, clock after that was seen, subscriptions at work. Times in
/// microseconds.
const READ_POINT: &str = include_str!("read_point.sql");

pub(super) fn read(
    session: &Session,
    alias: &str,
    relation: &Relation,
    (cursor, cursor_type): (&str, CursorType),
) -> Result<ReadPoint> {
    let cursor_max = match cursor_type {
        CursorType::Integer => format!(
            "(select max({})::bigint from {})",
            identifier(cursor),
            from(relation, &Range::Whole)
        ),
        _ => "null::bigint".to_owned(),
    };
    let sql = format!(
        "from {}",
        query(alias, &READ_POINT.replace("/* cursor_max */", &cursor_max))
    );
    // A transaction of its own: the clock must not be that of one that has been open for a while.
    session.begin()?;
    let rows = session.query(Call::new("read the clock of the source"), &sql);
    session.rollback();
    decode(rows?.first()).ok_or_else(|| Error::Refused {
        kind: ErrorKind::Internal,
        message: "cannot read the clock of the source: the answer has another shape".to_owned(),
        hint: None,
    })
}

fn decode(row: Option<&Row>) -> Option<ReadPoint> {
    let row = row?;
    let instant = |micros: i64| Timestamp::from_microsecond(micros).ok();
    let oldest = if row.boolean(2) {
        unknown("the server is a standby, which does not know the open transactions of its primary")
    } else if row.integer(3)? > 0 {
        OldestTransaction::Held {
            reason: format!(
                "{} prepared transactions wait for their end, and do not tell their begin",
                row.integer(3)?
            ),
        }
    } else if row.integer(4)? > 0 {
        unknown("transactions of other users are open and hidden: grant the role `pg_read_all_stats`")
    } else if row.integer(5)? > 0 {
        unknown("sessions with `track_activities = off` do not report their transactions")
    } else if row.integer(10)? > 0 {
        unknown(
            "the database subscribes to another one, whose transactions are applied with their own old stamps",
        )
    } else {
        match row.integer(6) {
            None => OldestTransaction::None,
            Some(micros) => OldestTransaction::At(instant(micros)?),
        }
    };
    Some(ReadPoint {
        now: instant(row.integer(0)?)?,
        zone_offset_micros: row.integer(1)?,
        time_zone: row.text(8).map(str::to_owned),
        oldest,
        cursor_max: row.integer(7),
        seen_at: instant(row.integer(9)?)?,
    })
}

fn unknown(reason: &str) -> OldestTransaction {
    OldestTransaction::Unknown {
        reason: reason.to_owned(),
    }
}
