//! What a database says about itself: its tables with everything that belongs to them, and what stands beside them.
//!
//! DuckDB's own functions are asked, inside the transaction that reads the rows, and what they get wrong is put right here:
//! foreign keys and sequences appear in them without the quotes that odd names need.

mod objects;
mod tables;

use pintail_lake::quote::{identifier, literal};
use pintail_lake::{Call, Engine, Row, Session};

pub(crate) use self::objects::objects;
pub(crate) use self::tables::{FoundTable, tables};
use crate::error::Result;

/// Stands between names that one text holds.
const SEPARATOR: char = '\u{1f}';

/// A session whose default is schema `main` of a database that is attached as `alias`, in a transaction that has begun.
pub(crate) fn session(engine: &Engine, alias: &str) -> Result<Session> {
    let session = engine.session()?;
    let sql = format!("use {}.main", identifier(alias));
    session.batch(Call::new("use the database"), &sql)?;
    session.begin()?;
    Ok(session)
}

/// An attached database, as one session sees it.
#[derive(Clone, Copy)]
pub(crate) struct Catalog<'a> {
    pub(crate) session: &'a Session,
    /// The name under which it is attached.
    pub(crate) alias: &'a str,
}

impl Catalog<'_> {
    /// Rows of DuckDB's functions, where `{here}` stands for the condition that something belongs to this database.
    fn rows(self, what: &str, sql: &str) -> Result<Vec<Row>> {
        let label = format!("look up the {what} of the database");
        let here = format!("database_name = {}", literal(self.alias));
        Ok(self
            .session
            .query(Call::new(&label), &sql.replace("{here}", &here))?)
    }

    /// A table, or anything else in a schema, as SQL names it.
    pub(crate) fn qualified(self, bucket: &str, name: &str) -> String {
        format!(
            "{}.{}.{}",
            identifier(self.alias),
            identifier(bucket),
            identifier(name)
        )
    }

    /// The format of the file.
    pub(crate) fn storage_version(self) -> Result<Option<String>> {
        let sql = format!(
            "select tags['storage_version'] from duckdb_databases() where database_name = {}",
            literal(self.alias)
        );
        let rows = self
            .session
            .query(Call::new("look up the format of the database"), &sql)?;
        let version = rows.first().and_then(|row| row.text(0));
        Ok(version.map(|version| version.trim_end_matches('+').to_owned()))
    }
}

/// Names that were joined by [`SEPARATOR`].
fn split(names: &str) -> Vec<String> {
    match names {
        "" => Vec::new(),
        names => names.split(SEPARATOR).map(str::to_owned).collect(),
    }
}

/// A list of texts as one text.
fn joined(list: &str) -> String {
    format!("coalesce(array_to_string({list}, chr({})), '')", SEPARATOR as u32)
}
