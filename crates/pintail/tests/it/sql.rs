//! `pintail sql`.

use insta::assert_snapshot;
use pintail_testkit::PostgresServer;

use crate::project::{LAKE, Project};

/// A project whose lake has orders.
fn with_lake() -> Project {
    let project = Project::with_shop(8);
    project.succeed(&["run", "--config", "pipeline.yaml"]);
    project
}

const QUERY: &str = "select id, status, amount, note, updated_at from shop.orders where id > 5 order by id";

#[test]
fn an_answer_is_a_table_for_people() {
    assert_snapshot!(with_lake().pintail(&["sql", LAKE, QUERY]), @"
    exit code 0
    --- stdout
    ┌────┬────────┬────────┬──────┬─────────────────────┐
    │ id ┆ status ┆ amount ┆ note ┆ updated_at          │
    ╞════╪════════╪════════╪══════╪═════════════════════╡
    │  6 ┆ new    ┆   1.06 ┆ NULL ┆ 2026-01-01 00:00:06 │
    │  7 ┆ paid   ┆   1.07 ┆ gift ┆ 2026-01-01 00:00:07 │
    │  8 ┆ paid   ┆   1.08 ┆ NULL ┆ 2026-01-01 00:00:08 │
    └────┴────────┴────────┴──────┴─────────────────────┘
    3 rows
    ");
}

#[test]
fn an_empty_query_is_refused() {
    assert_snapshot!(Project::with_shop(1).pintail(&["sql", LAKE, " "]), @"
    exit code 2
    --- stderr
    error: the query is empty
    hint: Write it as one argument, as in `'select 1'`.
    ");
}

#[test]
fn an_answer_is_csv_for_programs() {
    let project = with_lake();
    assert_snapshot!(project.pintail(&["sql", LAKE, QUERY, "--format", "csv"]), @"
    exit code 0
    --- stdout
    id,status,amount,note,updated_at
    6,new,1.06,,2026-01-01 00:00:06
    7,paid,1.07,gift,2026-01-01 00:00:07
    8,paid,1.08,,2026-01-01 00:00:08
    ");
    let odd = "select 'a,b' as \"x,y\", 'say \"hi\"' as q, '' as empty, null as nothing, 'two' || chr(10) || 'lines' as l";
    assert_snapshot!(project.pintail(&["sql", LAKE, odd, "--format", "csv"]), @r#"
    exit code 0
    --- stdout
    "x,y",q,empty,nothing,l
    "a,b","say ""hi""","",,"two
    lines"
    "#);
}

#[test]
fn an_answer_is_json_with_types() {
    let project = with_lake();
    assert_snapshot!(project.pintail(&["sql", LAKE, QUERY, "--format", "json"]), @r#"
    exit code 0
    --- stdout
    [
      {"id":6,"status":"new","amount":1.06,"note":null,"updated_at":"2026-01-01 00:00:06"},
      {"id":7,"status":"paid","amount":1.07,"note":"gift","updated_at":"2026-01-01 00:00:07"},
      {"id":8,"status":"paid","amount":1.08,"note":null,"updated_at":"2026-01-01 00:00:08"}
    ]
    "#);
    let typed = "select 1 as i, 1.50::decimal(5,2) as d, true as b, null as n, [1, 2] as l, {'a': 'x'} as s";
    assert_snapshot!(project.pintail(&["sql", LAKE, typed, "--json"]), @r#"
    exit code 0
    --- stdout
    [
      {"i":1,"d":1.5,"b":true,"n":null,"l":[1,2],"s":{"a":"x"}}
    ]
    "#);
    assert_snapshot!(project.pintail(&["sql", LAKE, "select 1 as i where false", "--json"]), @"
    exit code 0
    --- stdout
    []
    ");
}

#[test]
fn earlier_states_are_read_by_version() {
    let project = with_lake();
    let before = project.snapshot();
    project.execute("delete from orders where id > 2");
    project.succeed(&["run", "--config", "pipeline.yaml", "--strategy", "full"]);
    assert_eq!(project.ask("select count(*) from shop.orders"), "2");
    assert_eq!(
        project.ask(&format!(
            "select count(*) from shop.orders at (version => {before})"
        )),
        "8"
    );
}

#[test]
fn sources_are_asked_the_same_way() {
    let project = Project::with_shop(8);
    assert_snapshot!(project.pintail(&["sql", "sqlite:shop.db", "select count(*) from orders", "--format", "csv"]), @"
    exit code 0
    --- stdout
    count_star()
    8
    ");
    let database = PostgresServer::shared().fresh_database();
    database.execute("create schema shop; create table shop.orders as select 1 as id; create table plain as select 7 as id");
    let url = database.url();
    let ask = |url: &str, query| project.succeed(&["sql", url, query, "--format", "csv"]).stdout;
    assert_eq!(ask(&url, "select * from shop.orders"), "id\n1\n");
    assert_eq!(ask(&url, "select * from plain"), "id\n7\n");
    assert_eq!(
        ask(&format!("{url}?schema=shop"), "select * from orders"),
        "id\n1\n"
    );
}

#[test]
fn nothing_can_be_written() {
    let project = with_lake();
    assert_snapshot!(project.pintail(&["sql", LAKE, "delete from shop.orders"]), @"
    exit code 2
    --- stderr
    error: cannot run the query: it would write
    hint: `pintail sql` attaches the place read-only.
    ");
    assert_snapshot!(project.pintail(&["sql", "sqlite:shop.db", "delete from orders"]), @"
    exit code 2
    --- stderr
    error: cannot run the query: it would write
    hint: `pintail sql` attaches the place read-only.
    ");
    assert_eq!(project.ask("select count(*) from shop.orders"), "8");
}

#[test]
fn a_mistake_in_a_query_is_shown_where_it_is() {
    let project = with_lake();
    assert_snapshot!(project.pintail(&["sql", LAKE, "select amont from shop.orders"]), @r#"
    exit code 3
    --- stderr
    error: cannot run the query
      caused by: Binder Error: Referenced column "amont" not found in FROM clause!
        Candidate bindings: "amount", "status", "updated_at", "change_number"

        LINE 1: select amont from shop.orders
                       ^
    "#);
    assert_snapshot!(project.pintail(&["sql", LAKE, "selec 1"]), @r#"
    exit code 2
    --- stderr
    error: cannot run the query
      caused by: Parser Error: syntax error at or near "selec"

        LINE 1: selec 1
                ^
    "#);
    assert_snapshot!(project.pintail(&["sql", LAKE, "select 'x'::int", "--json"]), @"
    exit code 6
    --- stderr
    error: cannot run the query
      caused by: Conversion Error: Could not convert string 'x' to INT32

        LINE 1: select columns(*)::varchar from (select 'x'::int
                                                           ^
    ");
}

#[test]
fn statements_that_are_no_queries_answer_too() {
    let project = with_lake();
    let seen = project.succeed(&["sql", LAKE, "describe shop.orders", "--format", "csv"]);
    assert!(seen.stdout.contains("amount,\"DECIMAL(10,2)\",NO"), "{seen}");
    assert!(
        project
            .succeed(&["sql", LAKE, "explain from shop.orders", "--json"])
            .json()[0]
            .is_object()
    );
}

#[test]
fn a_lake_that_nobody_made_is_not_found() {
    let project = Project::empty();
    assert_snapshot!(project.pintail(&["sql", LAKE, "select 1"]), @"
    exit code 3
    --- stderr
    error: lake `ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/lake` does not exist
    hint: Check the path; `pintail copy` and `pintail run` make a lake when they first write to it.
    ");
    let database = PostgresServer::shared().fresh_database();
    let lake = format!("ducklake:{}?data_path=lake", database.url());
    let seen = project.pintail(&["sql", &lake, "select 1"]);
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @"
    exit code 3
    --- stderr
    error: lake `ducklake:postgres://postgres@127.0.0.1:[PORT]/fresh?data_path=[FOLDER]/lake` does not exist
    hint: Check the path; `pintail copy` and `pintail run` make a lake when they first write to it.
    ");
}
