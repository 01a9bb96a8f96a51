//! How a database is written to: what differs between systems.
//!
//! The protocol around it is the same for all of them, and lives in [`super::commit`]:
//!
//! ```text
//! prepare ─▶ begin ─▶ lock ─▶ read ledger ─▶ bring_in ─▶ (compare) ─▶ finish ─▶ ledger rows ─▶ COMMIT ─▶ clean_up
//! ```
//!
//! Everything between `begin` and COMMIT is one transaction of the database, the session's own. A system in which
//! statements that define tables end a transaction makes its tables in `prepare`.

use std::time::Duration;

use pintail_model::{Column, LogicalType, NativeType, RunId, TableName};

use crate::commit::{Change, StagedFile, check_copies, copies, drop_stale};
use crate::connector::{Attachment, Connector, SourceColumn, TableDescription};
use crate::depot::Depot;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Call, Session};

/// Rows on their way into a table.
pub struct Incoming<'a> {
    /// The engine, for those who want further sessions.
    pub engine: &'a Engine,
    /// The session whose transaction brings them in.
    pub session: &'a Session,
    /// The name under which the database is attached, to be written to.
    pub alias: &'a str,
    /// The table, with its schema resolved.
    pub table: &'a TableName,
    /// The table as it is, if it exists.
    pub found: Option<&'a TableDescription>,
    /// Whether the table that exists can take the rows as it is. If not, it is to be made anew.
    pub fits: bool,
    /// Columns of the staged rows.
    pub columns: &'a [Column],
    /// The key of the rows; empty if they have none.
    pub key: &'a [String],
    /// What happens to the rows that are there.
    pub change: &'a Change,
    /// The staged rows. Never empty files; may be none at all.
    pub files: &'a [StagedFile],
    /// Staged keys, in columns named as those of `key`: rows of the table that have one go, before any other row comes in. Of
    /// an exchange, staged rows with the number of their copies that go.
    pub gone: &'a [StagedFile],
    /// The table as a relation of the engine, in parentheses, typed as the staged rows.
    pub rows: &'a str,
    /// The run that staged them.
    pub run: &'a RunId,
    /// A word of letters and digits that no other attempt has, for names of tables that do not last.
    pub attempt: &'a str,
}

impl Incoming<'_> {
    /// The staged rows as a relation of the engine.
    #[must_use]
    pub fn staged(&self) -> String {
        crate::quote::parquet(self.files.iter().map(|file| file.path.as_path()))
    }

    /// The staged files without rows of which the table has one with the same key and a greater `newer`: the files as they
    /// are, or one that was written anew.
    ///
    /// # Errors
    /// What the engine says.
    pub fn without_stale(&self, newer: &str) -> Result<Vec<StagedFile>> {
        let newer = crate::quote::identifier(newer);
        let stale = format!(
            "select 1 from {} as kept where {} and kept.{newer} > staged.{newer}",
            self.rows,
            crate::quote::same_key(self.key)
        );
        let mut files = self.files.to_vec();
        let label = format!("look for newer rows in table \"{}\"", self.table);
        drop_stale(
            &Depot::Folder,
            self.session,
            Call::new(&label),
            &stale,
            &mut files,
        )?;
        Ok(files)
    }

    /// How many they are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The columns of the key, in their order in the table.
    #[must_use]
    pub fn key_columns(&self) -> Vec<Column> {
        let columns = self.columns.iter();
        columns
            .filter(|column| self.key.contains(&column.name))
            .cloned()
            .collect()
    }

    /// Ends the transaction if it took away another number of rows than is to go in an exchange.
    ///
    /// # Errors
    /// `Data` if it did.
    pub fn check_copies(&self, found: u64) -> Result<()> {
        check_copies(self.table, copies(self.session, self.gone)?, found)
    }

    /// The keys of rows that go, on their way as if they were rows. `columns` are those of the key.
    #[must_use]
    pub fn going<'b>(&'b self, columns: &'b [Column], attempt: &'b str) -> Incoming<'b> {
        Incoming {
            columns,
            files: self.gone,
            gone: &[],
            session: self.session,
            rows: self.rows,
            attempt,
            ..*self
        }
    }
}

/// What became of them, before COMMIT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Rows with a new key, or all of them without a key.
    pub inserted: u64,
    /// Rows that replaced one.
    pub updated: u64,
    /// Rows that went without replacement.
    pub deleted: u64,
    /// Staged rows that were dropped because the table has newer ones.
    pub superseded: u64,
    /// The table or view that is to be compared.
    pub kept: TableName,
    /// Whether only those of its rows count that are under `keys`.
    pub under_keys: bool,
    /// The keys of the staged rows that were not dropped, as a relation of the engine.
    pub keys: String,
}

/// A database that can be written to.
pub trait DatabaseWriter: Send + Sync {
    /// The side that reads it. Its scans are used under the alias of the writing attachment.
    fn reader(&self) -> &dyn Connector;

    /// How to attach it under `alias`, to be written to.
    fn attachment(&self, alias: &str) -> Attachment;

    /// Whether the database is there, as far as this can be told without connecting.
    fn exists(&self) -> bool {
        true
    }

    /// SQL for the engine that yields a row if a table under `alias` has one, and none if not. The database answers it by
    /// itself, so that no more than that row travels and the engine learns nothing of the table. Pure.
    fn first_row(&self, alias: &str, table: &TableName) -> String;

    /// Whether the engine writes and reads it over several threads at once.
    fn parallel(&self) -> bool {
        false
    }

    /// The table with its schema resolved.
    fn resolve(&self, table: &TableName) -> TableName;

    /// Whether a column of that type becomes a column of the very same type.
    fn keeps(&self, origin: &NativeType) -> bool;

    /// Whether two names of columns that differ only in case can stand in one table, and be told apart by the engine.
    fn tells_case_apart(&self) -> bool {
        false
    }

    /// Whether some copies of a row can go while others, which are equal to them, stay.
    fn tells_copies_apart(&self) -> bool {
        false
    }

    /// The type that a new column gets, in the words of the system.
    fn column_type(&self, column: &Column) -> String;

    /// Whether a column that is there takes every value of `wanted` and gives it back as it was.
    fn takes(&self, found: &SourceColumn, wanted: &Column) -> bool;

    /// Why a column cannot be written there, for a person; `None` if it can.
    fn refuses(&self, _column: &Column) -> Option<String> {
        None
    }

    /// Why a schema, a table or a column cannot have a name there, for a person; `None` if it can.
    fn refuses_name(&self, _name: &str) -> Option<String> {
        None
    }

    /// As what a column of that type is read again, where the system holds it as something else without loss. The engine
    /// casts it back.
    fn read_as(&self, logical_type: LogicalType) -> LogicalType {
        logical_type
    }

    /// Adds a column that may be NULL to a table that is there and does not have it.
    fn add_column(&self, session: &Session, alias: &str, table: &TableName, column: &Column) -> Result<()>;

    /// The table that holds the ledger.
    fn ledger(&self) -> TableName;

    /// Makes the ledger where it is missing. The columns are those of [`super::ledger::COLUMNS`].
    fn install_ledger(&self, session: &Session, alias: &str) -> Result<()>;

    /// Waits until nobody else commits to the table, for as long as the transaction of `session` lasts. The ledger's
    /// unique key keeps a second commit of a partition out in any case. With a `patience`, the wait ends after it with an
    /// error, where others can be waited for at all.
    fn lock(
        &self,
        session: &Session,
        alias: &str,
        table: &TableName,
        patience: Option<Duration>,
    ) -> Result<()>;

    /// What has to happen before the transaction begins.
    fn prepare(&self, _incoming: &Incoming<'_>) -> Result<()> {
        Ok(())
    }

    /// Brings the rows in, up to where they can be read again. Rows that go without replacement go first: one that comes may
    /// need a unique value that one of them has.
    ///
    /// # Errors
    /// `Data` for staged rows without a key or with a key twice.
    fn bring_in(&self, incoming: &Incoming<'_>) -> Result<Brought>;

    /// Makes them the table's rows, if `bring_in` did not yet, and takes helping tables away.
    fn finish(&self, _incoming: &Incoming<'_>, _brought: &Brought) -> Result<()> {
        Ok(())
    }

    /// Takes away what `prepare` made, after the transaction is over.
    fn clean_up(&self, _incoming: &Incoming<'_>) -> Result<()> {
        Ok(())
    }

    /// Takes away what [`prepare`](Self::prepare) made for one of `runs`, which are over: they were cut off before
    /// [`clean_up`](Self::clean_up).
    fn sweep(&self, _session: &Session, _alias: &str, _runs: &[RunId]) -> Result<()> {
        Ok(())
    }

    /// The statements of a commit, for a plan. `file` stands for the staged files.
    fn shown(
        &self,
        alias: &str,
        table: &TableName,
        columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String>;
}
