//! What makes a table that table, and its rows recognisable.

use pintail_model::TableName;
use pintail_testkit::conformance::Attached;
use pintail_testkit::{Database, PostgresServer};

use super::fixture::connect;

#[test]
fn a_table_that_was_made_anew_or_swapped_has_another_identity() {
    let database: Database<'_> = PostgresServer::shared().fresh_database();
    database
        .execute("create table orders (id bigint primary key); create table spare (id bigint primary key)");
    let attached = Attached::new(connect(&database.url()));
    let identity = || {
        attached
            .describe("orders")
            .identity
            .expect("Postgres numbers its tables")
    };
    let first = identity();
    database.execute("truncate orders; alter table orders add column note text");
    assert_eq!(identity(), first);
    database.execute("alter table orders rename to old; alter table spare rename to orders");
    let swapped = identity();
    assert_ne!(swapped, first);
    database.execute("drop table orders; create table orders (id bigint primary key)");
    assert_ne!(identity(), swapped);
}

#[test]
fn the_key_of_a_table_with_children_is_no_key_of_what_a_select_reads() {
    let database: Database<'_> = PostgresServer::shared().fresh_database();
    database.execute(
        "create table orders (id bigint primary key, item text not null unique);
         create table parted (id bigint primary key) partition by range (id);
         create table parted_1 partition of parted for values from (0) to (10)",
    );
    let attached = Attached::new(connect(&database.url()));
    assert_eq!(attached.describe("orders").key, ["id"]);
    database.execute("create table archived () inherits (orders)");
    assert!(attached.describe("orders").key.is_empty());
    // The child has no index at all, and the partitioned table's own covers its partitions.
    assert!(attached.describe("archived").key.is_empty());
    assert_eq!(attached.describe("parted").key, ["id"]);
    assert_eq!(
        attached.describe("parted").name,
        TableName::new("public", "parted")
    );
    database.execute("drop table archived");
    assert_eq!(attached.describe("orders").key, ["id"]);
}

#[test]
fn one_database_has_one_identity() {
    let database: Database<'_> = PostgresServer::shared().fresh_database();
    let identity = |url: &str| connect(url).identity();
    let url = database.url();
    assert_eq!(identity(&url), identity(&format!("{url}?application_name=other")));
    let other = PostgresServer::shared().fresh_database();
    assert_ne!(identity(&url), identity(&other.url()));
}

#[test]
fn a_list_of_tables_has_wholes_without_their_parts() {
    let database: Database<'_> = PostgresServer::shared().fresh_database();
    database.execute(
        "create schema sales;
         create table sales.parted (id bigint primary key) partition by range (id);
         create table sales.parted_1 partition of sales.parted for values from (0) to (10);
         create table orders (id bigint primary key);
         create table archived () inherits (orders);
         create materialized view totals as select count(*) as n from orders;
         create temporary table passing (id bigint);
         create extension if not exists postgres_fdw",
    );
    let list = |url: &str| {
        let attached = Attached::new(connect(url));
        let listed = attached.tables();
        let shown = listed
            .iter()
            .map(|table| format!("{} {:?}", table.name, table.kind));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(
        list(&database.url()),
        [
            "public.archived Table",
            "public.orders Table",
            "public.totals View",
            "sales.parted Table"
        ]
    );
    assert_eq!(
        list(&format!("{}?schema=sales", database.url())),
        ["sales.parted Table"]
    );
}

#[test]
fn a_list_of_tables_leaves_out_what_may_not_be_read() {
    let server = PostgresServer::shared();
    let database: Database<'_> = server.fresh_database();
    let user = format!("reader_{}", database.name());
    server.create_user(&user, "reads");
    database.execute(&format!(
        "create table orders (id bigint primary key);
         create table secrets (id bigint primary key);
         create table partly (id bigint primary key, secret text);
         grant select on orders to {user};
         grant select (id) on partly to {user}"
    ));
    let attached = Attached::new(connect(&database.url_as(&user, "reads")));
    let listed = attached.tables();
    let names: Vec<_> = listed.iter().map(|table| table.name.table.as_str()).collect();
    assert_eq!(names, ["orders", "partly"]);
}
