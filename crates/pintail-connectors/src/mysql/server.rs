//! Which of the two systems a server is. They name some things differently.

use pintail_lake::{Call, Result, Session};

use super::quote::query;

/// A server's system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// MariaDB, tested with 10.11.
    MariaDb,
    /// MySQL, or one that does not say that it is MariaDB.
    MySql,
}

impl Flavour {
    pub(super) fn of(session: &Session, alias: &str) -> Result<Self> {
        let sql = format!(
            "select version from {}",
            query(alias, "select version() as version")
        );
        let rows = session.query(Call::new("ask the server for its version"), &sql)?;
        let version = rows.first().and_then(|row| row.text(0)).unwrap_or_default();
        Ok(if version.to_lowercase().contains("mariadb") {
            Self::MariaDb
        } else {
            Self::MySql
        })
    }
}
