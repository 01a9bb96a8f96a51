//! Plans, and what people see of them.

use std::time::Duration;

use insta::assert_snapshot;
use jiff::Timestamp;
use pintail_lake::connector::{ColumnRead, OldestTransaction, ReadPoint, SourceColumn, TableDescription};
use pintail_lake::{LakeColumn, LakeTable, LedgerEntry};
use pintail_model::{
    Checksum, Column, CursorType, CursorValue, ErrorKind, LogicalType, PartitionKey, Range, RunId, TableName,
};
use pintail_sync::plan::{Asked, Candidates, Facts, make};
use pintail_sync::shape::Shape;
use pintail_sync::spec::{
    ColumnSource, ColumnSpec, DeclaredType, DeltaSpec, FullSpec, NullCursor, PartitionSpec, PipelineSpec,
    Role, StepUnit, StrategyKind, StrategySpec, Unbuilt,
};
use pintail_sync::state::{FrozenPartition, History, StoredWatermark, UnfinishedRun};
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

fn column(name: &str, source_type: &str, logical_type: Option<LogicalType>) -> SourceColumn {
    SourceColumn {
        name: name.to_owned(),
        source_type: source_type.to_owned(),
        logical_type,
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
    oldest: OldestTransaction,
    ledger: Option<CursorValue>,
    /// Changes the ledger's newest entry.
    entry: fn(&mut LedgerEntry),
    lake_table: Option<LakeTable>,
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
                ..Asked::default()
            },
            table: table(),
            oldest: OldestTransaction::None,
            ledger: None,
            entry: |_| {},
            lake_table: None,
            history: History::default(),
            committed: Vec::new(),
            connector: connector(),
        }
    }

    /// After a full load that saw everything before noon.
    fn loaded() -> Self {
        let mut setting = Self::new();
        setting.ledger = Some(cursor("2024-01-15 12:00:00+00"));
        setting.lake_table = Some(LakeTable {
            columns: table()
                .columns
                .iter()
                .map(|column| LakeColumn {
                    name: column.name.clone(),
                    sql_type: column.logical_type.expect("a type").to_string().to_uppercase(),
                    nullable: column.nullable,
                })
                .collect(),
            rows: 1_000_000,
            table_id: 3,
            folder: "/lake/main/orders".into(),
        });
        setting
    }

    fn make(&self) -> Result<PipelinePlan, Error> {
        let candidates = Candidates::of(&self.spec, &self.asked)?;
        let read = columns::resolve(&self.spec, &self.table, &self.connector)?;
        let shape = Shape::new(&self.spec, &self.table, read, candidates.delta_spec());
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
            table: self.table.clone(),
            read_point: shape.followed().map(|_| ReadPoint {
                now,
                zone_offset_micros: 0,
                time_zone: Some("UTC".to_owned()),
                oldest,
                cursor_max: Some(1_000_000),
                seen_at: now,
            }),
            shape,
            lake_address: "ducklake:sqlite:lake.sqlite?data_path=lake".to_owned(),
            lake_table: self.lake_table.clone(),
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
            history: self.history.clone(),
            committed: self.committed.clone(),
        };
        make(&self.spec, &self.asked, &candidates, &facts, &self.connector)
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

#[test]
fn a_full_load_shows_every_statement() {
    let mut setting = Setting::new();
    setting.asked.partitions = Some(2);
    assert_snapshot!(setting.plan(), @r#"
    plan of pipeline `orders`: full by strategy `everything`
      why          the table is not in the lake yet
      source       file:shop shop.orders, about 1,000,000 rows
      destination  ducklake:sqlite:lake.sqlite?data_path=lake orders
      columns      id bigint, item varchar, updated_at timestamp with time zone
      key          id
      watermark    2024-01-15 13:59:59.999000+00 when everything is in
      parity       checksums by id in steps of 4096

    partition 1 of 2: pages_0_5000
      reads pages 0..5000, about 500,000 rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where rowid >= 0 and rowid < 500000
          ) as source
          where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/pages_0_5000-1.parquet' (format parquet);

    partition 2 of 2: pages_5000_
      reads pages 5000.., about 500,000 rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where rowid >= 500000
          ) as source
          where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/pages_5000_-1.parquet' (format parquet);

      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where true;

    then one commit for all partitions
      lake, commit:
        begin transaction;
        delete from "lake"."main"."orders";
        call ducklake_add_data_files('lake', 'orders', ['<data>/main/orders/<run>/<partition>-1.parquet'], schema => 'main', hive_partitioning => false);
        insert into lake.pintail.ledger …;
        commit;
      lake, compare:
        select count(*)
        from (
          select "id", "item", "updated_at"
          from "lake"."main"."orders" at (version => …)
        ) as lake
        where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at");

    up to 2 partitions are read at once, under one snapshot of the source
    "#);
}

#[test]
fn a_delta_shows_every_statement() {
    let mut setting = Setting::loaded();
    setting.table.columns[2].nullable = true;
    setting.lake_table.as_mut().expect("a table").columns[2].nullable = true;
    setting.spec.strategies[1].kind = StrategyKind::Delta(DeltaSpec {
        column: Some("updated_at".to_owned()),
        null_cursor: NullCursor::Include,
        ..DeltaSpec::default()
    });
    assert_snapshot!(setting.plan(), @r#"
    plan of pipeline `orders`: delta by strategy `changes`
      why          the lake's ledger says how far the source was read
      source       file:shop shop.orders, about 1,000,000 rows
      destination  ducklake:sqlite:lake.sqlite?data_path=lake orders
      columns      id bigint, item varchar, updated_at timestamp with time zone
      key          id
      cursor       updated_at (timestamp_tz), read up to 2024-01-15 12:00:00.000000+00
      lookback     2024-01-15 11:59:58.000000+00, for rows that were stamped late
      watermark    2024-01-15 13:59:59.999000+00 when everything is in
      null cursors are read with every run
      not covered  rows that were deleted in the source
      parity       checksums by id in steps of 4096

    partition 1 of 3: updated_at_2024-01-15T11:59:58_2024-01-15T12:00:00
      reads updated_at 2024-01-15 11:59:58.000000+00..2024-01-15 12:00:00.000000+00, an unknown number of rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where "updated_at" >= '2024-01-15 11:59:58.000000+00'::timestamptz and "updated_at" < '2024-01-15 12:00:00.000000+00'::timestamptz
          ) as source
          where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_2024-01-15T11-59-58_2024-01-15T12-00-00-1.parquet' (format parquet);
      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where "updated_at" >= '2024-01-15 11:59:58.000000+00'::timestamptz and "updated_at" < '2024-01-15 12:00:00.000000+00'::timestamptz;
      engine, keep the rows that differ:
        copy (
          select "id", "item", "updated_at"
          from (
            select staged.*
            from read_parquet('<data>/main/orders/<run>/updated_at_2024-01-15T11-59-58_2024-01-15T12-00-00-1.parquet', hive_partitioning = false) as staged
            where not exists (
              select 1
              from "lake"."main"."orders" as kept
              where kept."id" = staged."id"
                and kept."item" is not distinct from staged."item"
                and kept."updated_at" is not distinct from staged."updated_at"
                and kept."updated_at" >= '2024-01-15 11:59:58.000000+00'::timestamptz
                and kept."updated_at" < '2024-01-15 12:00:00.000000+00'::timestamptz
            )
          ) as source
          where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_2024-01-15T11-59-58_2024-01-15T12-00-00-changed-1.parquet' (format parquet);

    partition 2 of 3: updated_at_2024-01-15T12:00:00_2024-01-15T13:59:59.999000
      reads updated_at 2024-01-15 12:00:00.000000+00..2024-01-15 13:59:59.999000+00, an unknown number of rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where "updated_at" >= '2024-01-15 12:00:00.000000+00'::timestamptz and "updated_at" < '2024-01-15 13:59:59.999000+00'::timestamptz
          ) as source
          where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_2024-01-15T12-00-00_2024-01-15T13-59-59-999000-1.parquet' (format parquet);
      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where "updated_at" >= '2024-01-15 12:00:00.000000+00'::timestamptz and "updated_at" < '2024-01-15 13:59:59.999000+00'::timestamptz;

    partition 3 of 3: updated_at_null
      reads updated_at is null, an unknown number of rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where "updated_at" is null
          ) as source
          where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_null-1.parquet' (format parquet);
      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where "updated_at" is null;
      engine, keep the rows that differ:
        copy (
          select "id", "item", "updated_at"
          from (
            select staged.*
            from read_parquet('<data>/main/orders/<run>/updated_at_null-1.parquet', hive_partitioning = false) as staged
            where not exists (
              select 1
              from "lake"."main"."orders" as kept
              where kept."id" = staged."id"
                and kept."item" is not distinct from staged."item"
                and kept."updated_at" is not distinct from staged."updated_at"
            )
          ) as source
          where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_null-changed-1.parquet' (format parquet);

    then one commit for each partition that has rows, in this order
      lake, commit:
        begin transaction;
        delete from "lake"."main"."orders" as kept
        using (select "id" from read_parquet('<data>/main/orders/<run>/<partition>-1.parquet', hive_partitioning = false)) as staged
        where kept."id" = staged."id";
        call ducklake_add_data_files('lake', 'orders', ['<data>/main/orders/<run>/<partition>-1.parquet'], schema => 'main', hive_partitioning => false);
        insert into lake.pintail.ledger …;
        commit;
      lake, compare:
        select count(*)
        from (
          select kept."id", kept."item", kept."updated_at"
          from "lake"."main"."orders" as kept at (version => …)
          semi join (select "id" from read_parquet('<data>/main/orders/<run>/<partition>-1.parquet', hive_partitioning = false)) as staged using ("id")
        ) as lake
        where pintail_tap(<n>, (greatest(least("id" // 4096, 244), 0))::bigint, "id", "item", "updated_at");

    up to 2 partitions are read at once, under one snapshot of the source
    "#);
}

#[test]
fn a_plan_without_work_says_so() {
    let mut setting = Setting::loaded();
    setting.ledger = Some(cursor("2024-01-15 14:00:00+00"));
    setting.asked.parity = false;
    assert_snapshot!(setting.plan(), @r"
    plan of pipeline `orders`: delta by strategy `changes`
      why          the lake's ledger says how far the source was read
      source       file:shop shop.orders, about 1,000,000 rows
      destination  ducklake:sqlite:lake.sqlite?data_path=lake orders
      columns      id bigint, item varchar, updated_at timestamp with time zone
      key          id
      cursor       updated_at (timestamp_tz), read up to 2024-01-15 14:00:00.000000+00
      not covered  rows that were deleted in the source
      parity       unproven: no comparison
      note         nothing to read: everything below 2024-01-15 14:00:00.000000+00 was read before

    nothing to read, nothing to commit
    ");
}

#[test]
fn a_plan_is_json_too() {
    let json = serde_json::to_value(Setting::loaded().plan()).expect("JSON");
    assert_eq!(json["kind"], "delta");
    assert_eq!(json["partitions"][0]["statements"][0]["side"], "engine");
    assert_eq!(json["columns"][0]["data_type"], "bigint");
    assert_eq!(json["watermark"], "2024-01-15 13:59:59.999000+00");
}

#[test]
fn the_choice_of_a_strategy_says_why() {
    let check = |change: fn(&mut Setting), expected: (&str, &str)| {
        let mut setting = Setting::loaded();
        change(&mut setting);
        let (strategy, reason) = setting.chosen();
        assert_eq!((strategy.as_str(), reason.as_str()), expected);
    };
    let stored = || StoredWatermark {
        value: cursor("2024-01-15 13:00:00+00"),
        column: "updated_at".to_owned(),
        strategy: "changes".to_owned(),
        last_key: Some(PartitionKey::from_stored("orders/20240115_120000_000001/all")),
        table_id: Some(3),
        source: "file:shop shop.orders #7".to_owned(),
    };
    assert_eq!(stored().table_id, Some(3));
    check(
        |_| {},
        ("changes", "the lake's ledger says how far the source was read"),
    );
    check(
        |setting| setting.lake_table = None,
        ("everything", "the table is not in the lake yet"),
    );
    check(
        |setting| setting.ledger = None,
        ("everything", "the lake has no watermark of this pipeline"),
    );
    check(
        |setting| setting.asked.strategy = Some("full".to_owned()),
        ("everything", "it was asked for"),
    );
    check(
        |setting| setting.asked.strategy = Some("delta".to_owned()),
        ("changes", "it was asked for"),
    );
    check(
        |setting| {
            setting.asked.strategy = Some("changes".to_owned());
            setting.ledger = None;
        },
        (
            "everything",
            "strategy `changes` has nothing to go on from: the lake has no watermark of this pipeline",
        ),
    );
    check(
        |setting| setting.spec.strategies[1].enabled = false,
        (
            "everything",
            "the pipeline has no other strategy that is enabled and built",
        ),
    );
    check(
        |setting| setting.table.columns[1].source_type = "varchar".to_owned(),
        ("changes", "the lake's ledger says how far the source was read"),
    );
    check(
        |setting| setting.table.columns[1].nullable = false,
        ("everything", "the columns differ from those of the lake's table"),
    );
}

#[test]
fn a_stored_watermark_counts_only_while_nobody_else_has_committed() {
    let check = |change: fn(&mut StoredWatermark), expected: Result<&str, &str>| {
        let mut setting = Setting::loaded();
        let mut stored = StoredWatermark {
            value: cursor("2024-01-15 13:00:00+00"),
            column: "updated_at".to_owned(),
            strategy: "changes".to_owned(),
            last_key: Some(PartitionKey::from_stored("orders/20240115_120000_000001/all")),
            table_id: Some(3),
            source: "file:shop shop.orders #7".to_owned(),
        };
        change(&mut stored);
        setting.history.watermark = Some(stored);
        let plan = setting.plan();
        match expected {
            Ok(low) => assert_eq!(plan.low, Some(cursor(low))),
            Err(reason) => assert_eq!((plan.low, plan.reason.as_str()), (None, reason)),
        }
    };
    check(|_| {}, Ok("2024-01-15 13:00:00+00"));
    check(|stored| stored.last_key = None, Ok("2024-01-15 12:00:00+00"));
    check(
        |stored| stored.table_id = Some(4),
        Err("the lake's table was made anew by somebody else"),
    );
}

#[test]
fn a_watermark_holds_for_what_it_was_read_from_and_for_nothing_else() {
    let check = |entry: fn(&mut LedgerEntry), reason: &str| {
        let mut setting = Setting::loaded();
        // Where the state knows the same entry, the entry counts all the same.
        for stored in [None, Some("2024-01-15 13:00:00+00")] {
            setting.history.watermark = stored.map(|value| StoredWatermark {
                value: cursor(value),
                column: "updated_at".to_owned(),
                strategy: "changes".to_owned(),
                last_key: Some(PartitionKey::from_stored("orders/20240115_120000_000001/all")),
                table_id: Some(3),
                source: "file:shop shop.orders #7".to_owned(),
            });
            setting.entry = entry;
            let plan = setting.plan();
            assert_eq!((plan.low, plan.reason.as_str()), (None, reason));
        }
    };
    check(
        |entry| entry.pipeline = "other".to_owned(),
        "pipeline `other` was the last to write to the lake's table",
    );
    check(
        |entry| entry.source = "file:elsewhere shop.orders #7".to_owned(),
        "the pipeline reads another table than before",
    );
    check(
        |entry| entry.source = "file:shop shop.orders #6".to_owned(),
        "the source's table was made anew, or another one took its name",
    );
    check(|entry| entry.watermark = None, "the last load set no watermark");
    check(
        |entry| entry.cursor = Some("id".to_owned()),
        "the cursor was `id` before",
    );
    check(
        |entry| entry.cursor = Some("updated_at #3".to_owned()),
        "the cursor `updated_at` was made anew in the source",
    );
}

#[test]
fn a_cursor_of_numbers_that_was_set_back_is_loaded_in_full() {
    let check = |watermark: i64, reason: &str| {
        let mut setting = Setting::loaded();
        setting.spec.strategies[1].kind = StrategyKind::Delta(DeltaSpec {
            column: Some("id".to_owned()),
            ..DeltaSpec::default()
        });
        setting.entry = |entry| entry.cursor = Some("id".to_owned());
        setting.ledger = Some(CursorValue::Integer(watermark));
        assert_eq!(setting.plan().reason, reason);
    };
    check(1_000_001, "the lake's ledger says how far the source was read");
    check(
        1_000_002,
        "the source's table was emptied or set back: everything below 1000002 was read before, and its largest `id` is 1000000",
    );
}

#[test]
fn a_changed_type_of_the_cursor_leads_to_a_full_load() {
    let mut setting = Setting::loaded();
    setting.ledger = Some(CursorValue::Timestamp(0));
    assert_eq!(
        setting.chosen(),
        (
            "everything".to_owned(),
            "the cursor `updated_at` was of type timestamp before, and is of type timestamp_tz now"
                .to_owned()
        )
    );
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let mut setting = Setting::new();
    setting
        .spec
        .strategies
        .push(StrategySpec::new("nightly", StrategyKind::Hash));
    setting.spec.unbuilt.push(Unbuilt {
        strategy: Some("nightly".to_owned()),
        what: "`hash` strategies".to_owned(),
        position: None,
    });
    setting.asked.strategy = Some("nightly".to_owned());
    assert_snapshot!(setting.error(), @"this release does not support `hash` strategies yet");
    setting.asked.strategy = None;
    assert_eq!(setting.chosen().0, "everything");
    setting.spec.unbuilt.push(Unbuilt {
        strategy: None,
        what: "`join`".to_owned(),
        position: None,
    });
    assert_snapshot!(setting.error(), @"this release does not support `join` yet");
    assert_eq!(setting.error().kind(), ErrorKind::Invalid);
}

#[test]
fn a_pipeline_without_a_strategy_to_choose_is_refused_by_name() {
    let mut setting = Setting::new();
    setting
        .spec
        .strategies
        .iter_mut()
        .for_each(|strategy| strategy.enabled = false);
    setting
        .spec
        .strategies
        .push(StrategySpec::new("nightly", StrategyKind::Hash));
    assert_snapshot!(setting.error(), @"pipeline `orders` has no strategy to choose: `everything` is not enabled, `changes` is not enabled, `nightly` is of type `hash`, which is not built yet");
    assert_eq!(setting.error().kind(), ErrorKind::Invalid);
    setting.asked.strategy = Some("everything".to_owned());
    assert_eq!(setting.chosen().0, "everything", "by hand it runs");
    setting.asked.strategy = None;
    setting.spec.strategies.clear();
    assert_eq!(setting.chosen().0, "full", "nothing was said of strategies");
}

#[test]
fn an_unknown_strategy_is_named_with_the_nearest() {
    let mut setting = Setting::new();
    setting.asked.strategy = Some("change".to_owned());
    let error = setting.error();
    assert_eq!(
        (error.kind(), error.hint().as_deref()),
        (ErrorKind::NotFound, Some("did you mean `changes`?"))
    );
}

#[test]
fn all_columns_that_cannot_be_carried_are_named_at_once() {
    let mut setting = Setting::new();
    setting.table.columns.push(column("total", "numeric", None));
    setting.table.columns.push(column("span", "interval", None));
    setting.table.columns.push(column("bag", "", None));
    let error = setting.error();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_snapshot!(error, @r#"cannot read table "shop.orders" as asked: column `total` is of type `numeric`, which has no lossless home; column `span` is of type `interval`, which has no lossless home; column `bag` has no declared type, so its values may be of any"#);
    assert_snapshot!(error.hint().expect("a hint"), @"In a pipeline file, choose for each such column in `column_map`: `data_type: text` keeps it exactly as the source writes it, `data_type: decimal` with `precision` and `scale` keeps exact numbers, or leave the column out.");

    let map = |source: &str, data_type| ColumnSpec {
        source: ColumnSource::Column(source.to_owned()),
        dest: source.to_owned(),
        roles: std::collections::BTreeSet::new(),
        data_type,
        length: None,
        nullable: None,
    };
    setting.spec.columns = vec![
        map("id", Some(DeclaredType::Uuid)),
        map("itme", None),
        map("total", Some(DeclaredType::Decimal(None))),
    ];
    let error = setting.error();
    assert_snapshot!(error, @r#"cannot read table "shop.orders" as asked: column `id` is of type `bigint`, which cannot be read as `uuid` without loss; column `itme` does not exist; column `total` is declared `decimal` without digits, and `numeric` does not name them"#);
    assert_snapshot!(error.hint().expect("a hint"), @r"
    In a pipeline file, choose for each such column in `column_map`: `data_type: text` keeps it exactly as the source writes it, `data_type: decimal` with `precision` and `scale` keeps exact numbers, or leave the column out.
    `itme`: did you mean `item`?
    Add `precision` and `scale` to the column in `column_map`, or declare it `text`.
    ");
}

#[test]
fn declared_words_keep_the_width_of_the_source() {
    let check = |source: LogicalType, declared: DeclaredType, expected: LogicalType| {
        let mut setting = Setting::new();
        setting.table.columns.push(column("c", "c", Some(source)));
        setting.spec.columns = ["id", "c"]
            .map(|name| ColumnSpec {
                source: ColumnSource::Column(name.to_owned()),
                dest: name.to_owned(),
                roles: std::collections::BTreeSet::from([Role::UniqueColumn]),
                data_type: (name == "c").then_some(declared),
                length: None,
                nullable: None,
            })
            .into();
        setting.spec.strategies.truncate(1);
        let columns: Vec<ColumnRead> = setting.plan().shape.columns;
        let expected = Column {
            name: "c".to_owned(),
            logical_type: expected,
            nullable: false,
        };
        assert_eq!(columns[1].column, expected);
    };
    check(LogicalType::Int16, DeclaredType::Integer, LogicalType::Int16);
    check(LogicalType::Int64, DeclaredType::Integer, LogicalType::Int64);
    check(LogicalType::Float32, DeclaredType::Float, LogicalType::Float32);
    check(
        LogicalType::TimestampTz,
        DeclaredType::Timestamp,
        LogicalType::TimestampTz,
    );
    check(
        LogicalType::Timestamp,
        DeclaredType::Timestamp,
        LogicalType::Timestamp,
    );
    let decimal = LogicalType::Decimal {
        precision: 12,
        scale: 2,
    };
    check(decimal, DeclaredType::Decimal(None), decimal);
    check(LogicalType::Uuid, DeclaredType::Text, LogicalType::Text);
}

#[test]
fn large_tables_are_cut_by_their_pages_and_small_ones_are_not() {
    let mut setting = Setting::new();
    assert_eq!(ids(&setting.plan()), ["all"]);
    setting.table.bytes = Some(5 << 30);
    assert_eq!(
        ids(&setting.plan()),
        [
            "pages_0_2000",
            "pages_2000_4000",
            "pages_4000_6000",
            "pages_6000_8000",
            "pages_8000_"
        ]
    );
    assert_eq!(setting.plan().partitions[0].expected_rows, Some(200_000));
    setting.spec.partition_step = Some(250_000);
    assert_eq!(
        setting.plan().notes,
        ["`partition_step` is not used: ranges of the source's pages cost less than ranges of a key"]
    );
    setting.spec.partition_step = None;
    setting.table.pages = None;
    assert_eq!(
        ids(&setting.plan()),
        [
            "id__200001",
            "id_200001_400001",
            "id_400001_600000",
            "id_600000_800000",
            "id_800000_"
        ]
    );
    setting.spec.partition_step = Some(250_000);
    assert_eq!(
        ids(&setting.plan()),
        [
            "id__250000",
            "id_250000_500000",
            "id_500000_750000",
            "id_750000_1000000",
            "id_1000000_"
        ]
    );
    let mut small = Setting::new();
    small.spec.partition_step = Some(250_000);
    let plan = small.plan();
    assert_eq!(ids(&plan), ["all"]);
    assert_eq!(
        plan.notes,
        ["`partition_step` is not used: the table is small, and is read as one partition"]
    );
    setting.table.columns[0].histogram.clear();
    let plan = setting.plan();
    assert_eq!(ids(&plan), ["all"]);
    assert!(
        plan.notes[0].starts_with("it is read as one partition"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn deltas_are_cut_by_expected_rows_and_by_declared_steps() {
    let mut setting = Setting::loaded();
    assert_eq!(
        ids(&setting.plan()),
        ["updated_at_2024-01-15T12:00:00_2024-01-15T13:59:59.999000"]
    );
    setting.ledger = Some(cursor("2024-01-08 00:00:00+00"));
    let plan = setting.plan();
    assert_eq!(ids(&plan).len(), 2);
    assert_eq!(plan.partitions[0].expected_rows, Some(250_000));
    setting.ledger = Some(cursor("2024-01-14 00:00:00+00"));
    setting.spec.strategies[1].primary_partitions = vec![PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(2),
        step_unit: StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    assert_eq!(setting.plan().partitions.len(), 19);
    setting
        .connector
        .script
        .lock()
        .expect("no holder panics")
        .capabilities
        .range_pushdown = false;
    let plan = setting.plan();
    assert_eq!(plan.partitions.len(), 7);
    assert!(
        plan.notes[0].starts_with("19 ranges of the declared step"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn a_copy_follows_a_column_that_looks_like_the_time_of_the_last_change() {
    let mut setting = Setting::loaded();
    setting.spec.strategies[1].kind = StrategyKind::Delta(DeltaSpec::default());
    let plan = setting.plan();
    assert_eq!(
        plan.shape
            .followed()
            .map(|cursor| (cursor.source.as_str(), cursor.chosen)),
        Some(("updated_at", true))
    );
    setting.table.columns[2].nullable = true;
    assert_eq!(
        setting.chosen().1,
        "the table has no NOT NULL timestamp with a name like `updated_at` that a delta could follow"
    );
    setting.table.key.clear();
    assert_eq!(
        setting.chosen().1,
        "the table has no primary key, so changed rows cannot be recognised"
    );
}

#[test]
fn a_delta_that_was_configured_and_cannot_work_is_an_error() {
    let mut setting = Setting::loaded();
    setting.table.key.clear();
    let error = setting.error();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_snapshot!(error, @r#"strategy `changes` cannot follow table "shop.orders": it has no primary key, and no column with the role `unique_column`"#);
    setting.asked.strategy = Some("full".to_owned());
    assert_eq!(setting.plan().watermark, None);
}

#[test]
fn an_unfinished_delta_goes_on_as_it_was_frozen() {
    let mut setting = Setting::loaded();
    let fresh = setting.plan();
    let frozen = |hour: u32, empty| FrozenPartition {
        id: format!("updated_at_2024-01-15T{hour}:00:00_2024-01-15T{}:00:00", hour + 1),
        range: Range::Cursor {
            column: "updated_at".to_owned(),
            low: Some(cursor(&format!("2024-01-15 {hour}:00:00+00"))),
            high: cursor(&format!("2024-01-15 {}:00:00+00", hour + 1)),
        },
        expected_rows: None,
        watermark: Some(cursor(&format!("2024-01-15 {}:00:00+00", hour + 1))),
        changed_only: false,
        attempts: 1,
        empty,
        compared: false,
        staged: None,
    };
    let run = RunId::from_stored("20240115_130000_000002");
    let unfinished = UnfinishedRun {
        run: run.clone(),
        strategy: "changes".to_owned(),
        kind: "delta".to_owned(),
        plan_hash: fresh.hash.clone(),
        started_at: instant("2024-01-15T13:00:00Z"),
        bound: Some(cursor("2024-01-15 13:00:00+00")),
        partitions: vec![frozen(10, true), frozen(11, false), frozen(12, false)],
    };
    setting.committed = vec![PartitionKey::new("orders", &run, &unfinished.partitions[1].id)];
    setting.history.unfinished = Some(unfinished.clone());
    let plan = setting.plan();
    assert_eq!(plan.resumes, Some(run));
    assert_eq!(
        plan.partitions
            .iter()
            .map(|partition| partition.done)
            .collect::<Vec<_>>(),
        [true, true, false]
    );
    assert_eq!(plan.partitions[2].id, unfinished.partitions[2].id);
    assert_eq!(plan.watermark, unfinished.bound);

    setting.history.unfinished = Some(UnfinishedRun {
        plan_hash: "other".to_owned(),
        ..unfinished
    });
    let plan = setting.plan();
    assert_eq!((&plan.resumes, ids(&plan).len()), (&None, 1));
    assert_eq!(
        plan.notes,
        ["run 20240115_130000_000002, which did not end, is left behind: this run does other work"]
    );
}

#[test]
fn a_delta_with_other_settings_is_not_the_frozen_one() {
    let mut setting = Setting::loaded();
    let frozen = setting.plan().hash;
    let mut hash = |change: fn(&mut DeltaSpec)| {
        let mut delta = DeltaSpec {
            column: Some("updated_at".to_owned()),
            lookback: Duration::ZERO,
            ..DeltaSpec::default()
        };
        change(&mut delta);
        setting.spec.strategies[1].kind = StrategyKind::Delta(delta);
        setting.plan().hash
    };
    assert_eq!(hash(|_| {}), frozen);
    let changes: [fn(&mut DeltaSpec); 5] = [
        |delta| delta.null_cursor = NullCursor::Include,
        |delta| delta.margin = Duration::ZERO,
        |delta| delta.lookback = Duration::from_secs(1),
        |delta| delta.lag = Some(Duration::ZERO),
        |delta| delta.time_zone = Some("Europe/Berlin".to_owned()),
    ];
    for change in changes {
        assert_ne!(hash(change), frozen);
    }
}

#[test]
fn seconds_over_years_are_joined_to_a_thousand_partitions() {
    let mut setting = Setting::loaded();
    setting.ledger = Some(cursor("2000-01-01 00:00:00+00"));
    setting.spec.strategies[1].primary_partitions = vec![PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(1),
        step_unit: StepUnit::Second,
        data_type: None,
        bounded: false,
    }];
    let plan = setting.plan();
    let shown = plan.to_string();
    assert!(plan.partitions.len() > 900, "{}", plan.partitions.len());
    assert!(shown.len() > 100_000);
}

#[test]
fn forced_partitions_of_the_strategy_are_used_unless_the_call_says_otherwise() {
    let mut setting = Setting::new();
    setting.spec.strategies[0].kind = StrategyKind::Full(FullSpec { partitions: Some(5) });
    assert_eq!(setting.plan().partitions.len(), 5);
    setting.asked.partitions = Some(3);
    assert_eq!(setting.plan().partitions.len(), 3);
}
