//! Pipelines as people write them, right and wrong.

mod copy;
mod damage;
mod files;
mod mistakes;
mod staged;

use std::path::Path;

use insta::assert_snapshot;
use pintail_config::{Datastores, Problems};
use pintail_sync::spec::{
    ColumnSource, DeclaredType, DeltaSpec, LoadedPipeline, NullCursor, PipelineSpec, StepUnit, StrategyKind,
    parse,
};

fn environment(name: &str) -> Option<String> {
    match name {
        "TABLE" => Some("orders".to_owned()),
        "SECRET" => Some("hunter2".to_owned()),
        _ => None,
    }
}

/// The datastores of the seed, and what this release can really copy between.
fn datastores() -> Datastores {
    let yaml = include_str!("datastores.yaml").to_owned()
        + "
  shop: {type: sqlite, connection: {path: shop.db}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite', schema: mart}}
  click: {type: clickhouse, connection: {host: db}}
";
    Datastores::parse(Path::new("datastores.yaml"), &yaml, &environment).expect("valid datastores")
}

fn load(yaml: &str) -> Result<LoadedPipeline, Problems> {
    parse(Path::new("pipeline.yaml"), yaml, &datastores(), &environment)
}

fn loaded(yaml: &str) -> PipelineSpec {
    match load(yaml) {
        Ok(pipeline) => pipeline.spec,
        Err(problems) => panic!("{problems}"),
    }
}

/// A pipeline that this release can run, with more lines at its end.
fn minimal(more: &str) -> String {
    format!(
        "\
name: orders
source_provider:
  data_backend: {{type: postgres, datastore_name: source_db, table: orders, alias: o}}
destination_provider:
  data_backend: {{type: ducklake, datastore_name: lake, table: orders}}
{more}"
    )
}

/// The pipeline in a few lines: what moves where, by which columns and strategies, and what is not built.
fn outline(spec: &PipelineSpec) -> String {
    let mut lines = vec![format!(
        "{}: {} {} -> {} {}",
        spec.name,
        spec.source.datastore,
        spec.source.table,
        spec.destination.datastore,
        spec.destination.table
    )];
    for column in &spec.columns {
        let source = match &column.source {
            ColumnSource::Column(name) => name.clone(),
            ColumnSource::Joined { qualifier, column } => format!("joined {qualifier}.{column}"),
            ColumnSource::Expression(text) => format!("expression {text}"),
            ColumnSource::RowHash => "hash of the row".to_owned(),
        };
        let data_type = column
            .data_type
            .map(|data_type| format!(" {data_type:?}"))
            .unwrap_or_default();
        lines.push(format!(
            "  {source} -> {}{data_type} {:?}",
            column.dest, column.roles
        ));
    }
    for strategy in &spec.strategies {
        let cursor = match &strategy.kind {
            StrategyKind::Delta(delta) => format!(" by {:?}", delta.column),
            _ => String::new(),
        };
        let unbuilt: Vec<String> = spec
            .not_built_for(&strategy.name)
            .into_iter()
            .map(|unbuilt| {
                let position = unbuilt
                    .position
                    .map(|position| format!(" @{position}"))
                    .unwrap_or_default();
                format!("\n    {unbuilt}{position}")
            })
            .collect();
        lines.push(format!(
            "  {} = {}{cursor}{}",
            strategy.name,
            strategy.kind.word(),
            unbuilt.concat()
        ));
    }
    lines.join("\n")
}

#[test]
fn the_users_sync_of_the_seed_loads() {
    let spec = loaded(include_str!("users_sync.yaml"));
    assert_snapshot!(outline(&spec), @r#"
    users_sync: source_db public.users -> dest_db public.users_copy
      id -> id Integer {UniqueColumn, PartitionColumn}
      name -> name Text {}
      email -> email Text {}
      updated_at -> updated_at Timestamp {}
      hourly_delta = delta by Some("updated_at")
    "#);
    assert_eq!(
        (spec.partition_step, spec.partition_column.as_deref()),
        (Some(10_000), Some("id"))
    );
    let strategy = spec.strategy("hourly_delta").expect("the strategy of the file");
    assert_eq!(strategy.cron.as_deref(), Some("0 * * * *"));
    assert_eq!(strategy.tuning.page_size, Some(1000));
}

#[test]
fn the_advanced_pipeline_of_the_seed_loads() {
    let spec = loaded(include_str!("advanced_sync_pipeline.yaml"));
    assert_snapshot!(outline(&spec), @r#"
    advanced_sync_pipeline: source_db public.orders -> dest_db analytics.orders_enriched
      id -> order_id Integer {UniqueColumn, PartitionColumn}
      order_date -> order_date Timestamp {}
      total -> total_amount Decimal(Some(Precision { precision: 10, scale: 2 })) {}
      joined c.name -> customer_name Text {}
      updated_at -> updated_at Timestamp {}
      delta_sync = delta by Some("updated_at")
        this release does not support `enrichment` yet @74:3
      hash_sync = hash
        this release does not support `enrichment` yet @74:3
      full_sync = full
        this release does not support `enrichment` yet @74:3
    "#);
    assert_eq!(spec.max_concurrent_partitions, Some(4));
    assert_eq!(spec.destination.supports_update, Some(true));
    let total = spec.column("total_amount").and_then(|column| column.data_type);
    assert!(
        matches!(total, Some(DeclaredType::Decimal(Some(digits))) if (digits.precision, digits.scale) == (10, 2))
    );
    let enrichment = spec.enrichment.as_ref().expect("the enrichment of the file");
    assert_eq!(
        (enrichment.dimensions.len(), enrichment.cache_seconds),
        (1, Some(3600))
    );
}

#[test]
fn the_users_row_sync_of_the_seed_loads() {
    let spec = loaded(include_str!("users_row_sync.yaml"));
    assert_snapshot!(outline(&spec), @r#"
    users_row_sync: source_db public.users -> dest_db public.users_copy
      id -> id Integer {UniqueColumn}
      name -> name Text {}
      updated_at -> updated_at Timestamp {}
      delta_sync = delta by Some("updated_at")
    "#);
    let partition = &spec.strategies[0].primary_partitions[0];
    assert_eq!(
        (partition.step, partition.step_unit),
        (Some(7200), StepUnit::Second)
    );
}

#[test]
fn a_small_pipeline_takes_defaults() {
    let spec = loaded(&minimal(
        "strategies: [{name: delta, type: delta, column: updated_at}]",
    ));
    assert_snapshot!(outline(&spec), @r#"
    orders: source_db public.orders -> lake mart.orders
      delta = delta by Some("updated_at")
    "#);
    assert!(spec.enabled && spec.parity && spec.columns.is_empty());
    assert_eq!(
        spec.strategies[0].kind,
        StrategyKind::Delta(DeltaSpec {
            column: Some("updated_at".to_owned()),
            ..DeltaSpec::default()
        })
    );
}

#[test]
fn the_keys_of_our_own_are_read() {
    let spec = loaded(&minimal(
        "\
parity: false
limits:
  {memory: 256 MiB, threads: 2, temp_folder: spill, statement_timeout: 10m, run_for: 30m, source_connections: 3,
   source_bandwidth: 10 MiB/s}
retries: {attempts: 9, initial_wait: 1s, longest_wait: 1m}
strategies:
  - {name: d, type: delta, column: o.at, null_cursor: skip, margin: 1s, lookback: 5s, lag: 5m, time_zone: Europe/Berlin}
  - {name: f, type: full, partitions: 50}
",
    ));
    assert!(!spec.parity);
    assert_snapshot!(format!("{:?}", spec.limits), @r#"LimitsSpec { memory: Some(256.0 MiB (268435456 bytes)), threads: Some(2), temp_folder: Some("spill"), statement_timeout: Some(600s), run_for: Some(1800s), source_connections: Some(3), source_bandwidth: Some(10.0 MiB (10485760 bytes)) }"#);
    assert_snapshot!(format!("{:?}", spec.retries), @"RetrySpec { attempts: 9, initial_wait: 1s, longest_wait: 60s, total: 300s }");
    assert_snapshot!(format!("{:?}", spec.strategies[0].kind), @r#"Delta(DeltaSpec { column: Some("at"), null_cursor: Skip, margin: 1s, lookback: 5s, lag: Some(300s), time_zone: Some("Europe/Berlin") })"#);
    assert_snapshot!(format!("{:?}", spec.strategies[1].kind), @"Full(FullSpec { partitions: Some(50) })");
}

#[test]
fn columns_come_from_names_joins_and_expressions() {
    let spec = loaded(
        &minimal(
            "\
column_map:
  - {source: id}
  - {source: o.total, dest: total, data_type: decimal}
  - {source: '\"odd.name (eur)\"', dest: odd}
  - {source: 'o.\"odd.name\"', dest: odder}
  - {source: lower(o.email), dest: email}
  - {source: total * 2, dest: twice}
  - {source: c.name, dest: customer}
  - {source: Order Date, dest: order_date}
strategies: [{name: full, type: full}]
",
        )
        .replace(
            "alias: o}",
            "alias: o, join: [{table: customers, alias: c, on: o.c = c.id, type: left}]}",
        ),
    );
    assert_snapshot!(outline(&spec), @r"
    orders: source_db public.orders -> lake mart.orders
      id -> id {}
      total -> total Decimal(None) {}
      odd.name (eur) -> odd {}
      odd.name -> odder {}
      expression lower(o.email) -> email {}
      expression total * 2 -> twice {}
      joined c.name -> customer {}
      Order Date -> order_date {}
      full = full
    ");
}

#[test]
fn what_is_not_built_is_refused_when_it_is_chosen() {
    let pipeline = load(&minimal(
        "\
strategies:
  - {name: full, type: full}
  - {name: check, type: hash}
",
    ))
    .expect("loads");
    assert_eq!(pipeline.check_built("full"), Ok(()));
    assert_eq!(pipeline.check_built("check"), Ok(()));

    let from_clickhouse = minimal("strategies: [{name: full, type: full}]")
        .replace(
            "type: postgres, datastore_name: source_db",
            "type: clickhouse, datastore_name: click",
        )
        .replace("alias: o", "filters: [\"o.status = 'active'\"]");
    let pipeline = load(&from_clickhouse).expect("loads");
    assert_snapshot!(pipeline.check_built("full").expect_err("not built").to_string(), @"pipeline.yaml:3:24: this release does not support reading from `clickhouse` yet");
}

#[test]
fn null_cursors_fail_unless_somebody_decides() {
    assert_eq!(DeltaSpec::default().null_cursor, NullCursor::Fail);
}

#[test]
fn variables_stand_in_any_value() {
    let yaml = minimal("strategies: [{name: full, type: '${KIND:-full}'}]")
        .replace("table: orders", "table: '${TABLE}'");
    assert_eq!(loaded(&yaml).source.table.table, "orders");
}
