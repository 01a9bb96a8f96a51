//! Plans, and what people see of them.

mod carried;
mod chosen;
mod cut;
mod levels;
mod paced;
mod shown;

use std::time::Duration;

use jiff::Timestamp;
use pintail_lake::connector::{OldestTransaction, ReadPoint, SourceColumn, TableDescription};
use pintail_lake::{Catalogue, FoundTable, LakeLocation, LedgerEntry};
use pintail_model::{Checksum, CursorType, CursorValue, LogicalType, PartitionKey, RunId, TableName};
use pintail_sync::plan::{Asked, Bounds, Candidates, Facts, Versions, make};
use pintail_sync::relation::Layout;
use pintail_sync::shape::Shape;
use pintail_sync::spec::{DeltaSpec, PipelineSpec};
use pintail_sync::state::History;
use pintail_sync::{Error, PipelinePlan, columns};

use crate::shop::spec;
use crate::source::FileSource;

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn cursor(text: &str) -> CursorValue {
    CursorValue::parse(CursorType::TimestampTz, text).expect("a cursor")
}

fn connector() -> FileSource {
    FileSource::new(std::path::Path::new("shop.duckdb"))
}

fn lake() -> LakeLocation {
    LakeLocation {
        catalogue: Catalogue::Sqlite("lake.sqlite".into()),
        data_path: "lake".into(),
        bucket: None,
    }
}

fn column(name: &str, source_type: &str, logical_type: Option<LogicalType>) -> SourceColumn {
    SourceColumn {
        name: name.to_owned(),
        source_type: source_type.to_owned(),
        logical_type,
        carrier: None,
        origin: None,
        nullable: false,
        identity: None,
        histogram: Vec::new(),
    }
}

/// A million orders of two weeks.
fn table() -> TableDescription {
    let micros = |text: &str| instant(text).as_microsecond();
    TableDescription {
        name: TableName::new("shop", "orders"),
        identity: Some("7".to_owned()),
        columns: vec![
            SourceColumn {
                histogram: vec![1, 1_000_000],
                ..column("id", "bigint", Some(LogicalType::Int64))
            },
            SourceColumn {
                nullable: true,
                ..column("item", "text", Some(LogicalType::Text))
            },
            SourceColumn {
                histogram: vec![micros("2024-01-01T00:00:00Z"), micros("2024-01-15T00:00:00Z")],
                ..column("updated_at", "timestamptz", Some(LogicalType::TimestampTz))
            },
        ],
        key: vec!["id".to_owned()],
        rows: Some(1_000_000),
        pages: Some(10_000),
        bytes: Some(10_000 * 8192),
        storage_identity: Some("16384".to_owned()),
        indexed: vec!["updated_at".to_owned()],
    }
}

/// A spec, a table and what earlier runs left, to be changed by each test.
struct Setting {
    spec: PipelineSpec,
    asked: Asked,
    table: TableDescription,
    /// Tables that are joined to it.
    joined: Vec<TableDescription>,
    /// Where the source would cut it.
    bounds: Bounds,
    oldest: OldestTransaction,
    ledger: Option<CursorValue>,
    /// Changes the ledger's newest entry.
    entry: fn(&mut LedgerEntry),
    found: Option<FoundTable>,
    versions: Option<Versions>,
    history: History,
    committed: Vec<PartitionKey>,
    connector: FileSource,
}

impl Setting {
    fn new() -> Self {
        let delta = DeltaSpec {
            column: Some("updated_at".to_owned()),
            lookback: Duration::ZERO,
            ..DeltaSpec::default()
        };
        Self {
            spec: spec(delta),
            asked: Asked {
                parity: true,
                allow_deletes: false,
                task: pintail_sync::plan::Task::Sync,
                ..Asked::default()
            },
            table: table(),
            joined: Vec::new(),
            bounds: Bounds::default(),
            oldest: OldestTransaction::None,
            ledger: None,
            entry: |_| {},
            found: None,
            versions: None,
            history: History::default(),
            committed: Vec::new(),
            connector: connector(),
        }
    }

    /// After a full load that saw everything before noon.
    fn loaded() -> Self {
        let mut setting = Self::new();
        setting.ledger = Some(cursor("2024-01-15 12:00:00+00"));
        setting.found = Some(FoundTable {
            table_id: 3,
            rows: 1_000_000,
            fits: true,
        });
        setting
    }

    fn make(&self) -> Result<PipelinePlan, Error> {
        let candidates = Candidates::of(&self.spec, &self.asked)?;
        let layout = Layout::new(&self.spec, self.table.clone(), self.joined.clone());
        let read = columns::resolve(&self.spec, &layout, &self.connector, &lake())?;
        let shape = Shape::new(&self.spec, &layout.table, read, candidates.delta_spec());
        let now = instant("2024-01-15T14:00:00Z");
        let oldest = self.oldest.clone();
        let facts = Facts {
            now,
            source_address: "file:shop".to_owned(),
            source_identity: "file:shop shop.orders #7".to_owned(),
            capabilities: self
                .connector
                .script
                .lock()
                .expect("no holder panics")
                .capabilities,
            relation: layout.relation,
            main: layout.main,
            kept: None,
            hidden: None,
            found_empty: false,
            adds_mark: false,
            bounds: self.bounds.clone(),
            table: layout.table,
            read_point: shape.followed().map(|_| ReadPoint {
                now,
                zone_offset_micros: 0,
                time_zone: Some("UTC".to_owned()),
                oldest,
                cursor_max: Some(1_000_000),
                seen_at: now,
            }),
            shape,
            noun: "lake",
            destination_address: lake().address(),
            found: self.found.clone(),
            ledger: self.ledger.map(|watermark| {
                let mut entry = LedgerEntry {
                    pipeline: "orders".to_owned(),
                    strategy: "everything".to_owned(),
                    run: RunId::from_stored("20240115_120000_000001"),
                    key: PartitionKey::from_stored("orders/20240115_120000_000001/all"),
                    rows: 1_000_000,
                    checksum: Checksum::default(),
                    source: "file:shop shop.orders #7".to_owned(),
                    cursor: Some("updated_at".to_owned()),
                    watermark: Some(watermark),
                };
                (self.entry)(&mut entry);
                entry
            }),
            versions: self.versions.clone(),
            history: self.history.clone(),
            committed: self.committed.clone(),
        };
        make(
            &self.spec,
            &self.asked,
            &candidates,
            &facts,
            &self.connector,
            &lake(),
        )
    }

    fn plan(&self) -> PipelinePlan {
        self.make().unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(&self) -> Error {
        self.make().expect_err("a refusal")
    }

    fn chosen(&self) -> (String, String) {
        let plan = self.plan();
        (plan.strategy, plan.reason)
    }
}

fn ids(plan: &PipelinePlan) -> Vec<&str> {
    plan.partitions
        .iter()
        .map(|partition| partition.id.as_str())
        .collect()
}
