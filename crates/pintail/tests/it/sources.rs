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
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @r#"
    exit code 4
    --- stderr
    error: cannot attach source postgres://sync_fresh@127.0.0.1:[PORT]/fresh
      caused by: password authentication failed for user "sync_fresh"
    hint: Check `user` and `password`.
    "#);
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
        "--retries",
        "0",
    ]);
    assert_no_canary(&seen.to_string(), &["canary-77aa"]);
    assert_snapshot!(seen, @r#"
    exit code 5
    --- stderr
    error: cannot attach source postgres://sync@127.0.0.1:[PORT]/shop
      caused by: connection to server at "127.0.0.1", port [PORT] failed: Connection refused
    hint: Check `host` and `port`, and that the server is running and can be reached from this machine.
    "#);
}

#[test]
fn an_unknown_table_names_the_nearest() {
    let project = Project::with_shop(3);
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "order", LAKE]), @r#"
    exit code 3
    --- stderr
    error: cannot find table "order" in sqlite:shop.db
    hint: Did you mean `orders`?
    "#);
    let database = PostgresServer::shared().fresh_database();
    database.execute("create table public.orders (id int primary key)");
    let seen = project.pintail(&["copy", &database.url(), "public.ordres", LAKE]);
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @r#"
    exit code 3
    --- stderr
    error: cannot find table "public.ordres" in postgres://postgres@127.0.0.1:[PORT]/fresh
    hint: Did you mean `public.orders`?
    "#);
}

#[test]
fn a_missing_file_is_not_found() {
    assert_snapshot!(Project::empty().pintail(&["copy", "sqlite:shop.db", "orders", LAKE]), @"
    exit code 3
    --- stderr
    error: cannot open sqlite:shop.db: there is no such file
    hint: Check the path: Pintail does not make databases that it is to read.
    ");
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
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @r#"
    exit code 3
    --- stderr
    error: cannot read table "main.orders" as asked
      column `amont` does not exist
      column `state` does not exist
    hint: `amont`: did you mean `amount`?
    hint: `state`: known are `id`, `status`, `amount`, `note`, `updated_at` and `change_number`
    "#);
}

#[test]
fn types_without_a_home_are_refused_by_name_with_the_choices() {
    let project = Project::empty();
    let database = PostgresServer::shared().fresh_database();
    database.execute(
        "create table visits (id int primary key, stay numeric[], spot numeric(40,2), price numeric)",
    );
    let seen = project.pintail(&["copy", &database.url(), "visits", LAKE]);
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @r#"
    exit code 2
    --- stderr
    error: cannot read table "public.visits" as asked
      column `stay` is of type `numeric[]`, which has no lossless home
      column `spot` is of type `numeric(40,2)`, which has no lossless home
      column `price` is of type `numeric`, which has no lossless home
    hint: Choose for each such column: `text` keeps it exactly as the source writes it, `decimal` keeps exact numbers, or leave it out. For `pintail copy` that is `--type column=text`, `--type 'column=decimal(38,10)'` or `--skip column`; in the `column_map` of a pipeline file `data_type: text`, or `data_type: decimal` with `precision` and `scale`.
    "#);
}

#[test]
fn a_copy_takes_the_choices_that_a_refusal_names() {
    let project = Project::empty();
    let database = PostgresServer::shared().fresh_database();
    database.execute(
        "create table visits (id int primary key, price numeric, total numeric, fee numeric);
         insert into visits values (1, 12.50, 'NaN', 7), (2, 1e40, 0.1, 7)",
    );
    let (from, copy) = (database.url(), |more: &[&str]| {
        let url = database.url();
        project
            .pintail(&[&["copy", &url, "visits", LAKE], more].concat())
            .to_string()
    });
    let seen = copy(&["--type", "price=text", "--type", "total=text", "--skip", "fee"]);
    assert!(seen.contains("exit code 0"), "{seen}");
    assert_eq!(
        project.ask("select string_agg(id || ' ' || price || ' ' || total, ' | ' order by id) from visits"),
        "1 12.50 NaN | 2 10000000000000000000000000000000000000000 0.1"
    );
    let told = |more: &[&str]| {
        copy(more)
            .replace(&from, "FROM")
            .replace(database.name(), "fresh")
    };
    assert_snapshot!(told(&["--type", "price=decimal(12,2)", "--skip", "total", "--skip", "fees"]), @r#"
    exit code 2
    --- stderr
    error: cannot read table "public.visits" as asked
      column `fee` is of type `numeric`, which has no lossless home
      column `fees` does not exist
    hint: Choose for each such column: `text` keeps it exactly as the source writes it, `decimal` keeps exact numbers, or leave it out. For `pintail copy` that is `--type column=text`, `--type 'column=decimal(38,10)'` or `--skip column`; in the `column_map` of a pipeline file `data_type: text`, or `data_type: decimal` with `precision` and `scale`.
    hint: `fees`: did you mean `fee`?
    "#);
    for (choices, refusal) in [
        (
            ["--type", "price=txt"].as_slice(),
            "`txt` is no data type: did you mean `text`?",
        ),
        (&["--type", "price"], "write `column=type`"),
        (
            &["--type", "price=text(3)"],
            "digits belong to `decimal`, not to `text`",
        ),
        (
            &["--type", "price=decimal(2,3)"],
            "write `decimal(precision,scale)`, with at most 38 digits",
        ),
        (
            &["--type", "price=text", "--skip", "price"],
            "column `price` is chosen for more than once",
        ),
    ] {
        let seen = told(choices);
        assert!(
            seen.starts_with("exit code 2\n") && seen.contains(refusal),
            "{seen}"
        );
    }
}

#[test]
fn a_value_that_does_not_fit_commits_nothing() {
    let project = Project::with_shop(10);
    project.execute("update orders set amount = 'canary-much' where id = 7");
    let seen = project.pintail(&["run", "--config", "pipeline.yaml"]);
    assert_no_canary(&seen.to_string(), &["canary-much"]);
    assert_snapshot!(seen, @r#"
    exit code 6
    --- stderr
    orders: reading about 10 rows in 1 partition
    error: cannot read column `amount` of table "main.orders", partition `all`: a value has no lossless home
      caused by: cannot read partition `all` of table "main.orders" from sqlite:shop.db
      caused by: a value cannot be converted, or does not fit (the value is not shown)
    hint: Nothing was committed. Declare another `data_type` for the column in `column_map` (`text` carries every value), or correct the value in the source.
    "#);
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
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @r#"
    exit code 6
    --- stderr
    orders: reading about 2 rows in 1 partition
    error: cannot follow table "main.events": the cursor column `seen` is NULL in 2 rows
    hint: Fill the column, or set `null_cursor` of the strategy: `include` reads these rows with every run, `skip` leaves them out.
    "#);
    assert_eq!(project.ask("select count(*) from shop.orders"), "2");

    project.change_pipeline("column: seen\n", "column: seen\n    null_cursor: skip\n");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"
    exit code 0
    --- stdout
    synced orders  1 row (1 new)  [DURATION]  parity ok (1 leaf)
    --- stderr
    orders: reading about 2 rows in 1 partition
    note: delta by strategy `changes`: an earlier run left a watermark
    note: run [RUN], which did not end, is left behind: this run does other work
    note: 2 rows have NULL in the cursor column `seen` and were left out
    ");
    assert_eq!(project.ask("select count(*) from shop.orders"), "3");

    project.change_pipeline("null_cursor: skip", "null_cursor: include");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"
    exit code 0
    --- stdout
    synced orders  2 rows (2 new)  [DURATION]  parity ok (1 leaf)
    --- stderr
    orders: reading 1 partition
    note: delta by strategy `changes`: an earlier run left a watermark
    note: nothing to read: everything below 5 was read before
    ");
    assert_eq!(project.ask("select count(*) from shop.orders"), "5");
}

#[test]
fn a_cursor_that_cannot_be_followed_is_refused() {
    let project = Project::with_shop(10);
    project.succeed(&["run", "--config", "pipeline.yaml"]);
    project.change_pipeline("column: change_number\n", "column: note\n");
    project.change_pipeline("[{column: change_number, step: 1000}]", "[]");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @r#"
    exit code 2
    --- stderr
    error: strategy `changes` cannot follow table "main.orders": the cursor `note` is of type `TEXT`, and a delta follows integers, dates and timestamps
    hint: Name the key with `roles: [unique_column]` in `column_map` and the cursor with `column` of the strategy, or run `--strategy full`.
    "#);
}
