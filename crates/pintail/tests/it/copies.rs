//! `pintail copy` with two addresses: which table is meant, and what is refused.

use insta::assert_snapshot;
use pintail_testkit::PostgresServer;

use crate::project::{LAKE, Project};

/// The number of rows of the lake's table.
fn rows(project: &Project, table: &str) -> String {
    project.ask(&format!("select count(*) from {table}"))
}

#[test]
fn two_addresses_are_enough() {
    let project = Project::with_shop(10);
    project.succeed(&["copy", "sqlite:shop.db?table=orders", LAKE]);
    assert_eq!(rows(&project, "orders"), "10");
    // The table between the addresses is the same copy, and goes on where the first one ended.
    let again = project.succeed(&["copy", "sqlite:shop.db", "orders", LAKE]);
    assert!(again.stdout.contains("nothing to do"), "{again}");
    // Said twice and alike, with the schema or without, is said.
    let twice = ["copy", "sqlite:shop.db?table=orders", "orders", LAKE];
    assert!(project.succeed(&twice).stdout.contains("nothing"), "{:?}", twice);
}

#[test]
fn the_second_address_names_another_table() {
    let project = Project::with_shop(10);
    let to = format!("{LAKE}&table=mart.sales");
    project.succeed(&["copy", "sqlite:shop.db?table=main.orders", &to]);
    assert_eq!(rows(&project, "mart.sales"), "10");
}

#[test]
fn a_file_or_a_pattern_needs_no_name_of_a_table() {
    let project = Project::empty();
    std::fs::create_dir(project.path("in")).expect("a folder");
    project.write("in/orders-2026-01.csv", "id\n1\n2\n");
    project.write("in/orders-2026-02.csv", "id\n3\n");
    project.succeed(&[
        "copy",
        "files:in/orders-2026-01.csv",
        &format!("{LAKE}&schema=one"),
    ]);
    assert_eq!(rows(&project, "one.\"orders-2026-01\""), "2");
    project.succeed(&["copy", "files:in/orders-*.csv", LAKE]);
    assert_eq!(rows(&project, "orders"), "3");
}

#[test]
fn a_pattern_without_a_folder_is_looked_for_here() {
    let project = Project::empty();
    project.write("orders-2026-01.csv", "id\n1\n2\n");
    project.write("orders-2026-02.csv", "id\n3\n");
    project.write("others.csv", "id\n4\n");
    project.succeed(&["copy", "files:orders-*.csv", LAKE]);
    assert_eq!(rows(&project, "orders"), "3");
    project.succeed(&["copy", "files:others.csv", LAKE]);
    assert_eq!(rows(&project, "others"), "1");
}

#[test]
fn a_duckdb_file_is_not_copied_to_itself() {
    let project = Project::with_shop(3);
    project.succeed(&["copy", "sqlite:shop.db?table=orders", "duckdb:shop.duckdb"]);
    let itself = [
        "copy",
        "duckdb:shop.duckdb?table=orders",
        "duckdb:shop.duckdb?table=copied",
    ];
    assert_snapshot!(project.pintail(&itself), @"
    exit code 2
    --- stderr
    error: cannot open duckdb:shop.duckdb: it is the source and the destination of one run
    hint: DuckDB opens a file once. Copy within one file with its own `create table ... as from ...`.
    ");
}

#[test]
fn a_copy_without_a_table_says_where_its_name_goes() {
    let project = Project::with_shop(3);
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", LAKE]), @"
    exit code 2
    --- stderr
    error: no table of sqlite:shop.db is named
    hint: Write `?table=name` or `?table=schema.name` behind the first address, or the name between the two.
    ");
    assert_snapshot!(project.pintail(&["copy", "files:exports/", LAKE]), @"
    exit code 2
    --- stderr
    error: no table of files:exports/ is named
    hint: Write `?table=name` or `?table=schema.name` behind the first address, or the name between the two.
    ");
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db?table=a.b.c", LAKE]), @r#"
    exit code 2
    --- stderr
    error: cannot read the location `sqlite:shop.db?table=a.b.c`: `table` is not a table name
    hint: the forms are `table`, `schema.table` and `"odd.name"`
    "#);
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "a.b.c", LAKE]), @"
    exit code 2
    --- stderr
    error: `a.b.c` is not the name of a table
    hint: Write `table` or `schema.table`; a part with dots stands in double quotes.
    ");
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db"]), @"
    exit code 2
    --- stderr
    error: the following required arguments were not provided:
      <TO_URL>

    Usage: pintail copy [OPTIONS] <FROM_URL> [TABLE] <TO_URL>

    For more information, try '--help'.
    ");
}

#[test]
fn a_table_that_is_named_twice_and_differently_is_refused() {
    let project = Project::with_shop(3);
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db?table=orders", "items", LAKE]), @"
    exit code 2
    --- stderr
    error: two tables are named: `items` between the addresses, and `orders` in the first one
    hint: Name it once; another name for the copy is `?table=` of the last address.
    ");
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db?table=orders&table=items", LAKE]), @"
    exit code 2
    --- stderr
    error: cannot read the location `sqlite:shop.db?table=orders&table=items`: parameter `table` stands there twice
    ");
}

#[test]
fn what_is_no_location_is_said_of_either_address() {
    let project = Project::with_shop(3);
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db", "orders"]), @"
    exit code 2
    --- stderr
    error: cannot read the location `orders`: it does not begin with a system
    hint: the forms are `postgres://…`, `mysql://…`, `sqlite:<path>`, `duckdb:<path>`, `ducklake:<catalogue>`, `files:<path>` and `s3://<bucket>/…`
    ");
    assert_snapshot!(project.pintail(&["copy", "orders", LAKE]), @"
    exit code 2
    --- stderr
    error: cannot read the location `orders`: it does not begin with a system
    hint: the forms are `postgres://…`, `mysql://…`, `sqlite:<path>`, `duckdb:<path>`, `ducklake:<catalogue>`, `files:<path>` and `s3://<bucket>/…`
    ");
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db?tabel=orders", LAKE]), @"
    exit code 2
    --- stderr
    error: cannot read the location `sqlite:shop.db?tabel=orders`: parameter `tabel` is not known
    hint: did you mean `table`?
    ");
}

#[test]
fn a_table_is_not_copied_onto_itself() {
    let project = Project::with_shop(3);
    assert_snapshot!(project.pintail(&["copy", "sqlite:shop.db?table=orders", "sqlite:shop.db"]), @"
    exit code 2
    --- stderr
    error: table `orders` of sqlite:shop.db is source and destination at once
    hint: Name another table as the destination: for `pintail copy` with `?table=schema.name` of the last address, in a pipeline with `table` and `schema`.
    ");
    let database = PostgresServer::shared().fresh_database();
    database.execute("create table orders (id int primary key); insert into orders values (1)");
    let url = database.url();
    for (from, to) in [
        ("orders", "public.orders"),
        ("public.orders", "orders"),
        ("public.orders", "public.orders"),
    ] {
        let (from, to) = (format!("{url}?table={from}"), format!("{url}?table={to}"));
        let seen = project.pintail(&["copy", &from, &to]);
        assert_eq!(seen.code, Some(2), "{seen}");
        assert!(seen.stderr.contains("source and destination at once"), "{seen}");
    }
    // Beside itself, in another schema or under another name, it is.
    project.succeed(&[
        "copy",
        &format!("{url}?table=orders"),
        &format!("{url}?table=mart.orders"),
    ]);
    project.succeed(&[
        "copy",
        &format!("{url}?table=orders"),
        &format!("{url}?table=\"Orders\""),
    ]);
    let counts = "select (select count(*) from mart.orders) + (select count(*) from \"Orders\")";
    let both: i64 = database.client().query_one(counts, &[]).expect("a number").get(0);
    assert_eq!(both, 2);
}

#[test]
fn a_place_takes_a_copy_of_its_own_table() {
    let project = Project::with_shop(5);
    project.succeed(&[
        "copy",
        "sqlite:shop.db?table=orders",
        "sqlite:shop.db?table=copies",
    ]);
    project.succeed(&["copy", "sqlite:shop.db?table=orders", LAKE]);
    let other = format!("{LAKE}&table=copies");
    project.succeed(&["copy", &format!("{LAKE}&table=orders"), &other]);
    assert_eq!(rows(&project, "copies"), "5");
}
