//! Loads of tables of any name and shape.

use pintail_lake::{
    Call, Change, CommitOutcome, CommitPart, CommitRequest, Lake, LedgerEntry, Result, StagedFile, quote,
};
use pintail_model::{Checksum, Column, LogicalType, PartitionKey, RunId, TableName};

use crate::lakes::shown;

/// A table that is loaded in full and changed.
pub(crate) struct Loads<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) table: TableName,
    pub(crate) columns: Vec<Column>,
}

impl<'a> Loads<'a> {
    pub(crate) fn new(lake: &'a Lake, table: TableName, columns: Vec<Column>) -> Self {
        Self { lake, table, columns }
    }

    /// Stages what `select` yields.
    pub(crate) fn stage(&self, run: &str, select: &str) -> CommitPart {
        let run = RunId::from_stored(run);
        let session = self.lake.session().expect("a session");
        let path = self.lake.stage(&self.table, &run).expect("a stage").file("a", 1);
        let sql = format!(
            "copy ({select}) to {} (format parquet)",
            quote::literal(&path.to_string_lossy())
        );
        let rows = session
            .execute(Call::new("stage"), &sql)
            .unwrap_or_else(|error| shown(&error));
        let bytes = std::fs::metadata(&path).expect("a staged file").len();
        CommitPart {
            entry: LedgerEntry {
                pipeline: format!("loads of {}", self.table),
                strategy: "test".to_owned(),
                key: PartitionKey::from_stored(format!("{}/a", run.as_str())),
                run,
                rows,
                checksum: Checksum {
                    rows,
                    sum: 1,
                    mixed: 2,
                },
                source: "test".to_owned(),
                cursor: None,
                watermark: None,
            },
            files: vec![StagedFile { path, rows, bytes }],
        }
    }

    pub(crate) fn try_commit(&self, change: Change, part: CommitPart) -> Result<CommitOutcome> {
        self.lake.commit(&CommitRequest {
            gone: Vec::new(),
            basis: None,
            table: &self.table,
            columns: &self.columns,
            change,
            parts: vec![part],
            author: "it's a \"test\" \\",
            message: "it's a \"test\" \\".to_owned(),
            compare: None,
            key: &[],
        })
    }

    pub(crate) fn replace(&self, run: &str, select: &str) -> CommitOutcome {
        self.try_commit(Change::ReplaceAll, self.stage(run, select))
            .unwrap_or_else(|error| shown(&error))
    }

    pub(crate) fn upsert(&self, run: &str, select: &str, key: &[&str], newer: Option<&str>) -> CommitOutcome {
        let change = Change::Upsert {
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            newer: newer.map(str::to_owned),
        };
        self.try_commit(change, self.stage(run, select))
            .unwrap_or_else(|error| shown(&error))
    }

    /// All rows as text, in order.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let session = self.lake.session().expect("a session");
        let sql = format!("from {} order by all", self.lake.qualified(&self.table));
        let table = session.table(Call::new("read"), &sql);
        let text = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
        table
            .unwrap_or_else(|error| shown(&error))
            .rows
            .into_iter()
            .map(|row| row.into_iter().map(text).collect())
            .collect()
    }
}

pub(crate) fn column(name: &str, logical_type: LogicalType) -> Column {
    Column {
        name: name.to_owned(),
        logical_type,
        nullable: true,
        origin: None,
    }
}
