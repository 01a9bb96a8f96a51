//! One state of the database for all reads of a session.
//!
//! DuckDB begins a transaction with the first statement that touches the alias, at the isolation level that the server
//! prefers, and may send no statement that opens a snapshot through a read-only attachment. MariaDB takes a block of
//! statements for a query: it begins the transaction anew. MySQL does not, so it has to prefer REPEATABLE READ, and fixes
//! the state with the first read of a table.

use pintail_lake::{Call, Error, Result, Session};
use pintail_model::ErrorKind;

use super::quote::query;
use super::server::Flavour;

/// The answer is the isolation level in which the transaction runs.
const MARIADB: &str = "begin not atomic \
     set session transaction isolation level repeatable read; \
     commit; \
     start transaction with consistent snapshot, read only; \
     select 'REPEATABLE-READ' as level; \
     end";

const MYSQL: &str = "select convert(@@transaction_isolation using utf8mb4) as level";

/// Begins a transaction in `session` that stays open, and whose reads see one state.
pub(super) fn begin(session: &Session, alias: &str) -> Result<Flavour> {
    session.begin()?;
    open(session, alias).inspect_err(|_| session.rollback())
}

fn open(session: &Session, alias: &str) -> Result<Flavour> {
    let flavour = Flavour::of(session, alias)?;
    let sql = match flavour {
        Flavour::MariaDb => MARIADB,
        Flavour::MySql => MYSQL,
    };
    let rows = session.query(
        Call::new("open a snapshot of the source"),
        &format!("select level from {}", query(alias, sql)),
    )?;
    match rows.first().and_then(|row| row.text(0)) {
        Some("REPEATABLE-READ" | "SERIALIZABLE") => Ok(flavour),
        level => Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "cannot open a snapshot of the source: its sessions begin with isolation level {}",
                level.unwrap_or("unknown")
            ),
            "Set `transaction_isolation` of the server to `REPEATABLE-READ`, which is its default.",
        )),
    }
}
