//! What the server is told and asked in the session's transaction, over its one connection.

use std::time::{Duration, Instant};

use pintail_lake::quote::literal;
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::checksum::bytes_word;
use pintail_model::{ErrorKind, TableName};

use super::super::quote::query;

/// Settings of a session, which the engine takes back when its transaction is over.
///
/// - Modes: nothing is cut, clamped or guessed; 0 is 0 in an `auto_increment` column; and since none of the other modes
///   is on, a backslash escapes, as the engine writes it.
/// - A session that does nothing for five minutes ends, and with it its lock and transaction: a stopped process wakes
///   up without them.
/// - Nobody waits longer than a minute for readers of a table that is to be swapped.
const SETTINGS: &str = "set session \
     sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
     wait_timeout = 300, lock_wait_timeout = 60, sql_safe_updates = 0, \
     foreign_key_checks = 1, unique_checks = 1, transaction_isolation = 'REPEATABLE-READ'";

/// The name that MariaDB had for the level of isolation until 11.1.
const SETTING_OF_MARIADB: (&str, &str) = ("transaction_isolation", "tx_isolation");

/// Seconds that are waited for a lock before whoever waits looks whether he is to stop.
const WAIT: u32 = 1;

/// Has the server run one statement.
pub(super) fn execute(session: &Session, alias: &str, label: &str, sql: &str) -> Result<()> {
    session.batch(Call::new(label), &executed(alias, sql))
}

/// What the engine runs so that the server runs one statement.
pub(super) fn executed(alias: &str, sql: &str) -> String {
    format!("call mysql_execute({}, {})", literal(alias), literal(sql))
}

/// One number that the server is asked for; `None` for NULL.
pub(super) fn number(session: &Session, alias: &str, label: &str, sql: &str) -> Result<Option<i64>> {
    let rows = session.query(Call::new(label), &format!("from {}", query(alias, sql)))?;
    Ok(rows.first().and_then(|row| row.integer(0)))
}

/// A count of rows.
pub(super) fn count(session: &Session, alias: &str, label: &str, from: &str) -> Result<u64> {
    let found = number(
        session,
        alias,
        label,
        &format!("select count(*) as number from {from}"),
    )?;
    found
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| Error::Refused {
            kind: ErrorKind::Internal,
            message: format!("cannot {label}: the server answered without a number"),
            hint: None,
        })
}

/// Makes a session strict.
pub(super) fn prepare_session(session: &Session, alias: &str) -> Result<()> {
    use super::super::server::Flavour;
    let (usual, other) = SETTING_OF_MARIADB;
    let settings = match Flavour::of(session, alias)? {
        Flavour::MySql => SETTINGS.to_owned(),
        Flavour::MariaDb => SETTINGS.replace(usual, other),
    };
    execute(session, alias, "make a session strict", &settings)
}

/// What stands for a table in names: two names of one table, on servers that do not tell case apart, have the same.
pub(super) fn word(table: &TableName) -> String {
    let name = format!("{}\0{}", table.schema_or(""), table.table).to_lowercase();
    format!("{:016x}", bytes_word(name.as_bytes()))
}

/// Waits for the table's lock: for as long as somebody else has it, or as long as `patience` says.
pub(super) fn lock(
    session: &Session,
    alias: &str,
    table: &TableName,
    patience: Option<Duration>,
) -> Result<()> {
    let label = format!("wait for the right to commit to table \"{table}\"");
    let sql = format!("select get_lock('pintail {}', {WAIT}) as got", word(table));
    let began = Instant::now();
    for round in 1_u64.. {
        let refusal = match number(session, alias, &label, &sql)? {
            Some(1) => return Ok(()),
            Some(_) if patience.is_some_and(|patience| began.elapsed() >= patience) => "somebody else has it",
            Some(_) => {
                if round.is_power_of_two() {
                    let waited = began.elapsed().as_secs();
                    tracing::info!(%table, waited, "somebody else commits to the table");
                }
                continue;
            }
            None => "the server gives no lock",
        };
        return Err(Error::Refused {
            kind: ErrorKind::Unavailable,
            message: format!("cannot {label}: {refusal}"),
            hint: None,
        });
    }
    unreachable!("nobody waits for so many rounds")
}

/// Begins the transaction anew, after statements that define tables.
pub(super) fn begin_anew(session: &Session, alias: &str) -> Result<()> {
    execute(session, alias, "begin a transaction", "start transaction")
}
