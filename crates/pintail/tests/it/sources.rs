//! Sources that cannot be reached, or do not hold what was asked for.

use insta::assert_snapshot;
use pintail_testkit::{PostgresServer, assert_no_canary};

use crate::project::{LAKE, Project};

#[test]
fn a_wrong_password_is_refused_without_showing_it() {
    let server = PostgresServer::shared();
    let database = server.fresh_database();
    let (password, wrong) = ("canary-right-1b7c", "canary-wrong-93fe");
    let user = format!("sync_{}", database.name());
    server.create_user(&user, password);
    let project = Project::empty();
    let seen = project.pintail(&["copy", &database.url_as(&user, wrong), "orders", LAKE]);
    assert_no_canary(&seen.to_string(), &[password, wrong]);
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @"");
}

#[test]
fn a_refused_connection_says_where() {
    // Nobody listens on the port of discarded data.
    let project = Project::empty();
    let seen = project.pintail(&[
        "copy",
        "postgres://sync:canary-77aa@127.0.0.1:9/shop",
        "orders",
        LAKE,
    ]);
    assert_no_canary(&seen.to_string(), &["canary-77aa"]);
    assert_snapshot!(seen, @"");
}

#[test]
fn an_unknown_table_names_the_nearest() {
    let project = Project::with_shop(3);
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "order", LAKE]), @"");
    let database = PostgresServer::shared().fresh_database();
    database.execute("create table public.orders (id int primary key)");
    let seen = project.pintail(&["copy", &database.url(), "public.ordres", LAKE]);
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @"");
}

#[test]
fn a_missing_file_is_not_found() {
    assert_snapshot!(Project::empty().pintail(&["copy", "sqlite:shop.db", "orders", LAKE]), @"");
}

#[test]
fn unknown_columns_are_named_all_at_once() {
    let project = Project::with_shop(3);
    let map = "column_map:
  - {source: id, dest: id, roles: [unique_column]}
  - {source: amont, dest: amount}
  - {source: state, dest: status}
  - {source: change_number, dest: change_number}
strategies:";
    project.change_pipeline("strategies:", map);
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"");
}

#[test]
fn types_without_a_home_are_refused_by_name_with_the_choices() {
    let project = Project::empty();
    let database = PostgresServer::shared().fresh_database();
    database.execute("create table visits (id int primary key, stay interval, spot point, price numeric)");
    let seen = project.pintail(&["copy", &database.url(), "visits", LAKE]);
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @"");
}

#[test]
fn a_value_that_does_not_fit_commits_nothing() {
    let project = Project::with_shop(10);
    project.execute("update orders set amount = 'canary-much' where id = 7");
    let seen = project.pintail(&["run", "--config", "pipeline.yaml"]);
    assert_no_canary(&seen.to_string(), &["canary-much"]);
    assert_snapshot!(seen, @"");
    assert_eq!(
        project.ask("select count(*) from duckdb_tables() where schema_name = 'shop'"),
        "0"
    );
}

#[test]
fn rows_without_a_cursor_end_a_delta_unless_the_pipeline_decides() {
    let project = Project::with_shop(10);
    project.execute(
        "create table events (id integer primary key, seen integer);
         create index events_seen on events (seen);
         insert into events values (1, 1), (2, 2)",
    );
    project.change_pipeline("table: orders}\ndestination", "table: events}\ndestination");
    project.change_pipeline("column: change_number\n", "column: seen\n");
    project.change_pipeline(
        "[{column: change_number, step: 1000}]",
        "[{column: seen, step: 1000}]",
    );
    project.succeed(&["run", "--config", "pipeline.yaml"]);
    project.execute("insert into events values (3, null), (4, 4), (5, null)");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"");
    assert_eq!(project.ask("select count(*) from shop.orders"), "2");

    project.change_pipeline("column: seen\n", "column: seen\n    null_cursor: skip\n");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"");
    assert_eq!(project.ask("select count(*) from shop.orders"), "3");

    project.change_pipeline("null_cursor: skip", "null_cursor: include");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"");
    assert_eq!(project.ask("select count(*) from shop.orders"), "5");
}

#[test]
fn a_cursor_that_changed_its_type_stops_the_run() {
    let project = Project::with_shop(10);
    project.succeed(&["run", "--config", "pipeline.yaml"]);
    project.change_pipeline("column: change_number\n", "column: note\n");
    project.change_pipeline("[{column: change_number, step: 1000}]", "[]");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"");
}
