//! Databases as destinations: staged Parquet files become rows of a table, exactly once.
//!
//! ```text
//! stage (local folder) ─▶ prepare ─▶ begin ─▶ lock ─▶ read ledger ─▶ bring in ─▶ compare ─▶ ledger rows ─▶ COMMIT
//!                                      ▲                                                         │ error
//!                                      └────────── absent ◀── ask the ledger, fresh session ◀────┘
//! ```
//!
//! Rows and the entry of the ledger are in one transaction of the database. What a lake proves with versions, that what was
//! committed is what was read, a database proves before: the rows are read again in the transaction that commits them.
//!
//! How a system takes rows is the business of its [`DatabaseWriter`].

mod commit;
pub mod ledger;
mod stage;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use pintail_model::{Column, ErrorKind, NativeType, PartitionKey, RunId, TableName};

pub use self::writer::{Brought, DatabaseWriter, Incoming};
use crate::commit::{Change, CommitOutcome, CommitRequest};
use crate::connector::{ColumnRead, ScanRequest, SourceColumn, TableDescription};
use crate::destination::{Destination, DestinationPlace, FoundTable};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extension::Extension;
use crate::lake::{Access, StageFolder};
use crate::ledger::LedgerEntry;
use crate::quote;
use crate::session::{Call, Session};
use crate::sweep::{SweepPolicy, Swept};

/// The name under which a database is attached to be written to.
pub const ALIAS: &str = "destination";

/// A database that is to be written to.
#[derive(Clone)]
pub struct DatabasePlace {
    writer: Arc<dyn DatabaseWriter>,
    /// The local folder below which runs stage their files.
    stage: PathBuf,
}

impl DatabasePlace {
    /// The database that `writer` writes to; files are staged below `stage`, a local folder.
    #[must_use]
    pub fn new(writer: Arc<dyn DatabaseWriter>, stage: PathBuf) -> Self {
        Self { writer, stage }
    }

    /// The scan that reads `columns` of a table again. `found` has the types that the columns really have.
    fn scan(&self, table: &TableName, columns: &[Column], found: Option<&TableDescription>) -> String {
        let reads = columns.iter().map(|column| {
            let described = found.and_then(|table| table.column(&column.name));
            let logical_type = self.writer.read_as(column.logical_type);
            ColumnRead {
                source: described.cloned().unwrap_or_else(|| self.made(column)),
                column: Column {
                    logical_type,
                    ..column.clone()
                },
            }
        });
        let request = ScanRequest {
            relation: table.into(),
            columns: reads.collect(),
            range: pintail_model::Range::Whole,
        };
        // What would be in doubt there is compared with what was staged, about which no doubt is left.
        let reader = self.writer.reader();
        let doubtful = reader.doubtful_scan(ALIAS, &request);
        let scan = doubtful.map_or_else(|| reader.scan(ALIAS, &request), |doubtful| doubtful.scan);
        let as_it_is = |column: &Column| self.writer.read_as(column.logical_type) == column.logical_type;
        if columns.iter().all(as_it_is) {
            return scan.sql;
        }
        let casts: Vec<String> = columns
            .iter()
            .map(|column| (quote::identifier(&column.name), column.logical_type))
            .map(|(name, logical_type)| format!("{name}::{logical_type} as {name}"))
            .collect();
        format!("select {} from ({}) as kept", casts.join(", "), scan.sql)
    }

    /// A column as it is when Pintail makes it.
    fn made(&self, column: &Column) -> SourceColumn {
        SourceColumn {
            name: column.name.clone(),
            source_type: self.writer.column_type(column),
            logical_type: Some(column.logical_type),
            carrier: None,
            origin: None,
            nullable: column.nullable,
            identity: None,
            histogram: Vec::new(),
        }
    }
}

impl DestinationPlace for DatabasePlace {
    fn noun(&self) -> &'static str {
        "database"
    }

    fn address(&self) -> String {
        self.writer.reader().address()
    }

    fn extensions(&self) -> Vec<Extension> {
        self.writer.attachment(ALIAS).extensions
    }

    fn stage_options(&self) -> &'static str {
        // Read once and thrown away: to pack values and to look for repeated ones costs more than it saves.
        ", compression uncompressed, dictionary_size_limit 1"
    }

    fn keeps(&self, origin: &NativeType) -> bool {
        self.writer.keeps(origin)
    }

    fn refuses(&self, column: &Column) -> Option<String> {
        self.writer.refuses(column)
    }

    fn refuses_name(&self, name: &str) -> Option<String> {
        self.writer.refuses_name(name)
    }

    fn tells_case_apart(&self) -> bool {
        self.writer.tells_case_apart()
    }

    fn adds_columns(&self) -> bool {
        true
    }

    fn tells_copies_apart(&self) -> bool {
        self.writer.tells_copies_apart()
    }

    fn rows(&self, table: &TableName, columns: &[Column], _version: Option<&str>) -> String {
        format!("({})", self.scan(&self.writer.resolve(table), columns, None))
    }

    fn shown_commit(
        &self,
        table: &TableName,
        columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String> {
        self.writer
            .shown(ALIAS, &self.writer.resolve(table), columns, change, file)
    }

    fn shown_stage(&self, _table: &TableName, run: &str) -> PathBuf {
        format!("<stage>/{run}").into()
    }

    fn is_there(&self) -> bool {
        self.writer.exists()
    }

    fn attach(&self, engine: &Engine, access: Access) -> Result<Box<dyn Destination>> {
        let address = self.address();
        if access == Access::ReadOnly && !self.writer.exists() {
            return Err(Error::refused(
                ErrorKind::NotFound,
                format!("{address} does not exist"),
                "The first run makes it.",
            ));
        }
        let attachment = match access {
            Access::ReadOnly => self.writer.reader().attachment(ALIAS),
            Access::ReadWrite => self.writer.attachment(ALIAS),
        };
        engine
            .attach(&format!("attach destination {address}"), &attachment)
            .map_err(|error| self.writer.reader().explain(error))?;
        Ok(Box::new(Database {
            engine: engine.clone(),
            place: self.clone(),
            ready: OnceLock::new(),
        }))
    }
}

/// A database that is attached to an engine.
pub struct Database {
    engine: Engine,
    place: DatabasePlace,
    /// The ledger is there.
    ready: OnceLock<()>,
}

impl Database {
    fn writer(&self) -> &dyn DatabaseWriter {
        self.place.writer.as_ref()
    }

    fn place(&self) -> &DatabasePlace {
        &self.place
    }

    fn describe(&self, session: &Session, table: &TableName) -> Result<Option<TableDescription>> {
        match self.writer().reader().describe(session, ALIAS, table) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the table takes rows of `columns` as it is: it has all of them, and any other can be left out.
    fn fits(&self, found: &TableDescription, columns: &[Column]) -> bool {
        columns.iter().all(|wanted| {
            let own = found.column(&wanted.name);
            own.is_some_and(|own| self.writer().takes(own, wanted))
        })
    }

    /// Makes the ledger where it is missing, once for this attachment.
    fn make_ready(&self) -> Result<()> {
        if self.ready.get().is_none() {
            self.writer().install_ledger(&self.engine.session()?, ALIAS)?;
            let _ = self.ready.set(());
        }
        Ok(())
    }
}

impl Destination for Database {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn table(&self, session: &Session, name: &TableName, columns: &[Column]) -> Result<Option<FoundTable>> {
        let found = self.describe(session, &self.writer().resolve(name))?;
        Ok(found.map(|found| FoundTable {
            table_id: table_id(&found),
            rows: found.rows.unwrap_or(0),
            fits: self.fits(&found, columns),
        }))
    }

    fn has_rows(&self, session: &Session, name: &TableName) -> Result<bool> {
        let sql = self.writer().first_row(ALIAS, &self.writer().resolve(name));
        // A database may answer by the connection of a transaction alone.
        session.begin()?;
        let rows = session.query(Call::new("look whether the table has rows"), &sql);
        session.rollback();
        Ok(!rows?.is_empty())
    }

    fn add_column(&self, session: &Session, table: &TableName, column: &Column) -> Result<()> {
        self.writer()
            .add_column(session, ALIAS, &self.writer().resolve(table), column)
    }

    fn table_id(&self, session: &Session, name: &TableName) -> Result<Option<i64>> {
        let found = self.describe(session, &self.writer().resolve(name))?;
        Ok(found.as_ref().map(table_id))
    }

    fn version(&self, _session: &Session) -> Result<Option<i64>> {
        Ok(None)
    }

    fn stage(&self, table: &TableName, run: &RunId) -> Result<StageFolder> {
        stage::make(self, table, run)
    }

    fn committed(&self, session: &Session, keys: &[PartitionKey]) -> Result<Vec<LedgerEntry>> {
        ledger::committed(self, session, keys)
    }

    fn newest(&self, session: &Session, table: &TableName) -> Result<Option<LedgerEntry>> {
        ledger::newest(self, session, table)
    }

    fn commit(&self, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
        commit::commit(self, request)
    }

    fn sweep(&self, table: &TableName, policy: &SweepPolicy) -> Result<Swept> {
        // Helping tables first: once no staged file tells of a run, nobody asks for it again.
        if self.writer().exists() {
            self.writer()
                .sweep(&self.engine.session()?, ALIAS, &policy.own_runs)?;
        }
        stage::sweep(self, table, policy)
    }
}

/// A number for what identifies a table beyond its name.
fn table_id(found: &TableDescription) -> i64 {
    let identity = found.identity.as_deref().unwrap_or_default();
    // Object ids are numbers in most systems; anything else gets a number of its own.
    identity.parse().unwrap_or_else(|_| {
        let word = pintail_model::checksum::bytes_word(identity.as_bytes());
        i64::try_from(word >> 1).expect("63 bits fit")
    })
}
