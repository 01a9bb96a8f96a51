//! What a person sees who made a mistake.

use insta::assert_snapshot;

use super::{load, minimal};

fn check(yaml: &str) -> String {
    match load(yaml) {
        Ok(_) => "loads".to_owned(),
        Err(problems) => problems.to_string(),
    }
}

const FULL: &str = "strategies: [{name: full, type: full}]\n";

#[test]
fn a_misspelt_key_is_named_with_the_right_one() {
    assert_snapshot!(check(&minimal("partition_stp: 10\nstrategies: [{name: full, type: full, enabeld: true}]")), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:6:1: key `partition_stp` is not known
      hint: did you mean `partition_step`?
    pipeline.yaml:7:39: strategies[0]: key `enabeld` is not known
      hint: did you mean `enabled`?
    ");
}

#[test]
fn a_wrong_type_is_named_with_the_right_one() {
    assert_snapshot!(check(&minimal(&format!("partition_step: ten\nenabled: [1]\n{FULL}"))), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:6:17: partition_step: expected a whole number, found the text `ten`
    pipeline.yaml:7:10: enabled: expected `true` or `false`, found a list
    ");
}

#[test]
fn a_missing_variable_is_named() {
    assert_snapshot!(check(&minimal(FULL).replace("table: orders", "table: '${ORDERS_TABLE}'")), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:3:68: source_provider.data_backend.table: environment variable `ORDERS_TABLE` is not set
      hint: set it, or write a default: `${ORDERS_TABLE:-default}`
    pipeline.yaml:5:63: destination_provider.data_backend.table: environment variable `ORDERS_TABLE` is not set
      hint: set it, or write a default: `${ORDERS_TABLE:-default}`
    ");
}

#[test]
fn a_missing_datastore_is_named_with_the_nearest() {
    assert_snapshot!(check(&minimal(FULL).replace("source_db", "sorce_db").replace("name: lake", "name: pond")), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:3:50: source_provider.data_backend.datastore_name: expected a datastore of `datastores.yaml`, found the text `sorce_db`
      hint: did you mean `source_db`?
    pipeline.yaml:5:50: destination_provider.data_backend.datastore_name: expected a datastore of `datastores.yaml`, found the text `pond`
      hint: known are `click`, `dest_db`, `lake`, `shop` and `source_db`
    ");
}

#[test]
fn a_datastore_of_another_type_is_named() {
    assert_snapshot!(check(&minimal(FULL).replace("type: postgres", "type: sqlite")), @r"
    pipeline.yaml:3:24: source_provider.data_backend.type: datastore `source_db` is of type `postgres`
      hint: write `type: postgres`
    ");
}

#[test]
fn several_mistakes_are_reported_at_once() {
    assert_snapshot!(check("\
name: my orders/2024
sync_type: rows
source_provider:
  data_backend:
    type: postgress
    datastore_name: source_db
    table: a.b.c
    supports_update: true
destination_provider:
  backend: {}
column_map:
  - source: id
    dest: id
    roles: [unique_colum]
    data_type: integr
  - source: total
    dest: ID
    data_type: decimal
    precision: 10
    scale: 12
  - source: price
    dest: price
    data_type: decimal
    scale: 2
  - source: note
    dest: note
    data_type: text
    precision: 3
  - source: count(*)
strategies:
  - name: hourly
    type: delta
    cron: every hour
    page_size: -1
    margin: soon
    partitions: 5
  - name: hourly
    type: full
    null_cursor: skip
    time_zone: Mars/Olympus
  - name: d
    type: delta
    column: updated
    time_zone: Mars/Olympus
    primary_partitions: [{column: id, step: 0, step_unit: dya}]
limits: {memory: lots, thread: 2}
"), @r"
    found 27 problems in pipeline.yaml
    pipeline.yaml:1:7: name: expected a name of letters, digits, `_`, `-` and `.`, found the text `my orders/2024`
    pipeline.yaml:2:12: sync_type: expected a sync type, found the text `rows`
      hint: known are `row-level` and `aggregate`
    pipeline.yaml:5:11: source_provider.data_backend.type: expected a system, found the text `postgress`
      hint: did you mean `postgres`?
    pipeline.yaml:7:12: source_provider.data_backend.table: expected a table like `orders` or `sales.orders`, found the text `a.b.c`
    pipeline.yaml:8:5: source_provider.data_backend: key `supports_update` belongs to the destination
    pipeline.yaml:10:3: destination_provider: key `backend` is not known
    pipeline.yaml:10:3: destination_provider: key `data_backend` is missing
    pipeline.yaml:14:13: column_map[0].roles[0]: expected a role, found the text `unique_colum`
      hint: did you mean `unique_column`?
    pipeline.yaml:15:16: column_map[0].data_type: expected a data type, found the text `integr`
      hint: did you mean `integer`?
    pipeline.yaml:17:11: column_map[1]: two columns of the destination are named `ID` (case makes no difference)
    pipeline.yaml:20:12: column_map[1]: `scale` is 12, more than the 10 digits of `precision`
    pipeline.yaml:24:12: column_map[2]: a `scale` needs a `precision`
    pipeline.yaml:28:16: column_map[3]: `precision` and `scale` belong to `data_type: decimal`
    pipeline.yaml:29:5: column_map[4]: key `dest` is missing: an expression has no name of its own
    pipeline.yaml:31:5: strategies[0]: a `delta` strategy needs a `column`
      hint: name the column that grows with every change of a row, like `updated_at`
    pipeline.yaml:33:11: strategies[0].cron: expected a cron expression of five fields like `*/15 * * * *`, found the text `every hour`
    pipeline.yaml:34:16: strategies[0].page_size: expected a whole number of at least 1, found the number `-1`
    pipeline.yaml:35:13: strategies[0].margin: expected a duration like `5m`, `250ms` or `2h`, found the text `soon`
    pipeline.yaml:36:5: strategies[0]: key `partitions` belongs to a `full` strategy
    pipeline.yaml:37:11: strategies[1].name: another strategy is named `hourly` already
    pipeline.yaml:39:5: strategies[1]: key `null_cursor` belongs to a `delta` strategy
    pipeline.yaml:40:5: strategies[1]: key `time_zone` belongs to a `delta` strategy
    pipeline.yaml:44:16: strategies[2].time_zone: expected a time zone like `Europe/Berlin` or `UTC`, found the text `Mars/Olympus`
    pipeline.yaml:45:45: strategies[2].primary_partitions[0].step: expected a whole number of at least 1, found the number `0`
    pipeline.yaml:45:59: strategies[2].primary_partitions[0].step_unit: expected a unit of time, found the text `dya`
      hint: did you mean `day`?
    pipeline.yaml:46:18: limits.memory: expected a size like `64 MiB` or `2 GB`, found the text `lots`
    pipeline.yaml:46:24: limits: key `thread` is not known
      hint: did you mean `threads`?
    ");
}

#[test]
fn columns_that_are_named_elsewhere_have_to_be_in_the_map() {
    assert_snapshot!(check(&minimal("\
column_map:
  - {source: id, dest: order_id, roles: [unique_column, partition_column]}
  - {source: o.changed, dest: updated_at}
partition_column: updated_at
strategies:
  - {name: a, type: delta, column: update_at}
  - {name: b, type: delta, column: o.changed}
  - {name: c, type: delta, column: updated_at, primary_partitions: [{column: ordr_id, step: 5}]}
")), @r"
    found 3 problems in pipeline.yaml
    pipeline.yaml:9:19: partition_column: the role `partition_column` belongs to another column, `order_id`
    pipeline.yaml:11:36: strategies[0].column: expected a column of `column_map`, found the text `update_at`
      hint: did you mean `updated_at`?
    pipeline.yaml:13:78: strategies[2].primary_partitions[0].column: expected a column of `column_map`, found the text `ordr_id`
      hint: did you mean `order_id`?
    ");
}

#[test]
fn a_pipeline_needs_its_parts() {
    assert_snapshot!(check("description: nothing"), @r"
    found 4 problems in pipeline.yaml
    pipeline.yaml:1:1: key `name` is missing
    pipeline.yaml:1:1: key `source_provider` is missing
    pipeline.yaml:1:1: key `destination_provider` is missing
    pipeline.yaml:1:1: key `strategies` is missing
    ");
    assert_snapshot!(check("- a list"), @"pipeline.yaml:1:1: expected a mapping, found a list");
    assert_snapshot!(check(&minimal("strategies: []")), @"pipeline.yaml:6:13: strategies: a pipeline needs at least one strategy");
    assert_snapshot!(check(&minimal("strategies: [{name: a, type: delta, column: }]")), @r"
    pipeline.yaml:6:14: strategies[0]: a `delta` strategy needs a `column`
      hint: name the column that grows with every change of a row, like `updated_at`
    ");
    assert_snapshot!(check(&minimal("strategies: [{name: a, type: delta, primary_partitions: []}]")), @r"
    pipeline.yaml:6:14: strategies[0]: a `delta` strategy needs a `column`
      hint: name the column that grows with every change of a row, like `updated_at`
    ");
}

#[test]
fn two_partition_columns_are_one_too_many() {
    assert_snapshot!(check(&minimal(&format!("\
column_map:
  - {{source: a, roles: [partition_column]}}
  - {{source: b, roles: [partition_column]}}
{FULL}"))), @"pipeline.yaml:7:3: column_map: only one column can have the role `partition_column`");
}

#[test]
fn values_of_variables_do_not_show() {
    let yaml = minimal(
        "\
partition_step: ${SECRET}
strategies:
  - {name: a, type: '${SECRET}', cron: '${SECRET}', column: '${SECRET}', time_zone: 'x ${SECRET}'}
column_map: [{source: id, data_type: '${SECRET}', roles: ['${SECRET}']}]
",
    )
    .replace("source_db", "'${SECRET}'")
    .replace("type: ducklake", "type: '${SECRET}'");
    let shown = check(&yaml);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(shown, @r"
    found 9 problems in pipeline.yaml
    pipeline.yaml:3:50: source_provider.data_backend.datastore_name: expected a datastore of `datastores.yaml`, found a value from `${SECRET}`
      hint: known are `click`, `dest_db`, `lake`, `shop` and `source_db`
    pipeline.yaml:5:24: destination_provider.data_backend.type: expected a system, found a value from `${SECRET}`
      hint: known are `postgres`, `mysql`, `sqlite`, `duckdb`, `ducklake`, `files`, `s3`, `minio`, `starrocks` and `clickhouse`
    pipeline.yaml:6:17: partition_step: expected a whole number, found a value from `${SECRET}`
    pipeline.yaml:8:21: strategies[0].type: expected a strategy type, found a value from `${SECRET}`
      hint: known are `full`, `delta`, `hash` and `aggregate`
    pipeline.yaml:8:40: strategies[0].cron: expected a cron expression of five fields like `*/15 * * * *`, found a value from `${SECRET}`
    pipeline.yaml:8:61: strategies[0].column: expected a column of `column_map`, found a value from `${SECRET}`
      hint: only `id` is known
    pipeline.yaml:8:85: strategies[0].time_zone: expected a time zone like `Europe/Berlin` or `UTC`, found a value from `${SECRET}`
    pipeline.yaml:9:38: column_map[0].data_type: expected a data type, found a value from `${SECRET}`
    pipeline.yaml:9:59: column_map[0].roles[0]: expected a role, found a value from `${SECRET}`
      hint: known are `unique_column` and `partition_column`
    ");
}

#[test]
fn a_column_of_an_unknown_table_is_named() {
    let columns = |map: &str| format!("column_map: [{map}]\n{FULL}");
    assert_snapshot!(check(&minimal(&columns("{source: x.total, data_type: dezimal, precision: 3}"))), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:6:23: column_map[0].source: expected a column of table `o`, found the text `x.total`
      hint: a name with a dot in it stands in double quotes
    pipeline.yaml:6:43: column_map[0].data_type: expected a data type, found the text `dezimal`
      hint: did you mean `decimal`?
    ");
    // Without an alias a dot may be a part of the name.
    assert_snapshot!(check(&minimal(&columns("{source: x.total}")).replace(", alias: o", "")), @"loads");
}

#[test]
fn secrets_of_an_enrichment_do_not_show() {
    let yaml = minimal(&format!(
        "\
{FULL}enrichment:
  dimensions:
    - name: a
      join_key: id
      source: {{type: mysql, config: {{password: hunter2, url: 'mysql://u:hunter2@db'}}}}
      fields: [{{source: x, dest: y}}]
"
    ));
    let shown = format!("{:?}", load(&yaml));
    assert!(shown.contains("mysql") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn more_partitions_than_a_run_makes_are_refused() {
    assert_snapshot!(check(&minimal("strategies: [{name: full, type: full, partitions: 5000}]")), @"pipeline.yaml:6:51: strategies[0].partitions: expected a whole number from 1 to 1000, found the number `5000`");
}

#[test]
fn what_belongs_to_aggregates_is_refused_elsewhere() {
    let rows = minimal(
        "strategies: [{name: sums, type: aggregate, column: at, delta_partitions: [{column: day, step: 1, step_unit: day}]}]",
    );
    assert_snapshot!(check(&rows), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:6:33: strategies[0].type: an `aggregate` strategy belongs to a pipeline with `sync_type: aggregate`
    pipeline.yaml:6:56: strategies[0]: key `delta_partitions` belongs to a pipeline with `sync_type: aggregate`
    ");
    let grouped = |columns: &str, group_by: &str| {
        let yaml = minimal(&format!("sync_type: aggregate\ncolumn_map: {columns}\n{FULL}"));
        check(&yaml.replace("alias: o}", &format!("alias: o, group_by: {group_by}}}")))
    };
    assert_snapshot!(grouped("[{source: day}, {source: sum(o.total), dest: total}]", "[day]"), @"loads");
    assert_snapshot!(grouped("[{source: day}, {source: total}, {source: lower(o.city), dest: city}]", "[day]"), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:7:13: column `total` is neither grouped by nor an aggregate
      hint: name it in `group_by`, or write an expression like `sum(amount)`
    pipeline.yaml:7:13: column `city` is neither grouped by nor an aggregate
      hint: name it in `group_by`, or write an expression like `sum(amount)`
    ");
    assert_snapshot!(grouped("[{source: day}, {source: sum(o.total), dest: total, roles: [unique_column]}]", "[dy]"), @r"
    found 3 problems in pipeline.yaml
    pipeline.yaml:3:96: `group_by` names `dy`, which is no column of the destination
      hint: did you mean `day`?
    pipeline.yaml:7:13: column `day` is neither grouped by nor an aggregate
      hint: name it in `group_by`, or write an expression like `sum(amount)`
    pipeline.yaml:7:13: the key of an aggregate are the columns of `group_by`, and `total` is one of the two only
    ");
    assert_snapshot!(grouped("[]", "[day]"), @"pipeline.yaml:7:13: an aggregate needs columns: those of `group_by`, and expressions");
    assert_snapshot!(check(&minimal(&format!("sync_type: aggregate\n{FULL}"))), @r"
    pipeline.yaml:6:12: an aggregate needs `group_by`
      hint: name the columns whose values make a group, by their names in the destination
    ");
    assert_snapshot!(check(&minimal(FULL).replace("alias: o}", "alias: o, group_by: [day]}")), @r"
    pipeline.yaml:3:96: `group_by` belongs to an aggregate
      hint: write `sync_type: aggregate`
    ");
}

#[test]
fn what_becomes_of_deleted_rows_is_told_in_full() {
    assert_snapshot!(check(&minimal(&format!("deletes: {{policy: soft}}\n{FULL}"))), @r"
    pipeline.yaml:6:10: deletes: the policy `soft` needs a `column`
      hint: name the column of the destination that takes the time, like `deleted_at`
    ");
    assert_snapshot!(check(&minimal(&format!("deletes: {{policy: hard, column: deleted_at}}\n{FULL}"))), @"pipeline.yaml:6:25: deletes: key `column` belongs to the policy `soft`");
    assert_snapshot!(check(&minimal(&format!("deletes: {{policy: gone, column: deleted_at, guard: {{share: most}}}}\n{FULL}"))), @r"
    found 2 problems in pipeline.yaml
    pipeline.yaml:6:19: deletes.policy: expected a policy for deletes, found the text `gone`
      hint: known are `hard`, `soft` and `ignore`
    pipeline.yaml:6:60: deletes.guard.share: expected a share like `20%`, found the text `most`
    ");
    let mapped = "column_map: [{source: id}, {source: seen, dest: deleted_at}]\ndeletes: {policy: soft, column: Deleted_At}\n";
    assert_snapshot!(check(&minimal(&format!("{mapped}{FULL}"))), @r"
    pipeline.yaml:7:33: deletes.column: `Deleted_At` is a column of the source, too
      hint: name one that only the destination has, like `deleted_at`
    ");
    let only_added = minimal(&format!("deletes: {{policy: soft, column: deleted_at}}\n{FULL}"))
        .replace("name: lake,", "name: lake, supports_update: false,");
    assert_snapshot!(check(&only_added), @"pipeline.yaml:6:10: deletes: the policy `soft` changes rows of the destination, and `supports_update: false` says that none may be changed");
}

#[test]
fn a_pass_that_looks_for_deleted_rows_has_something_to_follow() {
    let delta = "strategies: [{name: d, type: delta, column: id}]\n";
    for told in ["true", "false", "'0 3 * * *'"] {
        assert_eq!(
            check(&minimal(&format!("detect_deletes: {told}\n{delta}"))),
            "loads"
        );
    }
    assert_snapshot!(check(&minimal(&format!("detect_deletes: daily\n{delta}"))), @"pipeline.yaml:6:17: detect_deletes: expected `true`, `false` or a cron expression of five fields like `0 3 * * *`, found the text `daily`");
    assert_snapshot!(check(&minimal(&format!("detect_deletes: true\n{FULL}"))), @"pipeline.yaml:6:17: detect_deletes: a pass that looks for deleted rows follows deltas, and the pipeline has no `delta` strategy");
    assert_snapshot!(check(&minimal(&format!("detect_deletes: '0 3 * * *'\ndeletes: {{policy: ignore}}\n{delta}"))), @"pipeline.yaml:6:17: detect_deletes: the policy `ignore` of `deletes` lets rows stay that are gone");
}
