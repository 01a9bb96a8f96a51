//! Tables in files from the command line: formats, folders, joins, and what cannot be.

use std::process::Command;

use insta::assert_snapshot;
use pintail_testkit::{S3Bucket, S3Server};

use crate::project::{LAKE, Project, Seen};

const RUN: [&str; 3] = ["run", "--config", "pipeline.yaml"];

/// A project whose pipeline writes into files.
pub(crate) fn project(orders: u32, datastore: &str, backend: &str) -> Project {
    let project = Project::with_shop(orders);
    project.write(
        "datastores.yaml",
        &format!(
            "datastores:\n  shop: {{type: sqlite, connection: {{path: shop.db}}}}\n  out: {{{datastore}}}\n  \
             lake: {{type: ducklake, connection: {{catalog: 'sqlite:lake.sqlite', data_path: lake}}}}\n"
        ),
    );
    let system = datastore.split(',').next().unwrap().replace("type: ", "");
    project.write(
        "pipeline.yaml",
        &format!(
            "name: orders
source_provider:
  data_backend: {{type: sqlite, datastore_name: shop, table: orders}}
destination_provider:
  data_backend: {{type: {system}, datastore_name: out, table: shop.orders{backend}}}
strategies:
  - {{name: changes, type: delta, column: change_number}}
  - {{name: everything, type: full}}
"
        ),
    );
    project
}

fn in_bucket(bucket: &S3Bucket) -> String {
    let endpoint = bucket.settings().endpoint.clone().unwrap_or_default();
    format!(
        "type: minio, connection: {{bucket: {}, prefix: out/, endpoint: 'http://{endpoint}', access_key: {}, \
         secret_key: {}, format: json}}",
        bucket.name(),
        S3Server::KEY_ID,
        S3Server::SECRET
    )
}

#[test]
fn a_table_is_loaded_followed_and_read_back_in_every_layout() {
    let bucket = S3Server::shared().fresh_bucket();
    for (datastore, backend) in [
        (
            "type: files, connection: {path: out/, format: csv}".to_owned(),
            ", partition_by: [status]",
        ),
        (
            "type: files, connection: {path: out/, format: json}".to_owned(),
            "",
        ),
        (
            "type: files, connection: {path: out/, partition_by: [status, id]}".to_owned(),
            ", partition_by: [status]",
        ),
        (in_bucket(&bucket), ", partition_by: [status]"),
    ] {
        let project = project(2_000, &datastore, backend);
        let full = project.succeed(&RUN);
        assert!(
            full.stdout.contains("2,000 rows") && full.stdout.contains("parity ok"),
            "{full}"
        );
        project.execute("update orders set status = 'sent/late', change_number = 2000 + id where id <= 300");
        project.execute("insert into orders values (2001, 'new', 1.5, null, '2026-02-01', 2301)");
        let delta = project.succeed(&RUN);
        assert!(
            delta.stdout.contains("1 new, 300 changed") && delta.stdout.contains("parity ok"),
            "{delta}"
        );

        // Back into a lake, by a pipeline that reads what was written.
        project.write(
            "back.yaml",
            &format!(
                "name: back
source_provider:
  data_backend: {{type: {}, datastore_name: out, table: shop.orders}}
destination_provider:
  data_backend: {{type: ducklake, datastore_name: lake, table: shop.orders}}
strategies:
  - {{name: everything, type: full}}
",
                datastore.split(',').next().unwrap().replace("type: ", "")
            ),
        );
        let back = project.succeed(&["run", "--config", "back.yaml"]);
        assert!(
            back.stdout.contains("2,001 rows") && back.stdout.contains("parity ok"),
            "{back}"
        );
        assert_eq!(
            project.ask(
                "select count(*), count(*) filter (status = 'sent/late'), sum(amount), count(note), typeof(any_value(amount)) \
                 from shop.orders"
            ),
            project.ask(
                "select count(*), count(*) filter (status = 'sent/late'), sum(amount), count(note), 'DECIMAL(10,2)' \
                 from shop.orders"
            )
        );
        assert_eq!(
            project.ask("select count(*), count(*) filter (status = 'sent/late') from shop.orders"),
            "2001,300"
        );
    }
}

#[test]
fn joins_filters_and_expressions_run_over_files_duckdb_and_lakes() {
    let project = Project::with_shop(100);
    std::fs::create_dir(project.path("exports")).unwrap();
    project.write("exports/customers.csv", "id,name\n1,Ada\n2,\n3,\"\"\n");
    project.execute(
        "create table customers (id integer primary key, name text);
         insert into customers values (1, 'Ada'), (2, null), (3, '')",
    );
    for table in ["orders", "customers"] {
        project.succeed(&["copy", "sqlite:shop.db", table, LAKE]);
        project.succeed(&["copy", "sqlite:shop.db", table, "duckdb:shop.duckdb"]);
    }
    project.succeed(&[
        "copy",
        "sqlite:shop.db",
        "orders",
        "files:exports/?format=json&partition_by=status",
    ]);
    project.write(
        "datastores.yaml",
        "datastores:
  exports: {type: files, connection: {path: exports/}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite', data_path: lake}}
  file: {type: duckdb, connection: {path: shop.duckdb}}
  out: {type: ducklake, connection: {catalog: 'sqlite:out.sqlite', data_path: out}}
",
    );
    for (system, name, number) in [
        ("files", "exports", "::bigint"),
        ("ducklake", "lake", ""),
        ("duckdb", "file", ""),
    ] {
        project.write(
            "pipeline.yaml",
            &format!(
                "name: joined_{name}
source_provider:
  data_backend:
    type: {system}
    datastore_name: {name}
    table: orders
    alias: o
    join:
      - {{table: customers, alias: c, on: 'o.id % 10 = c.id{number}', type: left}}
    filters: [\"o.status = 'paid'\", o.id > 10]
destination_provider:
  data_backend: {{type: ducklake, datastore_name: out, table: {name}}}
column_map:
  - {{source: o.id, dest: id, roles: [unique_column]}}
  - {{source: c.name, dest: customer}}
  - {{source: 'o.amount * 2', dest: twice}}
  - {{source: 'upper(o.status)', dest: status}}
strategies:
  - {{name: everything, type: full}}
"
            ),
        );
        let run = project.succeed(&RUN);
        assert!(run.stdout.contains("parity ok"), "{run}");
        let asked = project.succeed(&[
            "sql",
            "ducklake:sqlite:out.sqlite?data_path=out",
            &format!(
                "select count(*), count(customer), sum(twice), min(status), typeof(min(twice)) from {name}"
            ),
            "--format",
            "csv",
        ]);
        let expected = project.ask(
            "select count(*), count(*) filter (id % 10 in (1, 3)), sum(amount * 2), 'PAID', typeof(min(amount * 2)) \
             from orders where status = 'paid' and id > 10",
        );
        assert!(
            asked.stdout.ends_with(&format!("{expected}\n")),
            "{name}: {asked} {expected}"
        );
        project.change_pipeline("o.amount * 2", "o.amuont * 2");
        let seen = project.pintail(&RUN);
        assert_eq!(seen.code, Some(2), "{seen}");
        assert!(seen.stderr.contains("the source does not understand"), "{seen}");
    }
}

#[test]
fn what_cannot_be_written_into_files_is_said_when_the_run_is_planned() {
    let project = project(
        10,
        "type: files, connection: {path: out/, format: csv}",
        ", partition_by: [staus]",
    );
    assert_snapshot!(project.pintail(&RUN), @r#"
    exit code 2
    --- stderr
    error: cannot read table "main.orders" as asked
      the folder is partitioned by a column `staus`, which the table does not have there
    hint: did you mean `status`?
    "#);
    project.change_pipeline("[staus]", "[status, status]");
    assert_snapshot!(project.pintail(&RUN), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:5:86: destination_provider.data_backend.partition_by: `partition_by` names `status` twice
    ");
    project.change_pipeline("[status, status]", "[]");
    project.change_pipeline("table: orders}", "table: orders, partition_by: [status]}");
    assert_snapshot!(project.pintail(&RUN), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:3:69: source_provider.data_backend: key `partition_by` belongs to the destination
    ");
    project.change_pipeline(", partition_by: [status]}", "}");
    project.change_pipeline(
        "{type: files, datastore_name: out",
        "{type: ducklake, datastore_name: lake",
    );
    project.change_pipeline(", partition_by: []", ", partition_by: [status]");
    assert_snapshot!(project.pintail(&RUN), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:5:76: destination_provider.data_backend: key `partition_by` belongs to a destination of files
    ");
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "orders", "files:out/?format=jsn"]), @"
    exit code 2
    --- stderr
    error: cannot read the location `files:out/?format=jsn`: `format` is none of `parquet`, `csv` and `json`
    hint: did you mean `json`?
    ");
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "orders", "files:out/?partition_by=status,,id"]), @"
    exit code 2
    --- stderr
    error: cannot read the location `files:out/?partition_by=status,,id`: `partition_by` names a column without a name
    ");
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "orders", "files:out/?partition_by=nothing"]), @r#"
    exit code 2
    --- stderr
    error: cannot read table "main.orders" as asked
      the folder is partitioned by a column `nothing`, which the table does not have there
    hint: known are `id`, `status`, `amount`, `note`, `updated_at` and `change_number`
    "#);
    assert!(!project.path("out").exists());
}

#[test]
fn files_that_are_not_one_table_are_named() {
    let project = Project::with_shop(10);
    project.succeed(&["copy", "sqlite:shop.db", "orders", "files:out/?format=csv"]);
    assert_snapshot!(project.pintail(&["copy", "files:out/?format=json", "orders", LAKE]), @r#"
    exit code 2
    --- stderr
    error: the files of table "orders" are `csv`, and `format` says `json`
    hint: Leave `format` out: Pintail wrote down what it wrote.
    "#);
    std::fs::create_dir_all(project.path("mixed/orders")).unwrap();
    project.write("mixed/orders/a.csv", "id\n1\n");
    project.write("mixed/orders/b.json", "{\"id\": 2}\n");
    assert_snapshot!(project.pintail(&["copy", "files:mixed/", "orders", LAKE]), @r#"
    exit code 2
    --- stderr
    error: the files of table "orders" are of several formats
    hint: Say which one is meant with a pattern like `*.parquet`.
    "#);
    let part = std::fs::read_dir(project.path("out/orders"))
        .unwrap()
        .flatten()
        .find(|entry| entry.path().is_file())
        .unwrap();
    std::fs::remove_file(part.path()).unwrap();
    assert_snapshot!(project.pintail(&["copy", "files:out/", "orders", LAKE]), @r#"
    exit code 6
    --- stderr
    error: the manifest of table "orders" names `out/orders/part-[RUN]-000001-[WORD]-0.csv`, which is not there
    hint: Restore the file from a backup, or load the table in full.
    "#);
    project.succeed(&["copy", "sqlite:shop.db", "orders", "files:out/?format=csv"]);
    project.succeed(&["copy", "files:out/", "orders", LAKE]);
}

#[test]
fn a_plan_shows_what_becomes_of_staged_rows() {
    let project = project(
        10,
        "type: files, connection: {path: out/, format: csv}",
        ", partition_by: [status]",
    );
    let plan = project.succeed(&["run", "--config", "pipeline.yaml", "--plan"]);
    let last: Vec<&str> = plan.stdout.lines().rev().take(12).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    assert_snapshot!(last.join("\n"), @r#"
      source, count the rows independently:
        select rows::bigint as rows from sqlite_query('source', 'select count(*) as rows from "main"."orders" as t');

    then one commit for all partitions
      folder, commit:
        -- <data>/orders/_pintail/stage/<run>/<partition>-1.parquet becomes '<data>/orders/status=<value>/part-<run>.csv', as csv, read again and compared;
        -- put the next manifest in place, if nobody else did;
      folder, compare:
        select count(*)
        from (select "id", "status", "amount", "note", "updated_at", "change_number" from "pintail_files".main."shop.orders@…") as kept
        where pintail_tap(<n>, ("id")::bigint, "id", "status", "amount", "note", "updated_at", "change_number");
    "#);
    assert!(!project.path("out").exists());
}

#[test]
fn a_full_disk_changes_nothing_and_the_next_run_goes_on() {
    for format in ["csv", "json"] {
        let project = project(
            100,
            &format!("type: files, connection: {{path: out/, format: {format}}}"),
            "",
        );
        project.execute("update orders set note = printf('%.*c', 2000, 'x')");
        project.succeed(&RUN);
        project.execute(
            "insert into orders select id + 100, status, amount, note, updated_at, change_number + 1000 from orders;
             insert into orders select id + 200, status, amount, note, updated_at, change_number + 2000 from orders",
        );
        // Parquet packs what repeats itself: the staged file fits, and the one of the table does not.
        let command = project.command(&RUN);
        let mut cramped = Command::new("sh");
        cramped.args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\""]);
        cramped.arg(command.get_program()).args(command.get_args());
        cramped
            .current_dir(project.path(""))
            .env("XDG_STATE_HOME", project.path("state"));
        let seen = Seen::of(&mut cramped);
        assert_eq!(seen.code, Some(5), "{format}: {seen}");
        assert_eq!(count(&project), "100", "{format}");
        let seen = project.succeed(&RUN);
        assert!(seen.stdout.contains("parity ok"), "{seen}");
        assert_eq!(count(&project), "400", "{format}");
        let staged = project.path("out/shop/orders/_pintail/stage");
        assert_eq!(files_below(&staged), 0, "{format}");
    }
}

/// The rows of a table in files, by its manifest.
fn count(project: &Project) -> String {
    let lake = "ducklake:sqlite:count.sqlite?data_path=count";
    project.succeed(&["copy", "files:out/", "shop.orders", lake]);
    let seen = project.succeed(&["sql", lake, "select count(*) from orders", "--format", "csv"]);
    seen.stdout.lines().last().unwrap_or_default().to_owned()
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => files_below(&path),
            _ => 1,
        })
        .sum()
}
