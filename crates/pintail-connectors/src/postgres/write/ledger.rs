//! The table of the ledger.

use pintail_lake::{Call, Result, Session};

use super::{execute, query};

/// Makes the ledger where it is missing.
pub(super) fn install(session: &Session, alias: &str) -> Result<()> {
    let exists = "select pg_catalog.to_regclass('pintail.ledger') is not null as found";
    let rows = session.query(
        Call::new("look for the ledger of the database"),
        &format!("from {}", query(alias, exists)),
    )?;
    if rows.first().is_some_and(|row| row.boolean(0)) {
        return Ok(());
    }
    session.begin()?;
    // Several may begin at once, and `if not exists` does not wait for each other.
    let made = execute(
        session,
        alias,
        "make the ledger of the database",
        "select pg_catalog.pg_advisory_xact_lock(7812746391);
         create schema if not exists pintail;
         create table if not exists pintail.ledger (
           partition_key text primary key,
           pipeline text not null,
           strategy text not null,
           run_id text not null,
           target text not null,
           row_count bigint not null,
           checksum text not null,
           source text not null,
           cursor_column text,
           watermark_type text,
           watermark text,
           fence bigint not null,
           position bigint not null,
           committed_at text not null)",
    )
    .and_then(|()| session.batch(Call::new("make the ledger of the database").protected(), "commit"));
    made.inspect_err(|_| session.rollback())?;
    // The engine remembers which schemas and tables there are.
    session.batch(Call::new("make the ledger known"), "call pg_clear_cache()")
}
