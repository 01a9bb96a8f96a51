//! Runs: what they print, what they commit, and what they leave alone.

use std::time::Duration;

use insta::assert_snapshot;
use pintail_testkit::Process;
use serde_json::Value;

use crate::project::{LAKE, Project};

const RUN: [&str; 3] = ["run", "--config", "pipeline.yaml"];

/// Longer than any run of these tests takes.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_full_load_is_followed_by_a_delta_and_then_by_nothing() {
    let project = Project::with_shop(2_000);
    assert_snapshot!(project.pintail(&RUN), @"
    exit code 0
    --- stdout
    synced orders  2,000 rows  [DURATION]  parity ok (1 leaf)
    --- stderr
    orders: reading about 2,000 rows in 1 partition
    note: full load by strategy `everything`: the table is not in the lake yet
    ");
    project.execute("update orders set status = 'sent', change_number = 2000 + id where id <= 3");
    project.execute("insert into orders values (2001, 'new', 1.5, null, '2026-02-01', 2004)");
    assert_snapshot!(project.pintail(&RUN), @"
    exit code 0
    --- stdout
    synced orders  4 rows (1 new, 3 changed)  [DURATION]  parity ok (1 leaf)
    --- stderr
    orders: reading about 3 rows in 1 partition
    note: delta by strategy `changes`: an earlier run left a watermark
    ");
    assert_eq!(
        project.ask("select count(*), count(*) filter (status = 'sent') from shop.orders"),
        "2001,3"
    );

    let before = project.snapshot();
    assert_snapshot!(project.pintail(&RUN), @"
    exit code 0
    --- stdout
    nothing to do for orders  [DURATION]
    --- stderr
    note: delta by strategy `changes`: an earlier run left a watermark
    note: nothing to read: everything below 2005 was read before
    ");
    assert_eq!(
        project.snapshot(),
        before,
        "a run with nothing to do committed something"
    );
}

#[test]
fn a_copy_needs_no_files_and_a_second_call_follows() {
    let project = Project::with_shop(500);
    let copy = ["copy", "sqlite:shop.db", "orders", LAKE];
    assert_snapshot!(project.pintail(&copy), @"
    exit code 0
    --- stdout
    synced orders  500 rows  [DURATION]  parity ok (1 leaf)
    --- stderr
    orders: reading about 500 rows in 1 partition
    note: full load by strategy `full`: the table is not in the lake yet
    note: cursor `updated_at` has no time zone and is taken as UTC; set `time_zone` if the application stamps another one
    note: SQLite does not tell when a transaction began: rows are read up to 5m before now (default `lag`)
    ");
    project.execute("update orders set note = 'late', updated_at = datetime('now', '+1 hour') where id = 9");
    let before = project.snapshot();
    assert_snapshot!(project.pintail(&copy), @"
    exit code 0
    --- stdout
    nothing to do for orders  [DURATION]
    --- stderr
    orders: reading 2 partitions
    orders: partition 1 of 2 done, 0 rows
    orders: partition 2 of 2 done, 0 rows
    note: delta by strategy `delta`: an earlier run left a watermark
    note: cursor `updated_at` has no time zone and is taken as UTC; set `time_zone` if the application stamps another one
    note: SQLite does not tell when a transaction began: rows are read up to 5m before now (default `lag`)
    ");
    // SQLite does not tell its open transactions, so a row waits for the default lag of 5 minutes.
    assert_eq!(project.snapshot(), before);
    assert!(project.path("state/pintail/state.db").exists());
}

#[test]
fn a_plan_shows_every_statement_and_changes_nothing() {
    let project = Project::with_shop(2_000);
    let plan = project.succeed(&[&RUN[..], &["--plan"]].concat());
    assert_snapshot!(outline(&plan.stdout), @"
    plan of pipeline `orders`: full by strategy `everything`
      why          the table is not in the lake yet
      source       sqlite:shop.db main.orders, about 2,000 rows
      destination  ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake shop.orders
      columns      id bigint, status varchar, amount decimal(10,2), note varchar, updated_at timestamp, change_number bigint
      key          id
      watermark    2001 when everything is in
      parity       checksums by id in steps of 4096

    partition 1 of 1: all
      reads all rows, about 2,000 rows
      engine, stage the rows:
      source, as part of it:

      source, count the rows independently:

    then one commit for all partitions
      lake, commit:
      lake, compare:
    ");
    for statement in [
        "copy (\n",
        "delete from \"lake\".\"shop\".\"orders\";",
        "call ducklake_add_data_files(",
    ] {
        assert!(
            plan.stdout.contains(statement),
            "the plan has no `{statement}`\n{plan}"
        );
    }
    assert!(!project.path("lake.sqlite").exists() && !project.path("data").exists());

    project.succeed(&RUN);
    project.execute("update orders set status = 'sent', change_number = 2000 + id where id <= 3");
    let before = project.snapshot();
    let plan = project.succeed(&[&RUN[..], &["--plan"]].concat());
    assert_snapshot!(outline(&plan.stdout), @"
    plan of pipeline `orders`: delta by strategy `changes`
      why          an earlier run left a watermark
      source       sqlite:shop.db main.orders, about 2,000 rows
      destination  ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake shop.orders
      columns      id bigint, status varchar, amount decimal(10,2), note varchar, updated_at timestamp, change_number bigint
      key          id
      cursor       change_number (integer), read up to 2001
      watermark    2004 when everything is in
      not covered  rows that were deleted in the source
      parity       checksums by id in steps of 4096

    partition 1 of 1: change_number_2001_2004
      reads change_number 2001..2004, about 2 rows
      engine, stage the rows:
      source, as part of it:
      source, count the rows independently:

    then one commit for each partition that has rows, in this order
      lake, commit:
      lake, compare:
    ");
    assert_eq!(project.snapshot(), before);
    let plan = project
        .succeed(&[&RUN[..], &["--plan", "--json"]].concat())
        .json();
    assert_eq!(
        (&plan["pipeline"], &plan["kind"]),
        (&"orders".into(), &"delta".into())
    );
    assert!(
        plan["partitions"][0]["statements"][0]["sql"]
            .as_str()
            .is_some_and(|sql| sql.contains("select"))
    );
}

/// A plan without its statements, which belong to the connectors.
fn outline(plan: &str) -> String {
    plan.lines()
        .filter(|line| !line.starts_with("    "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_report_is_one_json_object_and_the_metrics_file_is_the_same() {
    let project = Project::with_shop(2_000);
    let report = project.succeed(&[&RUN[..], &["--json"]].concat()).json();
    let fields = [
        "run_id",
        "pipeline",
        "strategy",
        "status",
        "started_at",
        "completed_at",
        "duration_seconds",
        "rows_processed",
        "rows_inserted",
        "rows_updated",
        "rows_deleted",
        "partitions_total",
        "partitions_processed",
        "partitions_skipped",
        "errors",
        "watermark",
        "parity",
        "resources",
    ];
    for field in fields {
        assert!(report.get(field).is_some(), "the report has no `{field}`");
    }
    let at = |pointer: &str| report.pointer(pointer).cloned().unwrap_or(Value::Null);
    assert_eq!(at("/status"), "completed");
    assert_eq!(at("/rows_processed"), 2_000);
    assert_eq!(at("/errors"), 0);
    assert_eq!(at("/watermark"), "2001");
    assert_eq!(
        (at("/parity/status"), at("/parity/source")),
        ("ok".into(), "streamed".into())
    );
    assert_eq!(at("/parity/mismatched"), 0);
    assert!(
        at("/resources/cpu_seconds")
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
    assert!(
        at("/resources/peak_rss_bytes")
            .as_u64()
            .is_some_and(|bytes| bytes > 1 << 20)
    );

    let run = report["run_id"].as_str().expect("an id");
    for name in [format!("{run}.json"), "latest_run.json".to_owned()] {
        let file = std::fs::read_to_string(project.path("data/metrics/orders").join(&name)).expect(&name);
        assert_eq!(
            serde_json::from_str::<Value>(&file).expect("JSON"),
            report,
            "{name}"
        );
    }
    let log =
        std::fs::read_to_string(project.path("data/logs/orders").join(format!("{run}.log"))).expect("a log");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(
            line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(),
            "{line}"
        );
        assert_eq!(line["run_id"], run);
    }
}

#[test]
fn without_parity_a_run_is_unproven() {
    let project = Project::with_shop(100);
    assert_snapshot!(project.pintail(&[&RUN[..], &["--no-parity"]].concat()), @"
    exit code 0
    --- stdout
    synced orders  100 rows  [DURATION]  unproven
    --- stderr
    orders: reading about 100 rows in 1 partition
    note: full load by strategy `everything`: the table is not in the lake yet
    ");
    let report = project
        .succeed(&[&RUN[..], &["--no-parity", "--json", "--strategy", "full"]].concat())
        .json();
    assert_eq!(report["parity"]["status"], "unproven");
    assert_eq!(report["parity"]["source"], Value::Null);
}

#[test]
fn a_full_load_can_be_read_in_parts() {
    let project = Project::with_shop(2_000);
    let report = project
        .succeed(&[&RUN[..], &["--partitions", "4", "--json"]].concat())
        .json();
    assert_eq!(report["partitions_total"], 4);
    assert_eq!(report["rows_processed"], 2_000);
}

#[test]
fn a_failed_run_reports_its_error_as_json_too() {
    let project = Project::with_shop(10);
    project.execute("update orders set amount = 'much' where id = 7");
    let seen = project.pintail(&[&RUN[..], &["--json"]].concat());
    assert_eq!(seen.code, Some(6), "{seen}");
    let report = seen.json();
    assert_eq!(
        (&report["status"], &report["errors"]),
        (&"failed".into(), &1.into())
    );
    assert_eq!(report["error"]["kind"], "data");
    assert!(seen.stderr.contains("\nerror: "), "{seen}");
}

#[test]
fn of_two_runs_at_once_the_second_says_so() {
    let project = Project::with_shop(200);
    project.succeed(&RUN);
    project.execute("update orders set change_number = 10000 + 1000 * (id % 5) where id <= 100");
    let mut first = Process::spawn(&mut project.command(&RUN));
    assert!(
        first.wait_for_output(": partition 1 of", LIMIT),
        "{}",
        first.stderr()
    );
    assert!(first.stop(), "the run was over before it could be stopped");
    assert_snapshot!(project.pintail(&RUN), @"
    exit code 8
    --- stderr
    error: pipeline `orders` is already running (process [PID], since [TIME])
    hint: Wait for it to end. Its state can be read with `pintail state show`.
    ");
    assert_eq!(
        project
            .pintail(&["state", "reset", "--config", "pipeline.yaml", "--yes"])
            .code,
        Some(8)
    );
    first.resume();
    let ended = first.wait(LIMIT).expect("a run that goes on ends");
    assert_eq!(ended.code(), Some(0), "{}", first.stderr());
    assert_eq!(
        project.ask("select count(*) filter (change_number >= 10000) from shop.orders"),
        "100"
    );
}

#[test]
fn lines_without_a_terminal_have_no_colours() {
    let project = Project::with_shop(10);
    let seen = project.succeed(&RUN);
    assert!(
        !format!("{seen}").contains('\u{1b}'),
        "{seen:?}",
        seen = seen.stderr
    );
}

#[test]
fn two_sides_that_differ_end_a_run_with_a_code_of_its_own() {
    let project = Project::with_shop(0);
    // A source that does not keep still: the view has another number of rows each time that it is read.
    project.execute(
        "create view moody as
         with recursive numbers (i) as (
             select 1 union all select i + 1 from numbers where i < (select 1000 + abs(random()) % 100000)
         )
         select i as id from numbers",
    );
    project.write_pipeline(
        "name: moody
source_provider: {data_backend: {type: sqlite, datastore_name: shop, table: moody}}
destination_provider: {data_backend: {type: ducklake, datastore_name: lake, table: moody}}
column_map: [{source: id, dest: id, data_type: bigint}]
strategies: [{name: full, type: full}]
",
    );
    let seen = project.pintail(&RUN);
    assert_eq!(seen.code, Some(7), "{seen}");
    assert!(
        seen.stdout.starts_with("refused moody") && seen.stdout.contains("parity mismatch"),
        "{seen}"
    );
    assert!(seen.stderr.contains("note: nothing was committed"), "{seen}");
    let seen = project.pintail(&[&RUN[..], &["--json"]].concat());
    assert_eq!(
        (seen.code, &seen.json()["status"]),
        (Some(7), &"parity_mismatch".into()),
        "{seen}"
    );
    assert_eq!(seen.json()["parity"]["status"], "mismatch");
}

#[test]
fn groups_of_rows_without_a_cursor_are_followed() {
    let project = Project::empty();
    project.execute(
        "create table orders (id integer primary key, user_id integer not null, updated_at timestamp);
         insert into orders values (1, 1, '2026-01-01 10:00:00'), (2, 1, null), (3, 2, null)",
    );
    project.write_pipeline(
        "\
name: orders
sync_type: aggregate
source_provider:
  data_backend: {type: sqlite, datastore_name: shop, table: orders, group_by: [user_id]}
destination_provider:
  data_backend: {type: ducklake, datastore_name: lake, table: orders}
column_map:
  - {source: user_id}
  - {source: count(*), dest: orders, data_type: integer}
strategies:
  - {name: changes, type: delta, column: updated_at, null_cursor: include}
",
    );
    let run = ["run", "--config", "pipeline.yaml", "--json"];
    assert_eq!(project.succeed(&run).json()["kind"], "full");
    project.execute("update orders set user_id = 2 where id = 2");
    let report = project.succeed(&run).json();
    assert_eq!(
        (&report["kind"], &report["rows_updated"]),
        (&"groups".into(), &2.into())
    );
    assert_eq!(
        project.ask("select string_agg(user_id || ':' || orders, ' ' order by user_id) from orders"),
        "1:1 2:2"
    );
}
