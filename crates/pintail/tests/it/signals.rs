//! Ctrl-C, and worse.

use std::time::Duration;

use insta::assert_snapshot;
use pintail_testkit::Process;

use crate::project::{Project, Seen};

const RUN: [&str; 3] = ["run", "--config", "pipeline.yaml"];

/// Longer than any run of these tests takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A shop of which a delta will read seven partitions, six of them with many rows.
fn half_done() -> Project {
    let project = Project::with_shop(60_000);
    project.change_pipeline("step: 1000", "step: 10000");
    project.succeed(&RUN);
    project.execute("update orders set status = 'sent', change_number = 60000 + id");
    project
}

fn sent(project: &Project) -> u64 {
    project
        .ask("select count(*) filter (status = 'sent') from shop.orders")
        .parse()
        .expect("a number")
}

#[test]
fn an_interrupt_ends_a_run_between_two_commits() {
    let project = half_done();
    let mut run = Process::spawn(&mut project.command(&RUN));
    assert!(run.wait_for_output(": partition 2 of", LIMIT), "{}", run.stderr());
    // It stands still until the signal is there.
    assert!(run.stop(), "the run was over before it could be stopped");
    run.interrupt();
    run.resume();
    let status = run.wait(LIMIT).expect("an interrupted run ends");
    let seen = Seen {
        code: status.code(),
        stdout: run.stdout(),
        stderr: run.stderr(),
    };
    assert_eq!(seen.code, Some(130), "{seen}");
    let said = seen
        .stderr
        .lines()
        .filter(|line| !line.contains(": partition "))
        .collect::<Vec<_>>()
        .join("\n");
    let committed = sent(&project);
    // How many partitions come through until it stands still is up to the machine.
    let partitions = committed / 10_000 + 1;
    let said = said.replace(&format!("{partitions} of 7"), "[SOME] of 7");
    assert_snapshot!(said, @"
    orders: reading about 59,999 rows in 7 partitions
    stopping between two commits; press Ctrl-C again to end at once
    error: pipeline `orders` was stopped on request: [SOME] of 7 partitions are committed
    hint: Start it again: it goes on where it was stopped.
    ");

    assert!((19_000..60_000).contains(&committed), "{committed} rows are in");
    assert_eq!(committed % 10_000, 9_999, "part of a partition is in");
    let report = project.succeed(&[&RUN[..], &["--json"]].concat()).json();
    assert_eq!(report["resumed"], true);
    assert!(report["partitions_skipped"].as_u64() >= Some(2), "{report:#}");
    assert_eq!(sent(&project), 60_000);
}

#[test]
fn an_interrupt_before_the_first_commit_leaves_the_lake_as_it_was() {
    let project = Project::empty();
    // Nobody reads this view to its end.
    project.execute(
        "create table numbers (i integer);
         insert into numbers
         with recursive n (i) as (select 0 union all select i + 1 from n where i < 999) select i from n;
         create view orders as
         select a.i + 1000 * (b.i + 1000 * (c.i + 1000 * d.i)) as id
         from numbers a, numbers b, numbers c, numbers d",
    );
    project.write_pipeline(
        "name: orders
source_provider: {data_backend: {type: sqlite, datastore_name: shop, table: orders}}
destination_provider: {data_backend: {type: ducklake, datastore_name: lake, schema: shop, table: orders}}
column_map: [{source: id, dest: id, data_type: bigint}]
strategies: [{name: everything, type: full}]
",
    );
    let mut run = Process::spawn(&mut project.command(&RUN));
    assert!(run.wait_for_output("orders: reading", LIMIT), "{}", run.stderr());
    run.interrupt();
    let status = run.wait(LIMIT).expect("an interrupted run ends");
    let seen = Seen {
        code: status.code(),
        stdout: run.stdout(),
        stderr: run.stderr(),
    };
    assert_snapshot!(seen, @"
    exit code 130
    --- stderr
    orders: reading 1 partition
    stopping between two commits; press Ctrl-C again to end at once
    error: pipeline `orders` was stopped on request: nothing of this run is committed
    hint: Start it again: it goes on where it was stopped.
    ");
    assert_eq!(
        project.ask("select count(*) from duckdb_tables() where schema_name = 'shop'"),
        "0"
    );
    project.execute("drop view orders; create table orders (id integer); insert into orders values (1), (2)");
    project.succeed(&RUN);
    assert_eq!(project.ask("select count(*) from shop.orders"), "2");
}

#[test]
fn a_killed_run_is_resumed_without_losing_or_doubling() {
    let project = half_done();
    let mut run = Process::spawn(&mut project.command(&RUN));
    assert!(run.wait_for_output(": partition 3 of", LIMIT), "{}", run.stderr());
    run.kill();
    let report = project.succeed(&[&RUN[..], &["--json"]].concat()).json();
    assert!(report["partitions_skipped"].as_u64() >= Some(3), "{report:#}");
    assert_eq!(
        project.ask("select count(*), count(distinct id) from shop.orders"),
        "60000,60000"
    );
    assert_eq!(sent(&project), 60_000);
}

#[test]
fn an_interrupt_ends_a_query() {
    let project = Project::empty();
    project.execute("create table numbers (i integer)");
    let endless = "select count(*) from range(100000000000) a, range(1000) b";
    let mut query = Process::spawn(
        project
            .command(&["sql", "sqlite:shop.db", endless])
            .env("PINTAIL_LOG_LEVEL", "debug"),
    );
    assert!(query.wait_for_output("query began", LIMIT), "{}", query.stderr());
    query.interrupt();
    let status = query.wait(LIMIT).expect("an interrupted query ends");
    assert_eq!(status.code(), Some(130), "{}", query.stderr());
    assert!(
        query
            .stderr()
            .contains("error: stopped on request while trying to run the query"),
        "{}",
        query.stderr()
    );
}
