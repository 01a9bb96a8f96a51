//! The second configuration shape: `backends` and `stages`.

use std::path::Path;

use insta::assert_snapshot;
use pintail_config::{Datastores, Problems};
use pintail_sync::spec::{LoadedPipeline, PipelineSpec, StepUnit, StrategyKind, SyncType, parse};

use super::outline;

const AGGREGATE: &str = include_str!("user_daily_orders_aggregate.yaml");

const DATASTORES: &str = "\
datastores:
  local_postgres: {type: postgres, connection: {host: localhost, dbname: shop}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite'}}
";

fn load(yaml: &str) -> Result<LoadedPipeline, Problems> {
    let nothing = |_: &str| None;
    let datastores = Datastores::parse(Path::new("datastores.yaml"), DATASTORES, &nothing).expect("valid");
    parse(Path::new("pipeline.yaml"), yaml, &datastores, &nothing)
}

#[track_caller]
fn loaded(yaml: &str) -> PipelineSpec {
    match load(yaml) {
        Ok(pipeline) => pipeline.spec,
        Err(problems) => panic!("{problems}"),
    }
}

fn check(yaml: &str) -> String {
    match load(yaml) {
        Ok(_) => "loads".to_owned(),
        Err(problems) => problems.to_string(),
    }
}

/// A pipeline of rows in the second shape, whose backends have those columns.
fn rows(source: &str, destination: &str) -> String {
    format!(
        "\
name: users
hash_algo: md5_sum_hash
strategies:
  - {{name: hash_sync, type: hash}}
  - name: delta
    type: delta
    primary_partitions: [{{column: updated_at, step: 2, step_unit: hour, data_type: datetime, bounded: true}}]
    page_size: 1000
    use_pagination: true
    prevent_update_unless_changed: true
    match_row_count: true
backends:
  - name: source_backend
    type: postgres
    datastore_name: local_postgres
    table: users
    alias: u
    filters: [\"u.active\"]
{source}
  - name: destination_backend
    type: ducklake
    datastore_name: lake
    table: users
{destination}
stages:
  - name: change_detection
    type: change_detection
    source: {{name: source_backend}}
    destination: {{name: destination_backend}}
  - name: populate
    type: populate
    destination: {{name: destination_backend}}
"
    )
}

#[test]
fn the_aggregate_of_the_seed_loads() {
    let spec = loaded(AGGREGATE);
    assert_eq!(spec.sync_type, SyncType::Aggregate);
    assert_eq!(spec.source.group_by, ["user_id", "date"]);
    assert_snapshot!(outline(&spec), @r#"
    user_daily_orders_aggregate: local_postgres public.orders -> local_postgres analytics.user_daily_orders_aggregate
      user_id -> user_id Integer {UniqueColumn}
      expression CAST(order_date AS DATE) -> date Date {UniqueColumn}
      expression count(1) -> num_orders Integer {}
      expression sum(amount) -> amount Decimal(None) {}
      expression sum(discount) -> discount Decimal(None) {}
      expression max(updated_at) -> last_updated_at Timestamp {}
      hash of the row -> checksum_int BigInt {}
      delta = delta by Some("updated_at")
    "#);
    let strategy = &spec.strategies[0];
    let primary = &strategy.primary_partitions[0];
    assert_eq!(
        (primary.step, primary.step_unit, primary.bounded),
        (Some(2), StepUnit::Hour, true)
    );
    let keys: Vec<_> = strategy
        .delta_partitions
        .iter()
        .map(|partition| (partition.column.as_str(), partition.step))
        .collect();
    assert_eq!(keys, [("user_id", None), ("order_date", Some(1))]);
    assert_eq!(strategy.tuning.use_pagination, Some(true));
}

#[test]
fn the_nested_aggregate_of_the_seed_loads() {
    let (start, rest) = AGGREGATE.split_once("strategies:").expect("strategies");
    let (_, end) = rest.split_once("\nbackends:").expect("backends");
    let nested = format!(
        "{start}{}\nbackends:{end}",
        r#"strategies:
  - name: "hash"
    type: "hash"
    enabled: true

    # Multiple primary partition dimensions
    primary_partitions:
      - column: "order_date"
        step: 1
        step_unit: "month"
        data_type: "datetime"
      - column: "user_id"
        step: 50
        data_type: "integer"

    # Multiple secondary partition dimensions for finer granularity
    secondary_partitions:
      - column: "order_date"
        step: 1
        step_unit: "day"
        data_type: "datetime"
      - column: "user_id"
        step: 5
        data_type: "integer"

    page_size: 1000
"#
    );
    let spec = loaded(&nested);
    assert!(matches!(spec.strategies[0].kind, StrategyKind::Hash(_)));
    assert_eq!(
        (
            spec.strategies[0].primary_partitions.len(),
            spec.strategies[0].secondary_partitions.len()
        ),
        (2, 2)
    );
}

#[test]
fn change_detection_by_columns_of_the_seed_loads() {
    let spec = loaded(include_str!("users_column_level.yaml"));
    assert_snapshot!(outline(&spec), @r"
    users_column_level: local_postgres public.users -> local_postgres copies.users_copy
      user_id -> user_id Integer {UniqueColumn}
      name -> name Text {}
      email -> email Text {}
      last_login -> last_login Timestamp {}
      hash of the row -> checksum Text {}
      hash_sync = hash
    ");
    let told: Vec<(&str, bool)> = spec
        .columns
        .iter()
        .map(|column| (column.dest.as_str(), column.hash_column))
        .collect();
    assert_eq!(told[3], ("last_login", false));
}

#[test]
fn options_that_tune_how_rows_move_are_kept() {
    let spec = loaded(&rows("", ""));
    let tuning = &spec.strategies[1].tuning;
    assert_eq!(
        (tuning.prevent_update_unless_changed, tuning.match_row_count),
        (Some(true), Some(true))
    );
    assert!(spec.strategies[1].primary_partitions[0].bounded);
}

/// The seed's options of resumable syncs.
#[test]
fn partitions_of_two_levels_load() {
    let yaml = rows("", "").replace(
        "  - {name: hash_sync, type: hash}\n",
        r#"  - name: "delta_sync"
    type: "delta"

    # Partition configuration affects resumability granularity
    primary_partitions:
      - column: "updated_at"
        step: 7200  # 2-hour partitions = finer resume granularity
        data_type: "datetime"

    secondary_partitions:
      - column: "id"
        step: 10000  # 10K ID partitions = even finer granularity
        data_type: "integer"
"#,
    );
    let strategy = &loaded(&yaml).strategies[0];
    assert_eq!(
        (
            strategy.primary_partitions[0].step,
            strategy.secondary_partitions[0].step
        ),
        (Some(7_200), Some(10_000))
    );
}

#[test]
fn the_audit_columns_of_the_seed_load() {
    let columns = r#"    columns:
      # Business columns - tracked
      - name: "product_id"
        hash_column: true
      - name: "name"
        hash_column: true
      - name: "price"
        hash_column: true
      - name: "category"
        hash_column: true

      # Audit columns - not tracked
      - name: "created_at"
        hash_column: false  # Don't trigger sync on creation timestamp changes
      - name: "created_by"
        hash_column: false  # Don't trigger sync on audit field changes
      - name: "last_viewed_at"
        hash_column: false  # Don't trigger sync when users view products
      - name: "view_count"
        hash_column: false  # Don't trigger sync on view counter increments
      - {name: updated_at}
"#;
    let spec = loaded(&rows(columns, ""));
    let counts = spec.columns.iter().filter(|column| column.hash_column).count();
    assert_eq!((spec.columns.len(), counts), (9, 5));
}

#[test]
fn names_differ_between_pipeline_and_tables() {
    let spec = loaded(&rows(
        "    columns:
      - {name: user_id, expr: u.id, roles: [unique_column]}
      - {name: mail, data_field: email}
      - {name: greeting, expr: \"'Hi ' || u.name\", data_type: text}
      - {name: updated_at, expr: changed_at}",
        "    columns:
      - {name: user_id, expr: id, data_type: bigint}
      - {name: mail, length: 80, nullable: false}
      - {name: greeting}
      - {name: updated_at}
      - {name: checksum, hash_key: true, data_type: bigint}
      - {name: seen_at, expr: updated_at, virtual: true}",
    ));
    assert_snapshot!(outline(&spec), @r#"
    users: local_postgres users -> lake users
      id -> id BigInt {UniqueColumn}
      email -> mail {}
      expression 'Hi ' || u.name -> greeting Text {}
      changed_at -> updated_at {}
      hash of the row -> checksum BigInt {}
      hash_sync = hash
      delta = delta by Some("updated_at")
    "#);
    let mail = spec.column("mail").expect("a column");
    assert_eq!((mail.length, mail.nullable), (Some(80), Some(false)));
}

#[test]
fn without_columns_every_column_is_taken() {
    let spec = loaded(&rows("", ""));
    assert!(spec.columns.is_empty());
    assert_eq!(spec.source.filters, ["u.active"]);
}

#[test]
fn a_stage_may_refer_to_another_one() {
    let yaml = rows("", "").replace(
        "  - name: populate",
        "  - name: data_fetch
    type: data_fetch
    source: {name: change_detection}
    destination: {name: change_detection}
  - {name: sized, type: batcher, config: {target_batch_size: 100}}
  - {name: not_now, type: transform, enabled: false}
  - name: populate",
    );
    assert_eq!(loaded(&yaml).source.table.table, "users");
    // A stage that is not built is refused where it is enabled.
    let enabled = yaml.replace("type: transform, enabled: false", "type: transform");
    let pipeline = load(&enabled).expect("loads");
    assert_snapshot!(pipeline.check_built("delta").expect_err("not built").to_string(), @"pipeline.yaml:35:5: this release does not support `transform` stages yet");
}

#[test]
fn unknown_missing_and_cyclic_stages_are_named() {
    let right = rows("", "");
    let with = |from: &str, to: &str| {
        assert!(right.contains(from), "{from}");
        check(&right.replace(from, to))
    };
    assert_snapshot!(with("source: {name: source_backend}", "source: {name: source_backnd}"), @r"
    pipeline.yaml:28:20: stages: there is neither a backend nor an enabled stage `source_backnd` to refer to
      hint: did you mean `source_backend`?
    ");
    assert_snapshot!(with("    source: {name: source_backend}\n", ""), @"pipeline.yaml:26:5: stages[0]: key `source` is missing");
    assert_snapshot!(with("type: change_detection\n", "type: change_detecting\n"), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:26:3: stages: there is no enabled stage of type `change_detection`
    pipeline.yaml:27:11: stages[0].type: expected a kind of stage, found the text `change_detecting`
      hint: did you mean `change_detection`?
    ");
    assert_snapshot!(with("    type: populate\n", "    type: populate\n    enabled: false\n"), @"pipeline.yaml:26:3: stages: there is no enabled stage of type `populate`");
    let circle = "  - name: a
    type: data_fetch
    source: {name: b}
    destination: {name: destination_backend}
  - name: b
    type: partition
    source: {name: a}
    destination: {name: destination_backend}
  - name: populate";
    assert_snapshot!(with("  - name: populate", circle), @"pipeline.yaml:32:20: stages: the stages `b` and `a` refer to each other in a circle");
    let twice = "  - name: change_detection
    type: data_fetch
    source: {name: destination_backend}
    destination: {name: destination_backend}
  - name: populate";
    assert_snapshot!(with("  - name: populate", twice), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:30:11: stages[1].name: another stage is named `change_detection` already
    pipeline.yaml:32:20: stages: stage `change_detection` reads backend `destination_backend`, and stage `change_detection` reads backend `source_backend`: a pipeline has one of them
    ");
    assert_snapshot!(check(right.split("stages:").next().unwrap_or_default()), @"pipeline.yaml:1:1: key `stages` is missing");
    let (start, rest) = right.split_once("backends:").expect("backends");
    let (_, stages) = rest.split_once("stages:").expect("stages");
    assert_snapshot!(check(&format!("{start}stages:{stages}")), @r"
    found 3 problems in pipeline.yaml
    pipeline.yaml:1:1: key `backends` is missing
    pipeline.yaml:15:20: stages: there is neither a backend nor an enabled stage `source_backend` to refer to
    pipeline.yaml:16:25: stages: there is neither a backend nor an enabled stage `destination_backend` to refer to
    ");
    assert_snapshot!(with("  - name: destination_backend\n", "  - name: source_backend\n"), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:20:5: backends[1]: another backend is named `source_backend` already
    pipeline.yaml:29:25: stages: there is neither a backend nor an enabled stage `destination_backend` to refer to
      hint: known are `source_backend` and `source_backend`
    ");
}

#[test]
fn wrong_values_of_columns_and_stages_are_reported_together() {
    let yaml = rows(
        "    columns:
      - {name: user_id, expr: id, data_field: id, unique_column: perhaps}
      - {name: mail, hash_colum: false}
      - {name: total, expr: 'sum(a', data_type: decimal}
      - {name: hash, hash_key: yes}
      - {data_type: integer}
      - {name: updated_at, virtual: true}",
        "    partition_by: id",
    )
    .replace("step: 2", "step: -1")
    .replace("match_row_count: true", "match_row_count: always")
    .replace(
        "  - name: populate",
        "  - {name: d, type: dedup, applicable_on: deltas, config: {dedup_keys: user_id, target_batch_size: 5}}
  - {name: b, type: batcher, config: {target_batch_size: 0}}
  - name: populate",
    );
    assert_snapshot!(check(&yaml), @r"
    found 13 problems in pipeline.yaml
    pipeline.yaml:7:53: strategies[1].primary_partitions[0].step: expected a whole number of at least 1, found the number `-1`
    pipeline.yaml:11:22: strategies[1].match_row_count: expected `true` or `false`, found the text `always`
    pipeline.yaml:20:47: backends[0].columns[0]: `expr` and `data_field` both say what the column is read from
    pipeline.yaml:20:66: backends[0].columns[0].unique_column: expected `true` or `false`, found the text `perhaps`
    pipeline.yaml:21:22: backends[0].columns[1]: key `hash_colum` is not known
      hint: did you mean `hash_column`?
    pipeline.yaml:22:29: this is no condition or expression: a parenthesis is not closed
      hint: it stands in parentheses in a SELECT of the source
    pipeline.yaml:23:32: backends[0].columns[3].hash_key: expected `true` or `false`, found the text `yes`
    pipeline.yaml:24:9: backends[0].columns[4]: key `name` is missing
    pipeline.yaml:30:5: backends[1]: key `partition_by` belongs to a destination of files
    pipeline.yaml:36:43: stages[1].applicable_on: expected a strategy type, found the text `deltas`
      hint: did you mean `delta`?
    pipeline.yaml:36:72: stages[1].config.dedup_keys: expected a list, found the text `user_id`
    pipeline.yaml:36:81: stages[1].config: key `target_batch_size` is not known
    pipeline.yaml:37:58: stages[2].config.target_batch_size: expected a whole number of at least 1, found the number `0`
    ");
}

#[test]
fn columns_that_do_not_meet_are_named() {
    let destination = "    columns:
      - {name: user_id}
      - {name: nmae}
      - {name: checksum, hash_key: true, data_type: date}
      - {name: greeting, expr: \"'Hi ' || name\"}";
    let source = "    columns:
      - {name: user_id}
      - {name: name}
      - {name: greeting}
      - {name: updated_at}";
    assert_snapshot!(check(&rows(source, destination)), @r"
    found 3 problems in pipeline.yaml
    pipeline.yaml:30:9: column `nmae` of backend `destination_backend` is not in backend `source_backend`
      hint: did you mean `name`?
    pipeline.yaml:31:9: `hash_key` column `checksum` has to be of type `bigint` or `varchar`
    pipeline.yaml:32:32: expected a name, because nothing is computed in the destination, found the text `'Hi ' || name`
    ");
    let later = "    columns: [{name: user_id}, {name: name}, {name: later_at}]";
    let other = rows(
        "    columns: [{name: user_id}, {name: name}, {name: later_at, virtual: true}]",
        later,
    );
    assert_snapshot!(check(&other), @"pipeline.yaml:19:46: column `later_at` is virtual and has no `expr`: nothing can be read for it");
}

#[test]
fn what_makes_no_aggregate_is_named() {
    let with = |from: &str, to: &str| {
        assert!(AGGREGATE.contains(from), "{from}");
        check(&AGGREGATE.replace(from, to))
    };
    assert_snapshot!(with("expr: \"sum(amount)\"", "expr: \"abs(amount)\""), @r"
    pipeline.yaml:109:9: column `amount` is neither grouped by nor an aggregate
      hint: name it in `group_by`, or write an expression like `sum(amount)`
    ");
    assert_snapshot!(with("group_by: [\"user_id\", \"date\"]", "group_by: [\"user_id\", \"num_orders\", \"dte\"]"), @r"
    found 4 problems in pipeline.yaml
    pipeline.yaml:109:9: column `date` is neither grouped by nor an aggregate
      hint: name it in `group_by`, or write an expression like `sum(amount)`
    pipeline.yaml:109:9: column `num_orders` cannot be grouped by: it is an aggregate itself
    pipeline.yaml:109:9: the key of an aggregate are the columns of `group_by`, and `date` is one of the two only
    pipeline.yaml:120:17: `group_by` names `dte`, which is no column of the destination
      hint: did you mean `date`?
    ");
    assert_snapshot!(with("      group_by: [\"user_id\", \"date\"]", ""), @r"
    pipeline.yaml:3:12: an aggregate needs `group_by`
      hint: name the columns whose values make a group, by their names in the destination
    ");
    assert_snapshot!(with("sync_type: \"aggregate\"", "sync_type: \"row-level\""), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:22:5: strategies[0]: key `delta_partitions` belongs to a pipeline with `sync_type: aggregate`
    pipeline.yaml:120:17: `group_by` belongs to an aggregate
      hint: write `sync_type: aggregate`
    ");
    assert_snapshot!(with("dedup_keys: [\"user_id\", \"date\"]", "dedup_keys: [\"user_id\", \"dates\"]"), @r"
    pipeline.yaml:130:31: `dedup_keys` names `dates`, which is no column of the destination
      hint: did you mean `date`?
    ");
    assert_snapshot!(with("        - name: \"discount\"\n          expr: \"sum(discount)\"  # Aggregation\n", ""), @r"
    pipeline.yaml:71:9: column `discount` of backend `destination_backend` is not read by stage `data_fetch`
      hint: known are `user_id`, `date`, `num_orders`, `amount` and `last_updated_at`
    ");
    assert_snapshot!(with("- column: \"updated_at\"", "- column: \"update_at\""), @r"
    pipeline.yaml:15:17: strategies[0].primary_partitions[0].column: expected a column of `backends`, found the text `update_at`
      hint: did you mean `updated_at`?
    ");
}
