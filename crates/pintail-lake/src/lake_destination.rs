//! A lake as a destination.

use std::path::{Path, PathBuf};

use pintail_model::{Column, PartitionKey, RunId, TableName};

use crate::commit::{Change, CommitOutcome, CommitRequest};
use crate::destination::{Destination, DestinationPlace, FoundTable};
use crate::engine::Engine;
use crate::error::Result;
use crate::extension::Extension;
use crate::lake::{ALIAS, Access, Lake, StageFolder, column_definitions};
use crate::ledger::LedgerEntry;
use crate::location::{Catalogue, LakeLocation};
use crate::metadata;
use crate::quote;
use crate::session::{Call, Session};
use crate::sweep::{SweepPolicy, Swept};

impl DestinationPlace for LakeLocation {
    fn noun(&self) -> &'static str {
        "lake"
    }

    fn address(&self) -> String {
        Self::address(self)
    }

    fn extensions(&self) -> Vec<Extension> {
        Self::extensions(self)
    }

    fn is_there(&self) -> bool {
        match &self.catalogue {
            Catalogue::Sqlite(path) | Catalogue::DuckDb(path) => {
                let made = path.metadata().is_ok_and(|found| found.len() > 0);
                made && (self.bucket.is_some() || self.data_path.exists())
            }
            Catalogue::Postgres { .. } => false,
        }
    }

    fn ledger_stands_apart(&self) -> bool {
        true
    }

    fn adds_columns(&self) -> bool {
        true
    }

    fn tells_copies_apart(&self) -> bool {
        true
    }

    fn stage_options(&self) -> &'static str {
        // Read twice as fast as Snappy, DuckDB's own choice, and takes as much room.
        ", compression lz4_raw"
    }

    fn rows(&self, table: &TableName, columns: &[Column], version: Option<&str>) -> String {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let at = version.map_or_else(String::new, |version| format!(" at (version => {version})"));
        format!(
            "(select {} from {}{at})",
            quote::identifiers(&names),
            quote::table(ALIAS, table, "main")
        )
    }

    fn shown_commit(
        &self,
        table: &TableName,
        _columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String> {
        let qualified = quote::table(ALIAS, table, "main");
        let delete = match change {
            Change::Append => None,
            Change::ReplaceAll => Some(format!("delete from {qualified}")),
            Change::Exchange => Some(format!(
                "delete from {qualified} where rowid in (<rows that are gone>)"
            )),
            Change::Upsert { key, .. } => Some(format!(
                "delete from {qualified} as kept\nusing (select {} from {}) as staged\nwhere {}",
                quote::identifiers(key),
                quote::parquet([Path::new(file)]),
                quote::same_key(key)
            )),
        };
        let add = format!(
            "call ducklake_add_data_files('{ALIAS}', {}, [{}], schema => {}, hive_partitioning => false)",
            quote::literal(&table.table),
            quote::literal(file),
            quote::literal(table.schema_or("main"))
        );
        let around = |sql: &str| sql.to_owned();
        std::iter::once(around("begin transaction"))
            .chain(delete)
            .chain([add, around("insert into lake.pintail.ledger …"), around("commit")])
            .collect()
    }

    fn shown_stage(&self, table: &TableName, run: &str) -> PathBuf {
        format!("<data>/{}/{}/{run}", table.schema_or("main"), table.table).into()
    }

    fn attach(&self, engine: &Engine, access: Access) -> Result<Box<dyn Destination>> {
        Ok(Box::new(Lake::attach(engine, self, access)?))
    }
}

impl Destination for Lake {
    fn engine(&self) -> &Engine {
        Self::engine(self)
    }

    fn table(&self, session: &Session, name: &TableName, columns: &[Column]) -> Result<Option<FoundTable>> {
        let found = Self::table(self, session, name)?;
        Ok(found.map(|table| FoundTable {
            table_id: table.table_id,
            rows: table.rows,
            fits: table.matches(columns),
        }))
    }

    fn has_rows(&self, session: &Session, name: &TableName) -> Result<bool> {
        let sql = format!("select 1 from {} limit 1", self.qualified(name));
        let rows = session.query(Call::new("look whether the table has rows"), &sql)?;
        Ok(!rows.is_empty())
    }

    fn add_column(&self, session: &Session, table: &TableName, column: &Column) -> Result<()> {
        let label = format!("add column `{}` to table \"{table}\" of the lake", column.name);
        let sql = format!(
            "alter table {} add column {}",
            self.qualified(table),
            column_definitions(std::slice::from_ref(column))
        );
        session.batch(Call::new(&label).protected(), &sql)
    }

    fn table_id(&self, session: &Session, name: &TableName) -> Result<Option<i64>> {
        Self::table_id(self, session, name)
    }

    fn version(&self, session: &Session) -> Result<Option<i64>> {
        self.snapshot(session).map(Some)
    }

    fn rows_token(
        &self,
        session: &Session,
        table: &TableName,
        version: Option<i64>,
    ) -> Result<Option<String>> {
        let Some(table_id) = Self::table_id(self, session, table)? else {
            return Ok(None);
        };
        let newest = metadata::last_change(self, session, table_id, version)?;
        Ok(newest.map(|snapshot| format!("{table_id}@{snapshot}")))
    }

    fn repair(&self, session: &Session, table: &TableName) -> Result<u32> {
        Self::repair(self, session, table)
    }

    fn stage(&self, table: &TableName, run: &RunId) -> Result<StageFolder> {
        Self::stage(self, table, run)
    }

    fn secure(&self, staged: &Path) -> Result<u64> {
        self.depot().secure(staged)
    }

    fn staged_bytes(&self, staged: &Path) -> Result<Option<u64>> {
        self.depot().bytes(staged)
    }

    fn discard(&self, staged: &Path) {
        if let Err(error) = self.depot().remove(staged) {
            tracing::debug!(%error, "a staged file stays until the next sweep");
        }
    }

    fn committed(&self, session: &Session, keys: &[PartitionKey]) -> Result<Vec<LedgerEntry>> {
        self.ledger().committed(session, keys)
    }

    fn newest(&self, session: &Session, table: &TableName) -> Result<Option<LedgerEntry>> {
        self.ledger().newest(session, table)
    }

    fn commit(&self, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
        Self::commit(self, request)
    }

    fn sweep(&self, table: &TableName, policy: &SweepPolicy) -> Result<Swept> {
        Self::sweep(self, table, policy)
    }
}
