//! One state of the database for several sessions.
//!
//! DuckDB begins a transaction of Postgres (`REPEATABLE READ READ ONLY`) with the first statement that touches the
//! alias, on a connection of its own. That connection exports its snapshot; others import it as their first
//! statement. DuckDB's parallel scanner does the same by itself for the connections that help it.

use pintail_lake::connector::SnapshotId;
use pintail_lake::quote::literal;
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::ErrorKind;

use super::scan::query;

/// How values are written where Postgres writes them as text: the same for every session, whatever the server, the
/// database or the role have set. And, as `pg_dump` does, no time limits of the server for a session that reads for long
/// or waits for others: the engine has its own.
pub(super) const SETTINGS: &str = "set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; \
     set local timezone = 'UTC'; set local extra_float_digits = 1; set local bytea_output = 'hex'; \
     set local lc_monetary = 'C'; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0";

pub(super) fn begin(session: &Session, alias: &str) -> Result<SnapshotId> {
    within_transaction(session, || {
        // First, so that the transaction begins with the settings, in one message.
        execute(session, alias, "open a snapshot of the source", SETTINGS)?;
        let export = query(alias, "select pg_catalog.pg_export_snapshot() as id");
        let rows = session.query(
            Call::new("share a snapshot of the source"),
            &format!("select id from {export}"),
        )?;
        let id = rows.first().and_then(|row| row.text(0));
        id.map(|id| SnapshotId(id.to_owned()))
            .ok_or_else(|| Error::Refused {
                kind: ErrorKind::Internal,
                message: "cannot share a snapshot of the source: it has no name".to_owned(),
                hint: None,
            })
    })
}

pub(super) fn join(session: &Session, alias: &str, snapshot: &SnapshotId) -> Result<()> {
    within_transaction(session, || {
        let import = format!(
            "set transaction snapshot {}; {SETTINGS}",
            super::quote::literal(&snapshot.0)
        );
        execute(session, alias, "join a snapshot of the source", &import)
    })
}

/// Begins a transaction that stays open unless `work` fails.
fn within_transaction<T>(session: &Session, work: impl FnOnce() -> Result<T>) -> Result<T> {
    session.begin()?;
    work().inspect_err(|_| session.rollback())
}

fn execute(session: &Session, alias: &str, label: &str, sql: &str) -> Result<()> {
    session.batch(
        Call::new(label),
        &format!("call postgres_execute({}, {})", literal(alias), literal(sql)),
    )
}
