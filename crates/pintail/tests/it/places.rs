//! Lakes and folders that cannot be used.

use std::process::Command;

use insta::assert_snapshot;

use crate::project::{LAKE, Project, Seen};

#[test]
fn a_malformed_address_is_shown_without_its_password() {
    let project = Project::empty();
    assert_snapshot!(project.pintail(&["copy", "postgress://sync:canary-1@db/shop", "orders", LAKE]), @"
    exit code 2
    --- stderr
    error: cannot read the location `postgress://sync:***@db/shop`: `postgress` is not a system
    hint: did you mean `postgres`?
    ");
    assert_snapshot!(project.pintail(&["copy", "shop.db", "orders", LAKE]), @"
    exit code 2
    --- stderr
    error: cannot read the location `shop.db`: it does not begin with a system
    hint: a SQLite file is written as `sqlite:<path>`
    ");
    let clickhouse = "clickhouse://root@db/shop";
    let seen = project.pintail(&["copy", "sqlite:shop.db", "orders", clickhouse]);
    assert_eq!(seen.code, Some(2), "{seen}");
    let expected = "cannot read the location `clickhouse://root@db/shop`: `clickhouse` is not built yet\n\
                    hint: this release reads from `postgres`";
    assert!(seen.stderr.contains(expected), "{seen}");
}

#[test]
fn a_lake_that_does_not_exist_is_not_made_by_looking() {
    let project = Project::empty();
    assert_snapshot!(project.pintail(&["sql", LAKE, "select 1"]), @"
    exit code 3
    --- stderr
    error: lake `ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake` does not exist
    hint: Check the path; `pintail copy` and `pintail run` make a lake when they first write to it.
    ");
    assert!(!project.path("lake.sqlite").exists());
}

#[test]
fn a_folder_that_may_not_be_written_is_named() {
    let project = Project::with_shop(3);
    // The kernel's own folder refuses files even to root, whom permissions do not stop.
    let lake = "ducklake:sqlite:lake.sqlite?data_path=/sys/kernel/lake";
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "orders", lake]), @"
    exit code 4
    --- stderr
    error: cannot create folder `/sys/kernel/lake`
      caused by: [REFUSED]
    ");
    let catalogue = "ducklake:sqlite:/sys/kernel/lake.sqlite?data_path=lake";
    let seen = project.pintail(&["copy", "sqlite:shop.db", "orders", catalogue]);
    assert!(
        seen.code != Some(0)
            && seen
                .stderr
                .contains("lake `ducklake:sqlite:/sys/kernel/lake.sqlite"),
        "{seen}"
    );
    let state = [
        "copy",
        "sqlite:shop.db",
        "orders",
        LAKE,
        "--state-dir",
        "/sys/kernel/state",
    ];
    assert_snapshot!(project.pintail(&state), @"
    exit code 4
    --- stderr
    error: cannot create folder `/sys/kernel/state/locks`
      caused by: [REFUSED]
    ");
}

#[test]
fn a_full_disk_commits_nothing_and_a_rerun_goes_on() {
    let project = Project::with_shop(300_000);
    project.succeed(&["copy", "sqlite:shop.db", "orders", LAKE, "--plan"]);
    let copy = ["copy", "sqlite:shop.db", "orders", LAKE];
    // A limit on the size of files stands in for a disk that is full: the system refuses to write either way.
    let mut limited = Command::new("sh");
    limited
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 1500; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_pintail"),
        ])
        .args(copy)
        .current_dir(project.path(""))
        .env("XDG_STATE_HOME", project.path("state"));
    assert_snapshot!(Seen::of(&mut limited), @r#"
    exit code 5
    --- stderr
    orders: reading about 300,000 rows in 1 partition
    error: cannot read partition `all` of table "main.orders" from sqlite:shop.db
      caused by: IO Error: Could not write file "[FOLDER]/lake/main/orders/[RUN]/all-1.parquet": File too large
    "#);
    assert_eq!(
        project.ask("select count(*) from duckdb_tables() where table_name = 'orders'"),
        "0"
    );
    project.succeed(&copy);
    assert_eq!(project.ask("select count(*) from orders"), "300000");
}

#[test]
fn a_lake_of_a_newer_format_is_refused_and_left_alone() {
    let project = Project::with_shop(3);
    project.succeed(&["copy", "sqlite:shop.db", "orders", LAKE]);
    project.execute_in(
        "lake.sqlite",
        "update ducklake_metadata set value = '99.0' where key = 'version'",
    );
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "orders", LAKE]), @"
    exit code 2
    --- stderr
    error: lake `ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake` has a catalogue format that this release does not know
    hint: Use the release of Pintail that last wrote to it, or a newer one. Nothing was changed.
    ");
    assert_snapshot!(project.pintail(&["sql", LAKE, "from orders"]), @"
    exit code 2
    --- stderr
    error: lake `ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake` has a catalogue format that this release does not know
    hint: Use the release of Pintail that last wrote to it, or a newer one. Nothing was changed.
    ");
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let project = Project::empty();
    project.write("shop.db", &"this is not a database\n".repeat(100));
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "orders", LAKE]), @"
    exit code 2
    --- stderr
    error: cannot look a table up: the file is no SQLite database, or an encrypted one
    hint: Check the path.
    ");
}
