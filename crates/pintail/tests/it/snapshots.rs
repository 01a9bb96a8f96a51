//! `pintail snapshot`, and `pintail sql --write`.

use insta::assert_snapshot;
use pintail_lake::{Access, Call, DatabaseFile, Engine, EngineSettings};

use crate::project::{Project, Seen};

/// Where and of what, as the examples have it.
const PLACE: [&str; 4] = ["--project", "123", "--database", "shop.duckdb"];

pub(crate) fn execute(project: &Project, sql: &str) {
    let file = DatabaseFile {
        path: project.path("shop.duckdb"),
        address: "shop.duckdb".to_owned(),
    };
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    file.attach(&engine, "db", Access::ReadWrite, None)
        .expect("a database");
    let session = engine.session().expect("a session");
    session
        .batch(Call::new("use it"), "use db.main")
        .expect("it is there");
    session
        .batch(Call::new("execute"), sql)
        .expect("valid statements");
}

pub(crate) fn value(project: &Project, sql: &str) -> String {
    let seen = project.succeed(&["sql", "duckdb:shop.duckdb", sql, "--format", "csv"]);
    seen.stdout.lines().skip(1).collect::<Vec<_>>().join("\n")
}

/// A folder with a shop in a DuckDB file.
pub(crate) fn shop() -> (Project, insta::internals::SettingsBindDropGuard) {
    let project = Project::empty();
    execute(
        &project,
        "create schema in_c_customers;
         create table in_c_customers.customers (id bigint primary key, name varchar not null, email varchar);
         insert into in_c_customers.customers select i, 'name ' || i, i || '@example.com' from range(1500) as r (i);
         create schema in_c_orders;
         create table in_c_orders.orders (id bigint, took interval);
         insert into in_c_orders.orders select i, to_days(i::integer) from range(300) as r (i);
         create view in_c_orders.long_ones as select * from in_c_orders.orders where took > interval 100 days",
    );
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{8}_\d{6}(_\d+)?", "[SECOND]");
    settings.add_filter(r"[\d.]+ (KiB|B)\b", "[SIZE]");
    settings.add_filter(r" +\[SIZE\]", " [SIZE]");
    // Tables are as wide as sizes are.
    settings.add_filter(r"[┌╞└][─═┬╪┴┐╡┘]+", "────");
    (project, settings.bind_to_scope())
}

fn create(project: &Project, id: &str) -> Seen {
    let arguments = [
        &["snapshot", "create", "--id", id, "--created-by", "ada"][..],
        &PLACE,
    ]
    .concat();
    project.succeed(&arguments)
}

#[test]
fn a_snapshot_is_taken_shown_and_restored() {
    let (project, _filters) = shop();
    assert_snapshot!(create(&project, "before"), @"
    exit code 0
    --- stdout
    took snapshot before  2 tables · 1,800 rows · [SIZE] · [DURATION] · read back
      in_c_customers.customers  1,500 rows · [SIZE]
      in_c_orders.orders  300 rows · [SIZE]
    ");
    execute(&project, "update in_c_orders.orders set took = null where id = 7");
    assert_snapshot!(create(&project, "after"), @"
    exit code 0
    --- stdout
    took snapshot after  2 tables · 1,800 rows · [SIZE] · [DURATION] · read back
      in_c_customers.customers  1,500 rows · unchanged since before
      in_c_orders.orders  300 rows · [SIZE]
    ");
    assert_snapshot!(project.pintail(&["snapshot", "list", "--project", "123"]), @"
    exit code 0
    --- stdout
    ────
    │ snapshot ┆ taken                ┆ type   ┆ tables ┆  rows ┆     size ┆ proof     ┆ description │
    ────
    │ before   ┆ [TIME] ┆ manual ┆      2 ┆ 1,800 ┆ [SIZE] ┆ read back ┆             │
    │ after    ┆ [TIME] ┆ manual ┆      2 ┆ 1,800 ┆ [SIZE] ┆ read back ┆             │
    ────
    2 snapshots
    ");
    assert_snapshot!(project.pintail(&["snapshot", "show", "after", "--project", "123"]), @"
    exit code 0
    --- stdout
    after of project 123
      taken        [TIME] by ada, manual
      of           duckdb:[FOLDER]/shop.duckdb, branch main
      proof        read back
      after        before
      in_c_customers.customers  1,500 rows · [SIZE] · in_c_customers.customers.parquet
        id BIGINT, key
        name VARCHAR
        email VARCHAR
      in_c_orders.orders  300 rows · [SIZE] · in_c_orders.orders.parquet
        id BIGINT
        took INTERVAL, stored as VARCHAR
      view in_c_orders.long_ones
    ");
    let diff = [&["snapshot", "diff", "before", "--rows", "5"][..], &PLACE].concat();
    assert_snapshot!(project.pintail(&diff), @"
    exit code 0
    --- stdout
    before of [TIME], and since then in duckdb:shop.duckdb
      in_c_customers.customers  same
      in_c_orders.orders  1 added · 1 removed · 0 changed
        added  7, NULL
        removed  7, 7 days
    ");
    assert_snapshot!(project.pintail(&["snapshot", "verify", "--all", "--project", "123"]), @"
    exit code 0
    --- stdout
    sound  2 snapshots · 4 files · [SIZE] read · [DURATION]
    ");
    let restore = [&["snapshot", "restore", "before"][..], &PLACE].concat();
    assert_snapshot!(project.pintail(&[&restore[..], &["--dry-run"]].concat()), @"
    exit code 0
    --- stdout
    would restore before into duckdb:shop.duckdb
      in_c_customers.customers  1,500 rows, replaces what is there
      in_c_orders.orders  300 rows, replaces what is there
      view in_c_orders.long_ones  is there, and stays
    ");
    assert_snapshot!(project.pintail(&restore), @"
    exit code 2
    --- stderr
    error: replacing tables has to be confirmed
    hint: Add `--yes`.
    ");
    let one = [
        &restore[..],
        &["--yes", "--table", "in_c_orders.orders", "--created-by", "ada"],
    ]
    .concat();
    assert_snapshot!(project.pintail(&one), @"
    exit code 0
    --- stdout
    restored before into duckdb:shop.duckdb  1 table · 300 rows · [DURATION] · verified
      in_c_orders.orders  300 rows, replaces what is there
      what was replaced is kept in auto_predrop_[SECOND]
    ");
    assert_eq!(
        value(&project, "select count(took) from in_c_orders.orders"),
        "300"
    );
    assert_snapshot!(project.pintail(&["snapshot", "drill", "--project", "123", "--count", "5", "--json"]).code.map_or_else(String::new, |code| code.to_string()), @"0");
}

#[test]
fn json_is_the_manifest() {
    let (project, _filters) = shop();
    let created = project
        .succeed(
            &[
                &["snapshot", "create", "--json", "--description", "Before"][..],
                &PLACE,
            ]
            .concat(),
        )
        .json();
    let id = created["snapshot_id"].as_str().expect("an id").to_owned();
    let shown = project
        .succeed(&["snapshot", "show", &id, "--project", "123", "--json"])
        .json();
    assert_eq!(shown, created);
    assert_eq!(shown["type"], "manual");
    assert_eq!(shown["tables"][0]["schema"]["primary_key"][0], "id");
    let file = std::fs::read_to_string(project.path(&format!("snapshots/123/{id}/metadata.json")))
        .expect("the manifest");
    let mut file: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    file.as_object_mut().expect("an object").remove("manifest_sha256");
    assert_eq!(file, shown);
    let listed = project
        .succeed(&["snapshot", "list", "--project", "123", "--json"])
        .json();
    assert_eq!(listed["snapshots"][0], shown);
    for arguments in [
        &["snapshot", "explain", &id, "--project", "123", "--json"][..],
        &["snapshot", "verify", &id, "--project", "123", "--json"],
        &["snapshot", "hold", &id, "--project", "123", "--json"],
        &["snapshot", "release", &id, "--project", "123", "--json"],
        &["snapshot", "prune", "--project", "123", "--json"],
        &["snapshot", "settings", "get", "--project", "123", "--json"],
        &["snapshot", "drill", "--project", "123", "--json"],
    ] {
        assert!(project.succeed(arguments).json().is_object(), "{arguments:?}");
    }
}

#[test]
fn a_flipped_bit_is_named() {
    let (project, _filters) = shop();
    create(&project, "before");
    let file = project.path("snapshots/123/before/in_c_orders.orders.parquet");
    let mut bytes = std::fs::read(&file).expect("the file");
    bytes[200] ^= 8;
    std::fs::write(&file, bytes).expect("the file");
    assert_snapshot!(project.pintail(&["snapshot", "verify", "before", "--project", "123"]), @"
    exit code 7
    --- stdout
    1 finding  1 snapshot · 2 files · [SIZE] read · [DURATION]
      before/in_c_orders.orders.parquet  changed after it was written
    ");
    let restore = [&["snapshot", "restore", "before", "--yes"][..], &PLACE].concat();
    assert_snapshot!(project.pintail(&restore), @"
    exit code 6
    --- stderr
    error: cannot use `snapshots/123/before/in_c_orders.orders.parquet`: it is not what was written when the snapshot was taken
    hint: `pintail snapshot verify --all` says which snapshots are sound; `list --table` which have the table.
    ");
    assert_snapshot!(project.pintail(&["snapshot", "drill", "--project", "123"]), @"
    exit code 7
    --- stdout
    failed  before
      cannot use `snapshots/123/before/in_c_orders.orders.parquet`: it is not what was written when the snapshot was taken
    ");
}

#[test]
fn what_is_not_there_is_named() {
    let (project, _filters) = shop();
    let show = |id: &str, of: &str| project.pintail(&["snapshot", "show", id, "--project", of]);
    assert_snapshot!(show("before", "123"), @"
    exit code 3
    --- stderr
    error: there is no project `123` in `snapshots`
    hint: `pintail snapshot create` makes it; `--dir` says where snapshots lie.
    ");
    create(&project, "before");
    assert_snapshot!(show("befroe", "123"), @"
    exit code 3
    --- stderr
    error: project `123` has no snapshot `befroe`
    hint: `pintail snapshot list --project 123` shows them.
    ");
    assert_snapshot!(show("../123/before", "123"), @"
    exit code 2
    --- stderr
    error: `../123/before` is not the id of a snapshot
    hint: It is the name of a folder: up to 128 of a-z, A-Z, 0-9, `_`, `-` and single dots, not a dot or dash first.
    ");
    assert_snapshot!(show("it's \"quoted\" 🦆", "123"), @r#"
    exit code 2
    --- stderr
    error: `it's "quoted" 🦆` is not the id of a snapshot
    hint: It is the name of a folder: up to 128 of a-z, A-Z, 0-9, `_`, `-` and single dots, not a dot or dash first.
    "#);
    assert_snapshot!(show(&"x".repeat(300), "123"), @"
    exit code 2
    --- stderr
    error: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not the id of a snapshot
    hint: It is the name of a folder: up to 128 of a-z, A-Z, 0-9, `_`, `-` and single dots, not a dot or dash first.
    ");
    assert_snapshot!(show("before", "../etc"), @"
    exit code 2
    --- stderr
    error: `../etc` is not the id of a project
    hint: It is the name of a folder: up to 128 of a-z, A-Z, 0-9, `_`, `-` and single dots, not a dot or dash first.
    ");
    let create = |arguments: &[&str]| {
        let arguments = [&["snapshot", "create", "--project", "123"][..], arguments].concat();
        project.pintail(&arguments)
    };
    assert_snapshot!(create(&["--database", "shop.duckdb", "--table", "in_c_orders.oders"]), @r#"
    exit code 3
    --- stderr
    error: duckdb:shop.duckdb has no table "in_c_orders.oders"
    hint: Write `table` for one of schema `main`, or `schema.table`; a part with dots stands in double quotes.
    "#);
    assert_snapshot!(create(&["--database", "shop.duckdb", "--id", "before"]), @"
    exit code 9
    --- stderr
    error: project `123` has a snapshot `before` already
    hint: Choose another `--id`, or none: one is made of the time then.
    ");
    assert_snapshot!(create(&["--database", "nowhere.duckdb"]), @"
    exit code 3
    --- stderr
    error: cannot open duckdb:nowhere.duckdb: there is no such file
    hint: Check the path.
    ");
    assert_snapshot!(create(&["--database", "sqlite:shop.db"]), @"
    exit code 2
    --- stderr
    error: `sqlite:shop.db` is of type `sqlite`, and snapshots are taken of DuckDB files and lakes
    hint: Write the path of the file, `duckdb:<path>`, or the address of a lake.
    ");
    project.write(
        "text.duckdb",
        "not a database, but long enough to look like one if one looks at its size only",
    );
    assert_snapshot!(create(&["--database", "text.duckdb"]), @"
    exit code 2
    --- stderr
    error: cannot open duckdb:text.duckdb: the file is no DuckDB database
    hint: Check the path.
    ");
    let restore = [
        &["snapshot", "restore", "before", "--table", "in_c_orders.oders"][..],
        &PLACE,
    ]
    .concat();
    assert_snapshot!(project.pintail(&restore), @r#"
    exit code 3
    --- stderr
    error: snapshot `before` has no table "in_c_orders.oders"
    hint: `pintail snapshot show before --project 123` lists its tables.
    "#);
}

#[test]
fn a_manifest_that_was_edited_is_told() {
    let (project, _filters) = shop();
    create(&project, "before");
    let file = project.path("snapshots/123/before/metadata.json");
    let text = std::fs::read_to_string(&file).expect("the manifest");
    std::fs::write(&file, text.replace("\"row_count\": 300", "\"row_count\": 299")).expect("the manifest");
    assert_snapshot!(project.pintail(&["snapshot", "show", "before", "--project", "123"]), @"
    exit code 6
    --- stderr
    error: cannot use manifest `snapshots/123/before/metadata.json`: it was changed after it was written
    hint: A manifest never changes after it was written. Put a copy of the file back, or use another snapshot: `pintail snapshot list` shows them.
    ");
    assert_snapshot!(project.pintail(&["snapshot", "verify", "before", "--project", "123"]), @"
    exit code 7
    --- stdout
    1 finding  1 snapshot · 0 files · [SIZE] read · [DURATION]
      before/metadata.json  changed after it was written
    ");
    assert_snapshot!(project.pintail(&["snapshot", "list", "--project", "123"]), @"
    exit code 6
    --- stderr
    before  cannot use manifest `snapshots/123/before/metadata.json`: it was changed after it was written
    ");
    std::fs::write(
        &file,
        text.replace("\"format_version\": 1", "\"format_version\": 7"),
    )
    .expect("the manifest");
    assert_snapshot!(project.pintail(&["snapshot", "show", "before", "--project", "123"]), @"
    exit code 2
    --- stderr
    error: cannot use manifest `snapshots/123/before/metadata.json`: its format is 7, and this release reads up to 2
    hint: Use the release of Pintail that wrote it, or a newer one.
    ");
}

#[test]
fn why_one_is_kept_is_explained_and_what_is_over_goes() {
    let (project, _filters) = shop();
    create(&project, "before");
    create(&project, "after");
    let explain = |id: &str| project.pintail(&["snapshot", "explain", id, "--project", "123"]);
    assert_snapshot!(explain("before"), @"
    exit code 0
    --- stdout
    before
      kept until [TIME]: manual_days is 90 (default)
      goes with the first `prune` after [TIME]
      shares files with after
      followed by after
    ");
    assert_snapshot!(explain("after"), @"
    exit code 0
    --- stdout
    after
      kept until [TIME]: manual_days is 90 (default)
      the last good snapshot of in_c_customers.customers, which is never pruned
      the last good snapshot of in_c_orders.orders, which is never pruned
      does not go by its age
      shares files with before
    ");
    project.succeed(&[
        "snapshot",
        "hold",
        "before",
        "--project",
        "123",
        "--by",
        "ada",
        "--reason",
        "audit",
    ]);
    assert_snapshot!(project.pintail(&["snapshot", "delete", "before", "--project", "123", "--yes"]), @"
    exit code 9
    --- stderr
    error: snapshot `before` is held by ada since [TIME]
    hint: `pintail snapshot release before --project 123` lets go of it.
    ");
    project.succeed(&["snapshot", "release", "before", "--project", "123"]);
    assert_snapshot!(project.pintail(&["snapshot", "delete", "before", "--project", "123"]), @"
    exit code 2
    --- stderr
    error: deleting a snapshot has to be confirmed
    hint: Add `--yes`.
    ");
    project.succeed(&["snapshot", "delete", "before", "--project", "123", "--yes"]);
    assert_snapshot!(project.pintail(&["snapshot", "prune", "--project", "123", "--dry-run"]), @"
    exit code 0
    --- stdout
    would prune  0 marked · 0 removed · 1 kept
      waits    before  goes after [TIME]
    ");
    assert_snapshot!(project.pintail(&["snapshot", "prune", "--project", "123", "--grace", "0s", "--yes"]), @"
    exit code 0
    --- stdout
    pruned  0 marked · 1 removed · 1 kept
      removed  before
    ");
    let set = |arguments: &[&str]| {
        let arguments = [
            &["snapshot", "settings", "set", "--project", "123"][..],
            arguments,
        ]
        .concat();
        project.pintail(&arguments)
    };
    assert_snapshot!(set(&["manual_days", "9999"]), @"
    exit code 2
    --- stderr
    error: cannot set `manual_days` to 9999
    hint: It is a number of days from 1 to 3650. `pintail snapshot hold` keeps a snapshot for ever.
    ");
    assert_snapshot!(set(&["keep_last", "often"]), @"
    exit code 2
    --- stderr
    error: `often` is not a value of a setting
    hint: Write a number, `on` or `off`, or `default` to let the level above decide.
    ");
    assert_eq!(
        set(&["--bucket", "in_c_orders", "manual_days", "30"]).code,
        Some(0)
    );
    assert_snapshot!(set(&["--table", "in_c_orders.orders", "drop_table", "off"]), @"
    exit code 0
    --- stdout
    ────
    │ setting         ┆ value ┆ from                     │
    ────
    │ manual_days     ┆ 30    ┆ bucket in_c_orders       │
    │ auto_days       ┆ 7     ┆ default                  │
    │ keep_last       ┆ 0     ┆ default                  │
    │ keep_daily      ┆ 0     ┆ default                  │
    │ keep_weekly     ┆ 0     ┆ default                  │
    │ keep_monthly    ┆ 0     ┆ default                  │
    │ drop_table      ┆ off   ┆ table in_c_orders.orders │
    │ truncate_table  ┆ on    ┆ default                  │
    │ delete_all_rows ┆ on    ┆ default                  │
    │ drop_column     ┆ on    ┆ default                  │
    │ replace_table   ┆ on    ┆ default                  │
    ────
    days begin in UTC
    ");
}

#[test]
fn what_a_statement_takes_away_is_kept_first() {
    let (project, _filters) = shop();
    let sql =
        |query: &str| project.pintail(&["sql", "duckdb:shop.duckdb", query, "--write", "--project", "123"]);
    assert_snapshot!(sql("drop table in_c_orders.orders"), @"
    exit code 0
    --- stderr
    kept in_c_orders.orders in auto_predrop_[SECOND]
    ");
    assert_snapshot!(sql("insert into in_c_customers.customers values (1500, 'new', null)"), @"
    exit code 0
    --- stdout
    ────
    │ Count │
    ────
    │     1 │
    ────
    1 row
    ");
    assert_snapshot!(sql("attach 'x' as y; drop table y.z"), @"
    exit code 2
    --- stderr
    error: a statement attaches another database, so what others take away could not be kept first
    hint: Run the statements that it is about directly, with full names.
    ");
    assert_snapshot!(sql("drop table nothing"), @r#"
    exit code 3
    --- stderr
    error: cannot run the statement
      caused by: Catalog Error: Table with name nothing does not exist!
        Did you mean "pg_settings"?
    "#);
    assert_snapshot!(project.pintail(&["sql", "duckdb:shop.duckdb", "drop table in_c_customers.customers"]), @"
    exit code 2
    --- stderr
    error: cannot run the query: it would write
    hint: `pintail sql` attaches the place read-only.
    ");
    assert_eq!(
        value(&project, "select count(*) from in_c_customers.customers"),
        "1501"
    );
}
