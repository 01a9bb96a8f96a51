//! A table of orders that commits go to, through a destination in an engine of its own.

use std::path::Path;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{
    Access, Basis, Call, Change, CommitOutcome, CommitPart, CommitRequest, Destination, DestinationPlace,
    Engine, EngineSettings, LedgerEntry, Result, StagedFile, quote,
};
use pintail_model::{Checksum, Column, LogicalType, PartitionKey, RunId, TableName};
use pintail_testkit::S3Bucket;

/// A destination in an engine of its own.
pub(crate) struct Shop {
    pub(crate) place: Box<dyn DestinationPlace>,
    pub(crate) attached: Box<dyn Destination>,
}

pub(crate) fn open(address: &str) -> Shop {
    open_in(address, Path::new("/"))
}

/// One that stages its files in a folder, if it is a database.
pub(crate) fn open_in(address: &str, stage: &Path) -> Shop {
    let location = Location::parse(address, Path::new("/")).unwrap();
    let place = registry::destination(&location.datastore, stage).unwrap();
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let attached = place.attach(&engine, Access::ReadWrite).unwrap();
    Shop { place, attached }
}

pub(crate) fn in_bucket(bucket: &S3Bucket) -> String {
    format!("{}?{}", bucket.url("out/"), bucket.parameters(""))
}

pub(crate) fn orders() -> TableName {
    TableName::new("sales", "orders")
}

pub(crate) fn columns() -> Vec<Column> {
    ["id", "version"]
        .into_iter()
        .map(|name| Column {
            name: name.to_owned(),
            logical_type: LogicalType::Int64,
            nullable: true,
            origin: None,
        })
        .collect()
}

pub(crate) fn upsert() -> Change {
    Change::Upsert {
        key: vec!["id".to_owned()],
        newer: Some("version".to_owned()),
    }
}

impl Shop {
    /// Stages ids `rows` of one version.
    pub(crate) fn stage(
        &self,
        run: &str,
        partition: &str,
        rows: std::ops::Range<i64>,
        version: i64,
    ) -> CommitPart {
        let run = RunId::from_stored(run);
        let path = self.attached.stage(&orders(), &run).unwrap().file(partition, 1);
        let sql = format!(
            "copy (select i::bigint as id, {version}::bigint as version from range({}, {}) as r(i)) to {} (format parquet)",
            rows.start,
            rows.end,
            quote::literal(&path.to_string_lossy())
        );
        let session = self.attached.session().unwrap();
        let count = session.execute(Call::new("stage"), &sql).unwrap();
        let bytes = self.attached.secure(&path).unwrap();
        CommitPart {
            entry: LedgerEntry {
                pipeline: "orders".to_owned(),
                strategy: "test".to_owned(),
                run: run.clone(),
                key: PartitionKey::new("orders", &run, partition),
                rows: count,
                checksum: Checksum::default(),
                source: "test".to_owned(),
                cursor: None,
                watermark: None,
            },
            files: vec![StagedFile {
                path,
                rows: count,
                bytes,
            }],
        }
    }

    pub(crate) fn try_commit(&self, change: Change, parts: Vec<CommitPart>) -> Result<CommitOutcome> {
        self.attached.commit(&CommitRequest {
            gone: Vec::new(),
            basis: None,
            table: &orders(),
            columns: &columns(),
            change,
            parts,
            author: "test",
            message: "a test".to_owned(),
            compare: None,
            key: &[],
        })
    }

    /// Brings rows in by their ids, if `newest` is the newest entry of the ledger.
    pub(crate) fn commit_on(
        &self,
        newest: Option<&PartitionKey>,
        parts: Vec<CommitPart>,
    ) -> Result<CommitOutcome> {
        let key = ["id".to_owned()];
        self.attached.commit(&CommitRequest {
            gone: Vec::new(),
            basis: Some(Basis {
                newest: newest.cloned(),
            }),
            table: &orders(),
            columns: &columns(),
            change: Change::Upsert {
                key: key.to_vec(),
                newer: None,
            },
            parts,
            author: "test",
            message: "a test".to_owned(),
            compare: None,
            key: &key,
        })
    }

    /// Brings rows in, and takes those away that have a key of the files `gone`.
    #[track_caller]
    pub(crate) fn commit_without(&self, gone: Vec<StagedFile>, parts: Vec<CommitPart>) -> CommitOutcome {
        let request = CommitRequest {
            gone,
            basis: None,
            table: &orders(),
            columns: &columns(),
            change: upsert(),
            parts,
            author: "test",
            message: "a test".to_owned(),
            compare: None,
            key: &[],
        };
        self.attached.commit(&request).unwrap()
    }

    #[track_caller]
    pub(crate) fn commit(&self, change: Change, parts: Vec<CommitPart>) -> CommitOutcome {
        self.try_commit(change, parts).unwrap()
    }

    /// Rows, different ids, sum of versions.
    pub(crate) fn contents(&self) -> (i64, i64, i64) {
        let session = self.attached.session().unwrap();
        self.attached
            .table(&session, &orders(), &columns())
            .unwrap()
            .unwrap();
        let rows = self.place.rows(&orders(), &columns(), None);
        let sql = format!("select count(*), count(distinct id), sum(version)::bigint from {rows}");
        let found = session.query(Call::new("read"), &sql).unwrap();
        let number = |index| found[0].integer(index).unwrap_or(0);
        (number(0), number(1), number(2))
    }
}
