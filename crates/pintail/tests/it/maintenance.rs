//! `pintail lake maintain`.

use insta::assert_snapshot;

use crate::project::{LAKE, Project};

const RUN: [&str; 3] = ["run", "--config", "pipeline.yaml"];

/// A lake with four commits of a delta in it.
fn project() -> Project {
    let project = Project::with_shop(1_000);
    project.succeed(&RUN);
    for change in 1..=4 {
        project.execute(&format!(
            "update orders set change_number = {change} * 1000 + id where (id - 1) / 100 = {change}"
        ));
        project.succeed(&RUN);
    }
    project
}

#[test]
fn a_dry_run_says_in_numbers_what_would_be_done_and_changes_nothing() {
    let project = project();
    let before = project.snapshot();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[\d.]+ (KiB|B)\b", "[SIZE]");
    let _filters = settings.bind_to_scope();
    let dry_run = [
        "lake",
        "maintain",
        "lake",
        "--dry-run",
        "--expire-older-than",
        "30d",
    ];
    assert_snapshot!(project.pintail(&dry_run), @"
    exit code 0
    --- stdout
    would maintain ducklake:sqlite:lake.sqlite?data_path=lake
      shop.orders  5 files, [SIZE] · 400 deleted rows · rewrite 1 file into 1 · merge 5 files into about 1
      snapshots  expire 0 older than 30 d, keep 7
      old files  remove 0 unneeded for 1 d, 3 too young
    ");
    assert_eq!(project.snapshot(), before);
    assert_snapshot!(project.pintail(&["lake", "maintain", LAKE]), @"
    exit code 0
    --- stdout
    maintained ducklake:sqlite:lake.sqlite?data_path=lake
      shop.orders  5 files, [SIZE] · 400 deleted rows · rewrite 1 file into 1 · merge 5 files into 1
      snapshots  kept all
      old files  remove 0 unneeded for 1 d, 8 too young
    ");
    assert_eq!(
        project.ask("select count(*), sum(id) from shop.orders"),
        "1000,500500"
    );
    assert_snapshot!(project.pintail(&["lake", "maintain", LAKE, "--table", "shop.orders"]), @"
    exit code 0
    --- stdout
    maintained ducklake:sqlite:lake.sqlite?data_path=lake
      shop.orders  1 file, [SIZE] · nothing to do
    ");
    let json = project.succeed(&["lake", "maintain", LAKE, "--json"]).json();
    assert_eq!(json["tables"][0]["table"], "shop.orders");
    project.succeed(&RUN);
}

#[test]
fn what_cannot_be_maintained_is_named() {
    let project = project();
    assert_snapshot!(project.pintail(&["lake", "maintain", "lkae"]), @"
    exit code 3
    --- stderr
    error: there is no datastore `lkae` in `datastores.yaml`
    hint: did you mean `lake`?
    ");
    assert_snapshot!(project.pintail(&["lake", "maintain", "shop"]), @"
    exit code 2
    --- stderr
    error: `shop` is no lake but of type `sqlite`
    ");
    assert_snapshot!(project.pintail(&["lake", "maintain", "ducklake:sqlite:other.sqlite"]), @"
    exit code 3
    --- stderr
    error: lake `ducklake:sqlite:[FOLDER]/other.sqlite?data_path=[FOLDER]/other.files` does not exist
    hint: Check the path; `pintail copy` and `pintail run` make a lake when they first write to it.
    ");
    assert_snapshot!(project.pintail(&["lake", "maintain", "lake", "--table", "shop.oders"]), @r#"
    exit code 3
    --- stderr
    error: lake `ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake` has no table "shop.oders"
    hint: `pintail lake maintain --dry-run` without `--table` lists its tables.
    "#);
    assert_snapshot!(project.pintail(&["lake", "maintain", "lake", "--expire-older-than", "5m"]), @"
    exit code 2
    --- stderr
    error: `--expire-older-than` is less than an hour
    hint: What is younger may be what a run compares or a query reads.
    ");
    assert_snapshot!(project.pintail(&["lake", "maintain", "lake", "--expire-older-than", "soon"]), @"
    exit code 2
    --- stderr
    error: invalid value 'soon' for '--expire-older-than <AGE>': write an age like `36h`, `7d` or `2w`

    For more information, try '--help'.
    ");
}

#[test]
fn a_folder_is_maintained_like_a_lake() {
    let project = crate::files::project(1_000, "type: files, connection: {path: out/, format: csv}", "");
    project.succeed(&RUN);
    for change in 1..=3 {
        let more = change * 1000;
        project.execute(&format!(
            "insert into orders
             select id + {more}, status, amount, note, updated_at, id + {more} from orders where id <= 100"
        ));
        project.succeed(&RUN);
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[\d.]+ (KiB|B)\b", "[SIZE]");
    let _filters = settings.bind_to_scope();
    let maintain = ["lake", "maintain", "files:out/", "--dry-run"];
    assert_snapshot!(project.pintail(&maintain), @"
    exit code 0
    --- stdout
    would maintain files:out/
      shop.orders  4 files, [SIZE] · merge 4 files into about 1
      old files  remove 4 replaced ones
    ");
    assert_snapshot!(project.pintail(&maintain[..3]), @"
    exit code 0
    --- stdout
    maintained files:out/
      shop.orders  4 files, [SIZE] · merge 4 files into 1
      old files  remove 4 replaced ones
    ");
    assert_snapshot!(project.pintail(&maintain[..3]), @"
    exit code 0
    --- stdout
    maintained files:out/
      shop.orders  1 file, [SIZE] · nothing to do
      old files  remove 0 replaced ones
    ");
    assert_snapshot!(project.pintail(&["lake", "maintain", "files:out/", "--table", "ordres"]), @r#"
    exit code 3
    --- stderr
    error: folder `files:out/` has no table "ordres" that Pintail wrote
    hint: `pintail lake maintain --dry-run` without `--table` lists its tables.
    "#);
    assert_snapshot!(project.pintail(&["lake", "maintain", "files:out/", "--expire-older-than", "1d"]), @"
    exit code 2
    --- stderr
    error: `files:out/` has no snapshots that `--expire-older-than` could expire
    hint: Tables in files have one state, and `--clean-older-than` keeps files that were replaced.
    ");
    assert_snapshot!(project.pintail(&["lake", "maintain", "files:nowhere/"]), @"
    exit code 3
    --- stderr
    error: folder `files:nowhere/` does not exist
    hint: Check the path; `pintail copy` and `pintail run` make it when they first write to it.
    ");
    project.succeed(&RUN);
}
