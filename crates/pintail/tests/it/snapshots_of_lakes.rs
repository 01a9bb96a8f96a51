//! `pintail snapshot` of lakes, `pintail lake maintain` beside them, and `pintail sql --write` on a lake.

use insta::assert_snapshot;
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{Access, Call, Engine, EngineSettings, Lake};

use crate::project::{LAKE, Project};

fn execute(project: &Project, sql: &str) {
    let location = Location::parse(LAKE, &project.path("")).expect("an address");
    let location = registry::lake_location(&location.datastore).expect("a lake");
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    let lake = Lake::attach(&engine, &location, Access::ReadWrite).expect("a lake");
    let session = lake.session().expect("a session");
    session
        .batch(Call::new("execute"), sql)
        .expect("valid statements");
    drop(session);
    lake.detach().expect("nobody uses it");
}

/// A folder with a shop in a lake.
fn shop() -> (Project, insta::internals::SettingsBindDropGuard) {
    let project = Project::empty();
    execute(
        &project,
        "create schema lake.shop;
         create table lake.shop.orders (id bigint not null, note varchar);
         insert into lake.shop.orders select i, 'note ' || i from range(300) as r (i);
         create table lake.shop.notes as select i as id from range(10) as r (i)",
    );
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{8}_\d{6}(_\d+)?", "[SECOND]");
    settings.add_filter(
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[PIN]",
    );
    settings.add_filter(r"[\d.]+ (KiB|B)\b", "[SIZE]");
    (project, settings.bind_to_scope())
}

const PLACE: [&str; 4] = ["--project", "123", "--database", LAKE];

fn command<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["snapshot"], arguments, &PLACE].concat()
}

#[test]
fn a_lake_is_pinned_and_maintenance_says_what_is_in_the_way() {
    let (project, _filters) = shop();
    let create = |id| project.pintail(&command(&["create", "--created-by", "ada", "--id", id]));
    assert_snapshot!(create("before"), @"
    exit code 0
    --- stdout
    took snapshot before  2 tables · 310 rows · pinned at snapshot 4 of the lake · [DURATION] · read
      shop.notes  10 rows · pinned
      shop.orders  300 rows · pinned
    ");
    assert_snapshot!(create("again"), @"
    exit code 0
    --- stdout
    took snapshot again  2 tables · 310 rows · pinned at snapshot 4 of the lake · [DURATION] · read
      shop.notes  10 rows · unchanged since before
      shop.orders  300 rows · unchanged since before
    ");
    let of_project = |arguments: &[&str]| project.pintail(&[&["snapshot"], arguments, &PLACE[..2]].concat());
    assert_snapshot!(of_project(&["show", "before"]), @"
    exit code 0
    --- stdout
    before of project 123
      taken        [TIME] by ada, manual
      of           ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake, branch main
      proof        read back
      at           snapshot 4 of the lake, pinned as [PIN]
      shop.notes  10 rows · pinned
        id BIGINT
      shop.orders  300 rows · pinned
        id BIGINT
        note VARCHAR
    ");
    assert_snapshot!(of_project(&["explain", "before"]), @"
    exit code 0
    --- stdout
    before
      kept until [TIME]: manual_days is 90 (default)
      goes with the first `prune` after [TIME]
      keeps snapshot 4 of ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake from expiring, by pin [PIN]
      followed by again
    ");
    assert_snapshot!(of_project(&["verify", "--all"]), @"
    exit code 0
    --- stdout
    sound  2 snapshots · 4 files · [SIZE] read · [DURATION]
    ");
    execute(
        &project,
        "delete from lake.shop.orders where id < 100; drop table lake.shop.notes;
         update __ducklake_metadata_lake.main.ducklake_snapshot set snapshot_time = '2020-01-01 00:00:00+00'",
    );
    assert_snapshot!(project.pintail(&["lake", "maintain", LAKE, "--expire-older-than", "30d", "--yes"]), @"
    exit code 0
    --- stdout
    maintained ducklake:sqlite:lake.sqlite?data_path=lake
      shop.orders  1 file, [SIZE] · 100 deleted rows · rewrite 1 file into 1
      snapshots  expire 5 older than 30 d, keep 4
      pinned     keep 4: snapshot `again` of project `123` in `[FOLDER]/snapshots` needs it
      pinned     keep 4: snapshot `before` of project `123` in `[FOLDER]/snapshots` needs it
      old files  remove 0 unneeded for 1 d
    ");
    assert_snapshot!(project.pintail(&command(&["diff", "before"])), @"
    exit code 0
    --- stdout
    before of [TIME], and since then in ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake
      shop.notes  is gone
      shop.orders  0 added · 100 removed · 0 changed
    ");
    assert_snapshot!(project.pintail(&command(&["restore", "before", "--yes"])), @"
    exit code 0
    --- stdout
    restored before into ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake  2 tables · 310 rows · [DURATION] · verified
      shop.notes  10 rows
      shop.orders  300 rows, replaces what is there
      what was replaced is kept in auto_predrop_[SECOND]
    ");
    let count =
        "select (select count(*) from shop.orders) as orders, (select count(*) from shop.notes) as notes";
    assert_snapshot!(project.pintail(&["sql", LAKE, count, "--format", "csv"]), @"
    exit code 0
    --- stdout
    orders,notes
    300,10
    ");
}

#[test]
fn statements_on_a_lake_are_run_after_what_they_take_was_pinned() {
    let (project, _filters) = shop();
    let write = |sql| project.pintail(&["sql", LAKE, sql, "--write", "--project", "123"]);
    assert_snapshot!(write("drop table shop.notes"), @"
    exit code 0
    --- stderr
    kept shop.notes in auto_predrop_[SECOND]
    ");
    assert_snapshot!(write("checkpoint lake"), @"
    exit code 2
    --- stderr
    error: a statement would expire snapshots of the lake or remove its files, and some may be pinned
    hint: `pintail lake maintain` does it, and leaves alone what is pinned.
    ");
    assert_snapshot!(project.pintail(&["snapshot", "drill", "--project", "123"]), @"
    exit code 0
    --- stdout
    proven  auto_predrop_[SECOND]  1 table · 10 rows · [DURATION]
    ");
}

#[test]
fn a_lake_goes_by_its_name_and_what_is_no_lake_is_told() {
    let (project, _filters) = shop();
    project.write(
        "datastores.yaml",
        "datastores:\n  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite', data_path: lake}}\n",
    );
    let named = [
        "snapshot",
        "create",
        "--database",
        "lake",
        "--project",
        "123",
        "--id",
        "named",
    ];
    assert_snapshot!(project.pintail(&named), @"
    exit code 0
    --- stdout
    took snapshot named  2 tables · 310 rows · pinned at snapshot 4 of the lake · [DURATION] · read
      shop.notes  10 rows · pinned
      shop.orders  300 rows · pinned
    ");
    let missing = "ducklake:sqlite:nowhere.sqlite?data_path=lake";
    let absent = ["snapshot", "create", "--database", missing, "--project", "123"];
    assert_snapshot!(project.pintail(&absent), @"
    exit code 3
    --- stderr
    error: lake `ducklake:sqlite:[FOLDER]/nowhere.sqlite?data_path=[FOLDER]/lake` does not exist
    hint: Check the path; `pintail copy` and `pintail run` make a lake when they first write to it.
    ");
    let database = [
        "snapshot",
        "create",
        "--database",
        "sqlite:shop.db",
        "--project",
        "123",
    ];
    assert_snapshot!(project.pintail(&database), @"
    exit code 2
    --- stderr
    error: `sqlite:shop.db` is of type `sqlite`, and snapshots are taken of DuckDB files and lakes
    hint: Write the path of the file, `duckdb:<path>`, or the address of a lake.
    ");
    let no_lake = [
        "snapshot",
        "prune",
        "--project",
        "123",
        "--lake",
        "duckdb:shop.duckdb",
    ];
    assert_snapshot!(project.pintail(&no_lake), @"
    exit code 2
    --- stderr
    error: `duckdb:shop.duckdb` is no lake
    ");
}
