//! Sources that join, filter and compute.

use std::sync::Arc;

use insta::assert_snapshot;
use pintail_config::{Datastores, Location};
use pintail_lake::EngineSettings;
use pintail_lake::relation::JoinKind;
use pintail_model::{ErrorKind, SystemClock, TableName};
use pintail_sync::log::Level;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{ColumnSource, ColumnSpec, DeclaredType, JoinSpec, parse};
use pintail_sync::{Error, PlanKind, StopSignal, SyncReport, SyncRequest, Unwatched};
use pintail_testkit::{Database, PostgresServer};
use tempfile::TempDir;

use crate::shop::Shop;

fn column(source: ColumnSource, dest: &str) -> ColumnSpec {
    ColumnSpec {
        hash_column: true,
        source,
        dest: dest.to_owned(),
        roles: [].into(),
        data_type: None,
        length: None,
        nullable: None,
    }
}

fn own(name: &str) -> ColumnSource {
    ColumnSource::Column(name.to_owned())
}

fn of_customer(name: &str) -> ColumnSource {
    ColumnSource::Joined {
        qualifier: "c".to_owned(),
        column: name.to_owned(),
    }
}

/// Orders with the names of their customers; those of every fourth customer are unknown.
fn shop() -> Shop {
    let mut shop = Shop::new(1_000);
    shop.change(
        "create table customers (id bigint, name varchar, vip boolean);
         insert into customers select id, 'customer ' || id, id % 2 = 0 from range(0, 100) as ids (id) where id % 4 > 0",
    );
    let source = &mut shop.spec.source;
    source.alias = Some("o".to_owned());
    source.joins = vec![JoinSpec {
        table: TableName::bare("customers"),
        alias: Some("c".to_owned()),
        on: "o.id % 100 = c.id".to_owned(),
        kind: JoinKind::Left,
    }];
    source.filters = vec![
        "o.price < 1000 or o.item is null".to_owned(),
        "o.id > 10".to_owned(),
    ];
    shop.spec.columns = vec![
        column(own("id"), "order_id"),
        column(own("updated_at"), "updated_at"),
        column(of_customer("name"), "customer"),
        ColumnSpec {
            hash_column: true,
            data_type: Some(DeclaredType::Integer),
            ..column(ColumnSource::Expression("o.id * 2".to_owned()), "twice")
        },
    ];
    shop
}

const EXPECTED: &str = "select o.id, o.updated_at, c.name, o.id * 2 from shop.main.orders as o
     left join shop.main.customers as c on o.id % 100 = c.id where (o.price < 1000 or o.item is null) and o.id > 10";

fn assert_equal(shop: &Shop) {
    let differences = shop.ask_one(&format!(
        "select count(*) from ((from lake.main.orders except all {EXPECTED}) union all ({EXPECTED} except all from \
         lake.main.orders))"
    ));
    assert_eq!(differences, "0");
}

#[test]
fn joins_filters_and_expressions_are_loaded_and_followed() {
    let mut shop = shop();
    let report = shop.run(None);
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (789, ParityStatus::Ok),
        "{:?}",
        report.notes
    );
    assert_equal(&shop);

    shop.change(
        "update orders set item = null, price = 2000, updated_at = '2024-01-15 14:00:05+00' where id in (5, 900, 901);
         update orders set price = 1, updated_at = '2024-01-15 14:00:05+00' where id = 950",
    );
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (
            report.strategy.as_str(),
            report.rows_processed,
            report.rows_inserted,
            report.parity.status
        ),
        ("changes", 3, 3, ParityStatus::Ok),
        "{:?}",
        report.notes
    );
    assert_equal(&shop);
    shop.partitions = Some(7);
    let report = shop.run(Some("everything"));
    assert_eq!(
        (report.partitions_total, report.parity.status),
        (7, ParityStatus::Ok)
    );
    assert_equal(&shop);
}

#[test]
fn a_plan_says_what_is_joined_and_what_a_delta_does_not_see() {
    let shop = shop();
    shop.run(None);
    shop.later(60);
    let plan = shop.plan(None);
    assert_eq!(plan.kind, PlanKind::Delta);
    let text = plan.to_string();
    let told: Vec<&str> = text
        .lines()
        .filter(|line| {
            ["  join", "  filter", "  not covered"]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .collect();
    assert_snapshot!(told.join("\n"), @r"
      join         left main.customers as c on o.id % 100 = c.id
      filter       o.price < 1000 or o.item is null
      filter       o.id > 10
      not covered  rows that were deleted in the source
      not covered  rows that no longer meet the filters
      not covered  changes in c that do not move `updated_at`
    ");
    assert!(text.contains(r#"(select "o"."id" as "id", "o"."updated_at" as "updated_at", "c"."name" as "c.name", (o.id * 2) as "twice","#), "{text}");
}

#[test]
fn a_pipeline_that_reads_other_rows_than_before_is_loaded_again() {
    let mut shop = shop();
    shop.run(None);
    shop.later(60);
    shop.spec.source.filters.pop();
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        (
            "everything",
            "the joins, filters or expressions of the pipeline are others than before"
        )
    );
}

fn shown(error: &Error) -> String {
    format!("{error}\nhint: {}", error.hint().unwrap_or_default())
}

#[test]
fn a_join_that_finds_several_rows_for_a_key_is_a_data_error() {
    let shop = shop();
    shop.change("insert into customers select id, 'another one', false from range(1, 4) as ids (id)");
    let error = shop.try_run(None).expect_err("keys twice");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_snapshot!(shown(&error), @r#"
    table "main.orders" as it is joined has 21 keys (`order_id`) with more than one row
    hint: It was not committed. Make the join find one row at most, or name the columns that tell the rows apart with `roles: [unique_column]` in `column_map`.
    "#);
    shop.change("delete from customers where name = 'another one'");
    shop.run(None);
    shop.change(
        "insert into customers values (1, 'another one', false);
         update orders set updated_at = '2024-01-15 14:00:05+00' where id in (101, 202)",
    );
    shop.later(60);
    let error = shop.try_run(None).expect_err("a key twice");
    assert_eq!(error.kind(), ErrorKind::Data, "{error:?}");
    assert!(error.to_string().contains("1 key (`order_id`)"), "{error}");
}

#[test]
fn columns_of_an_outer_join_may_be_null() {
    let mut shop = shop();
    let nullable = |shop: &Shop| -> Vec<bool> {
        let plan = shop.plan(Some("everything"));
        plan.shape
            .columns
            .iter()
            .map(|read| read.column.nullable)
            .collect()
    };
    shop.change("alter table customers alter name set not null");
    assert_eq!(nullable(&shop), [false, false, true, true]);
    shop.spec.source.joins[0].kind = JoinKind::Inner;
    assert_eq!(nullable(&shop), [false, false, false, true]);
    shop.spec.source.joins[0].kind = JoinKind::Right;
    assert_eq!(nullable(&shop), [true, true, false, true]);
    assert!(shop.plan(Some("everything")).shape.key.is_empty());
}

#[test]
fn an_expression_without_a_type_and_unknown_columns_are_refused_together() {
    let mut shop = shop();
    shop.spec.columns[3].data_type = None;
    shop.spec.columns.push(column(of_customer("nam"), "nam"));
    shop.spec.columns.push(column(own("prise"), "price"));
    let error = shop.try_run(None).expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_snapshot!(shown(&error), @r#"
    cannot read table "main.orders" as asked: column `twice` is an expression whose type the source does not tell; column `c.nam` does not exist; column `prise` does not exist
    hint: Declare what an expression gives with `data_type` in `column_map`: `decimal` takes `precision` and `scale` too.
    `c.nam`: did you mean `c.name`?
    `prise`: did you mean `price`?
    "#);
}

#[test]
fn a_destination_without_updates_takes_new_rows_only() {
    let mut shop = Shop::new(100);
    shop.spec.destination.supports_update = Some(false);
    shop.run(None);
    shop.change("insert into orders values (101, 'new', 1, '2024-01-15 14:00:05+00')");
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (
            report.strategy.as_str(),
            report.rows_inserted,
            report.parity.status
        ),
        ("changes", 1, ParityStatus::Ok)
    );
    shop.change(
        "insert into orders values (102, 'new', 1, '2024-01-15 14:01:05+00');
         update orders set item = 'changed', updated_at = '2024-01-15 14:01:05+00' where id in (7, 8)",
    );
    shop.later(60);
    let error = shop.try_run(None).expect_err("a change");
    assert_eq!(error.kind(), ErrorKind::Data);
    let text = shown(&error);
    let text = text.split("partition `").next().unwrap_or_default().to_owned()
        + text.split_once("` would").map_or("", |(_, rest)| rest);
    assert_snapshot!(text, @r#"
    2 rows of  change table "orders", and `supports_update: false` says that rows are only ever added to it
    hint: It was not committed. Take `supports_update: false` out of the pipeline to let rows change.
    "#);
    assert_eq!(shop.ask_one("select count(*) from lake.main.orders"), "101");
    let error = shop.try_run(Some("everything")).expect_err("a replacement");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_snapshot!(shown(&error), @r#"
    a full load would replace the 101 rows of table "orders", and `supports_update: false` says that rows are only ever added to it; a full load would run because it was asked for
    hint: Empty the table first, name another one, or take `supports_update: false` out of the pipeline.
    "#);

    // The files of the lake still have rows, and none that is not deleted.
    shop.in_lake("delete from lake.main.orders where id > 3");
    shop.in_lake("delete from lake.main.orders");
    let report = shop.run(Some("everything"));
    assert_eq!((report.rows_inserted, report.rows_deleted), (102, 0));
}

/// The seed's complete example, from a real server into a lake, without its enrichment.
struct Advanced<'a> {
    database: Database<'a>,
    folder: TempDir,
    filters: &'static str,
    random: std::cell::Cell<u32>,
}

impl Advanced<'_> {
    fn new() -> Self {
        let database = PostgresServer::shared().fresh_database();
        database.execute(
            "create table customers (id integer primary key, name varchar(80) not null);
             insert into customers select id, 'customer ' || id from generate_series(1, 90) as ids (id);
             create table orders (id bigint primary key, customer_id integer, order_date timestamp not null,
                 total numeric(12,2) not null, status text not null, updated_at timestamptz not null);
             insert into orders select id, id % 100, timestamp '2024-01-01' + id * interval '1 minute', id * 1.25,
                 case when id % 3 = 0 then 'closed' else 'active' end, now() - interval '1 day'
             from generate_series(1, 20000) as ids (id);
             create index on orders (updated_at);
             analyze orders",
        );
        Self {
            database,
            folder: tempfile::tempdir().expect("a temporary folder"),
            filters: "o.status = 'active'",
            random: std::cell::Cell::new(1),
        }
    }

    fn request(&self, strategy: Option<&str>, partitions: Option<u32>) -> SyncRequest {
        self.random.set(self.random.get() + 1);
        let here = self.folder.path();
        let read = |url: &str| {
            Location::parse(url, here)
                .unwrap_or_else(|error| panic!("{error}"))
                .datastore
        };
        let from = read(&self.database.url());
        let to = read("ducklake:sqlite:lake.sqlite?data_path=lake");
        let nothing = |_: &str| None;
        let places = include_str!("spec/datastores.yaml").replace(
            "dest_db:\n    type: 'postgres'\n    connection:",
            "dest_db:\n    type: ducklake\n    connection: {catalog: 'sqlite:lake.sqlite'}\n  other:\n    type: postgres\n    connection:",
        );
        let places = Datastores::parse(&here.join("datastores.yaml"), &places, &nothing)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let yaml = include_str!("spec/advanced_sync_pipeline.yaml")
            .replace(
                "type: \"postgres\"\n    datastore_name: \"dest_db\"",
                "type: \"ducklake\"\n    datastore_name: \"dest_db\"",
            )
            .replace("o.status = 'active'", self.filters);
        let yaml = yaml.split("\nenrichment:").next().unwrap_or_default();
        let loaded = parse(&here.join("pipeline.yaml"), yaml, &places, &nothing)
            .unwrap_or_else(|problems| panic!("{problems}"));
        SyncRequest {
            spec: loaded.spec,
            source: pintail_connectors::registry::source(&from).expect("a connector"),
            destination: pintail_connectors::registry::destination(&to, &here.join("stage")).expect("a lake"),
            data: pintail_sync::DataFolders::below(here.join("data")),
            strategy: strategy.map(str::to_owned),
            partitions,
            parity: true,
            allow_deletes: false,
            task: pintail_sync::plan::Task::Sync,
            engine: EngineSettings::default(),
            log_level: Level::Info,
            clock: Arc::new(SystemClock),
            random: self.random.get(),
        }
    }

    fn run(&self, strategy: Option<&str>, partitions: Option<u32>) -> SyncReport {
        pintail_sync::run(
            &self.request(strategy, partitions),
            &Unwatched,
            &StopSignal::new(),
        )
        .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }
}

#[test]
fn the_complete_example_of_the_seed_runs_in_full_and_as_a_delta() {
    let advanced = Advanced::new();
    let report = advanced.run(Some("full_sync"), None);
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (13_334, ParityStatus::Ok),
        "{:?}",
        report.notes
    );
    advanced.database.execute(
        "update orders set total = 7, updated_at = now() where id in (1, 2, 3, 95, 99);
         update orders set status = 'active', updated_at = now() where id = 6",
    );
    let delta = || advanced.run(Some("delta_sync"), None);
    let report = delta();
    assert_eq!(report.strategy, "delta_sync");
    let more = delta();
    assert_eq!(
        (
            report.rows_inserted + more.rows_inserted,
            report.rows_updated + more.rows_updated
        ),
        (1, 3),
        "{:?}",
        report.notes
    );
    assert_eq!(report.parity.status, ParityStatus::Ok);
    // Partitions lie where the rows of the main table lie.
    let report = advanced.run(Some("full_sync"), Some(6));
    assert_eq!(
        (
            report.partitions_total,
            report.rows_processed,
            report.parity.status
        ),
        (6, 13_335, ParityStatus::Ok)
    );
}

#[test]
fn what_the_source_does_not_understand_is_said_in_its_words() {
    let mut advanced = Advanced::new();
    advanced.filters = "o.statuss = 'active'";
    let error = pintail_sync::plan(&advanced.request(None, None)).expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert_snapshot!(shown(&error), @r"
    the source does not understand its `join`, `filters` or expressions: column o.statuss does not exist
    hint: They are SQL of the source. Columns are named with the alias of their table, as `o.status`.
    ");
}

#[test]
fn a_filter_cannot_write() {
    let mut advanced = Advanced::new();
    advanced.database.execute(
        "create table seen (id bigint);
         create function see(id bigint) returns boolean language plpgsql volatile as
         $$ begin insert into seen values (id); return true; end $$",
    );
    advanced.filters = "see(o.id)";
    pintail_sync::run(
        &advanced.request(Some("full_sync"), None),
        &Unwatched,
        &StopSignal::new(),
    )
    .expect_err("a write is refused");
    let rows = advanced
        .database
        .client()
        .query_one("select count(*) from seen", &[])
        .expect("a count");
    assert_eq!(rows.get::<_, i64>(0), 0);
}
