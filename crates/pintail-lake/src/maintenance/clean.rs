//! The lake as a whole: snapshots that are old, and files that no snapshot needs.

use std::time::Duration;

use jiff::Timestamp;

use super::{Maintained, Maintenance, step};
use crate::error::Result;
use crate::lake::{ALIAS, Lake};
use crate::ledger::ledger_table;
use crate::location::Catalogue;
use crate::metadata::metadata_table;
use crate::pins::Pin;
use crate::session::{Call, Row, Session};

pub(super) fn plan(
    lake: &Lake,
    session: &Session,
    asked: &Maintenance,
    planned: &mut Maintained,
) -> Result<()> {
    let found = snapshots(lake, session, asked.expire_older_than)?;
    planned.snapshots_expired = found.old.len() as u64;
    planned.snapshots_kept = found.kept;
    planned.snapshots_pinned = found.pinned;
    let (ripe, waiting) = given_up(lake, session, asked.clean_older_than)?;
    planned.files_removed = ripe;
    planned.files_waiting = waiting;
    Ok(())
}

pub(super) fn clean(lake: &Lake, asked: &Maintenance, done: &mut Maintained) -> Result<()> {
    // The ledger's lease stands for the lake: nothing else of ours changes all tables at once.
    let whole = ledger_table();
    let found = step(lake, &whole, |session| {
        let found = snapshots(lake, session, asked.expire_older_than)?;
        if !found.old.is_empty() {
            let list = found
                .old
                .iter()
                .map(i64::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            let sql = format!("call ducklake_expire_snapshots('{ALIAS}', versions => [{list}])");
            session.batch(Call::new("expire snapshots of the lake"), &sql)?;
        }
        Ok(found)
    })?;
    done.snapshots_expired = found.old.len() as u64;
    done.snapshots_kept = found.kept;
    done.snapshots_pinned = found.pinned;
    (done.files_removed, done.files_waiting) =
        step(lake, &whole, |session| remove_files(lake, session, asked))?;
    Ok(())
}

/// The snapshots of a lake.
struct Snapshots {
    /// Those that may go.
    old: Vec<i64>,
    /// How many stay.
    kept: u64,
    /// What keeps those that are old enough to go.
    pinned: Vec<Pin>,
}

/// Snapshots that another one took the place of `age` ago or longer may go. The newest always stays, and so does what is
/// pinned: pins are written under the lease that a step has.
///
/// Their own age says too little: the newest may be of last week, and a run that reads it goes on after the next commit.
fn snapshots(lake: &Lake, session: &Session, age: Option<Duration>) -> Result<Snapshots> {
    let sql = format!(
        "select snapshot_id::bigint, {}
         from {}
         order by snapshot_id desc",
        age.map_or_else(
            || "false".to_owned(),
            |age| older("(lead(snapshot_time) over (order by snapshot_id))", age)
        ),
        metadata_table(lake, "ducklake_snapshot")
    );
    let rows = session.query(Call::new("list the snapshots of the lake"), &sql)?;
    let old = |row: &Row| row.boolean(1).then(|| row.integer(0)).flatten();
    let mut expired: Vec<i64> = rows.iter().skip(1).filter_map(old).collect();
    let mut pinned = match expired.as_slice() {
        [] => Vec::new(),
        _ => lake.pins()?,
    };
    pinned.retain(|pin| expired.contains(&pin.lake_snapshot));
    expired.retain(|snapshot| !pinned.iter().any(|pin| pin.lake_snapshot == *snapshot));
    let kept = rows.len() - expired.len();
    Ok(Snapshots {
        old: expired,
        kept: kept as u64,
        pinned,
    })
}

/// Whether a time lies at least `age` back. Compared as numbers: see the module above.
fn older(column: &str, age: Duration) -> String {
    format!(
        "epoch({column}::timestamptz) <= epoch(now()) - {}",
        age.as_secs_f64()
    )
}

/// The instant that lies `age` back, by the clock of the engine.
fn limit(session: &Session, age: Duration) -> Result<Timestamp> {
    let rows = session.query(Call::new("read the clock"), "select epoch_us(now())")?;
    let micros = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_microsecond(micros.saturating_sub(age)).unwrap_or(Timestamp::MIN))
}

/// Files that no snapshot needs: those that are old enough to go, and those that are not.
fn given_up(lake: &Lake, session: &Session, age: Duration) -> Result<(u64, u64)> {
    let sql = format!(
        "select count(*) filter (old), count(*) filter (not old)
         from (
             select {} as old
             from {}
         )",
        older("schedule_start", age),
        metadata_table(lake, "ducklake_files_scheduled_for_deletion")
    );
    let rows = session.query(Call::new("list the files that the lake gave up"), &sql)?;
    let number = |index| {
        let number = rows.first().and_then(|row| row.integer(index));
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    };
    Ok((number(0), number(1)))
}

/// Removes what is old enough, and says how much that was and how much has to wait.
fn remove_files(lake: &Lake, session: &Session, asked: &Maintenance) -> Result<(u64, u64)> {
    let (ripe, waiting) = given_up(lake, session, asked.clean_older_than)?;
    if ripe == 0 {
        return Ok((0, waiting));
    }
    let chosen = match &lake.location().catalogue {
        // In the transaction that looked, all of them are old enough.
        _ if waiting == 0 => "cleanup_all => true".to_owned(),
        // DuckLake compares texts here, which takes everything of the day that is named: so the day before.
        Catalogue::Sqlite(_) => {
            let day = limit(session, asked.clean_older_than + Duration::from_hours(24))?;
            format!(
                "older_than => '{} 00:00:00+00'::timestamptz",
                day.strftime("%Y-%m-%d")
            )
        }
        Catalogue::DuckDb(_) | Catalogue::Postgres { .. } => {
            let limit = limit(session, asked.clean_older_than)?;
            format!(
                "older_than => '{}'::timestamptz",
                limit.strftime("%Y-%m-%d %H:%M:%S%.6f+00")
            )
        }
    };
    let sql = format!("select count(*) from ducklake_cleanup_old_files('{ALIAS}', {chosen})");
    let rows = session.query(Call::new("remove files that the lake gave up"), &sql)?;
    let removed = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    let removed = u64::try_from(removed).unwrap_or(0);
    Ok((removed, ripe + waiting - removed.min(ripe + waiting)))
}
