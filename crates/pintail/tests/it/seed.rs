//! The pipelines that people bring along, from server to server, as they are written.

use pintail_testkit::{Database, PostgresServer};

use crate::project::Project;

/// Two databases, and the folder of the seed's Quick Start. Only the places and the credentials are those of the tests.
struct Start<'a> {
    project: Project,
    source: Database<'a>,
    destination: Database<'a>,
}

impl Start<'_> {
    fn new(pipeline: &str) -> Self {
        let server = PostgresServer::shared();
        let (source, destination) = (server.fresh_database(), server.fresh_database());
        let project = Project::empty();
        let datastores = include_str!("../../../pintail-sync/tests/it/spec/datastores.yaml")
            .replace("localhost", "127.0.0.1")
            .replace("5432", &server.port().to_string())
            .replace("your_user", "postgres")
            .replace("source_database", source.name())
            .replace("dest_database", destination.name());
        project.write("datastores.yaml", &datastores);
        project.write("pipeline.yaml", pipeline);
        Self {
            project,
            source,
            destination,
        }
    }

    /// Runs the pipeline and gives some numbers of its report.
    #[track_caller]
    fn run(&self, more: &[&str]) -> (String, u64, u64, String) {
        let arguments = [&["run", "--config", "pipeline.yaml", "--json"], more].concat();
        let report = self.project.succeed(&arguments).json();
        let number = |name: &str| report[name].as_u64().unwrap_or_default();
        (
            report["strategy"].as_str().unwrap_or_default().to_owned(),
            number("rows_inserted"),
            number("rows_updated"),
            report["parity"]["status"].as_str().unwrap_or_default().to_owned(),
        )
    }

    fn rows(&self, of: &Database<'_>, sql: &str) -> Vec<String> {
        let rows = of.client().query(&format!("select ({sql})::text"), &[]);
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// Rows as one text, in the order of their key.
fn listed(columns: &str, from: &str, key: &str) -> String {
    format!("select string_agg(({columns})::text, ' ' order by {key}) from {from}")
}

#[test]
fn the_quick_start_runs_as_it_is_written() {
    let start = Start::new(include_str!(
        "../../../pintail-sync/tests/it/spec/users_sync.yaml"
    ));
    start.source.execute(
        "create table users (id integer primary key, name text, email varchar(200), updated_at timestamp not null);
         insert into users select id, 'user ' || id, id || '@example.com', timestamp '2024-01-15 12:00:00.123456'
         from generate_series(1, 500) as ids (id);
         analyze users",
    );
    let (_, inserted, updated, parity) = start.run(&[]);
    assert_eq!((inserted, updated, parity.as_str()), (500, 0, "ok"));
    start.source.execute(
        "insert into users values (501, 'new', null, localtimestamp);
         update users set name = 'renamed', updated_at = localtimestamp where id in (7, 8)",
    );
    assert_eq!(start.run(&[]), ("hourly_delta".to_owned(), 1, 2, "ok".to_owned()));
    let columns = "id, name, email, updated_at";
    assert_eq!(
        start.rows(&start.source, &listed(columns, "users", "id")),
        start.rows(&start.destination, &listed(columns, "users_copy", "id"))
    );
}

#[test]
fn the_complete_example_runs_in_full_and_as_a_delta_without_its_enrichment() {
    let pipeline = include_str!("../../../pintail-sync/tests/it/spec/advanced_sync_pipeline.yaml");
    let start = Start::new(pipeline.split("\nenrichment:").next().unwrap_or_default());
    start.source.execute(
        "create table customers (id integer primary key, name varchar(80) not null);
         insert into customers select id, 'customer ' || id from generate_series(1, 90) as ids (id);
         create table orders (id bigint primary key, customer_id integer, order_date timestamp not null,
             total numeric(12,2) not null, status text not null, updated_at timestamptz not null);
         insert into orders select id, id % 100, timestamp '2024-01-01' + id * interval '1 minute', id * 1.25,
             case when id % 3 = 0 then 'closed' else 'active' end, timestamptz '2024-01-15 12:00:00+00'
         from generate_series(1, 3000) as ids (id);
         analyze orders",
    );
    let full = start.run(&["--strategy", "full_sync"]);
    assert_eq!(full, ("full_sync".to_owned(), 2_000, 0, "ok".to_owned()));
    start.source.execute(
        "update orders set total = 7, updated_at = now() where id in (1, 2, 3, 95);
         update orders set status = 'active', updated_at = now() where id = 6",
    );
    let delta = start.run(&["--strategy", "delta_sync"]);
    assert_eq!(delta, ("delta_sync".to_owned(), 1, 3, "ok".to_owned()));
    assert_eq!(
        start.rows(
            &start.source,
            &listed(
                "o.id, o.order_date, o.total::numeric(10,2), c.name, o.updated_at",
                "orders o left join customers c on o.customer_id = c.id where o.status = 'active'",
                "o.id"
            )
        ),
        start.rows(
            &start.destination,
            &listed(
                "order_id, order_date, total_amount, customer_name, updated_at",
                "analytics.orders_enriched",
                "order_id"
            )
        )
    );
}

/// The seed's pipelines with backends read and write one database: the source's is both here.
fn in_one_database(pipeline: &str) -> Start<'_> {
    let start = Start::new(pipeline);
    let port = PostgresServer::shared().port();
    let name = start.source.name();
    start.project.write(
        "datastores.yaml",
        &format!(
            "datastores:\n  local_postgres:\n    type: postgres\n    connection: {{host: 127.0.0.1, port: {port}, user: postgres, \
             dbname: {name}}}\n"
        ),
    );
    start
}

const ORDERS: &str = "create table orders (order_id serial primary key, user_id integer not null, amount numeric(10,2) not null,
         discount numeric(10,2), order_date timestamp not null, updated_at timestamptz not null default now());
     create index on orders (user_id);
     create index on orders (updated_at);
     insert into orders (user_id, amount, discount, order_date, updated_at)
     select id % 20, id * 1.25, null, timestamp '2024-01-15 08:00' + id * interval '1 hour', now() - interval '1 day'
     from generate_series(1, 400) as ids (id);
     analyze orders";

const RECOMPUTED: &str = "select user_id, order_date::date as date, count(*), sum(amount) as amount, sum(discount), max(updated_at) \
                          from orders group by 1, 2";

/// Groups as text, as the source computes them and as they are stored.
fn groups(start: &Start<'_>) -> (Vec<String>, Vec<String>) {
    let stored = "select user_id, date, num_orders, amount, discount, last_updated_at from analytics.user_daily_orders_aggregate";
    let listed = |rows: &str| {
        let sql = format!(
            "select string_agg(concat_ws('|', user_id, date, count, trim_scale(amount), last::text), ' ' order by user_id, date) from ({rows}) \
             as g (user_id, date, count, amount, discount, last)"
        );
        start.rows(&start.source, &sql)
    };
    (listed(RECOMPUTED), listed(stored))
}

#[test]
fn the_aggregate_runs_as_it_is_written() {
    let start = in_one_database(include_str!(
        "../../../pintail-sync/tests/it/spec/user_daily_orders_aggregate.yaml"
    ));
    start.source.execute(ORDERS);
    let (_, inserted, updated, parity) = start.run(&["--strategy", "delta"]);
    assert_eq!((inserted > 100, updated, parity.as_str()), (true, 0, "ok"));
    let (computed, stored) = groups(&start);
    assert_eq!(computed, stored);
    // One group changes, one row moves from one group to another, one group comes.
    start.source.execute(
        "update orders set amount = 40, updated_at = now() where order_id = 2;
         update orders set user_id = 9, updated_at = now() where order_id = 8;
         insert into orders (user_id, amount, discount, order_date) values (101, 1, 2, '2024-03-01')",
    );
    let (strategy, inserted, updated, parity) = start.run(&["--strategy", "delta"]);
    assert_eq!((strategy.as_str(), parity.as_str()), ("delta", "ok"));
    assert!(inserted >= 1 && updated >= 1, "{inserted} {updated}");
    let (computed, stored) = groups(&start);
    assert_eq!(computed, stored);
    start.source.execute("delete from orders where order_id = 2");
    let (_, inserted, updated, parity) = start.run(&["--deletes", "--allow-deletes"]);
    assert_eq!((inserted, updated, parity.as_str()), (0, 0, "ok"));
    let (computed, stored) = groups(&start);
    assert_eq!(computed, stored);
}

#[test]
fn the_row_level_sync_runs_as_it_is_written() {
    let start = Start::new(include_str!(
        "../../../pintail-sync/tests/it/spec/users_row_sync.yaml"
    ));
    start.source.execute(
        "create table users (id integer primary key, name text, updated_at timestamp not null);
         insert into users select id, 'user ' || id, localtimestamp - interval '1 day' from generate_series(1, 50) as ids (id)",
    );
    assert_eq!(start.run(&["--strategy", "delta_sync"]).1, 50);
    start
        .source
        .execute("update users set name = 'renamed', updated_at = localtimestamp where id < 4");
    let delta = start.run(&["--strategy", "delta_sync"]);
    assert_eq!(delta, ("delta_sync".to_owned(), 0, 3, "ok".to_owned()));
}

#[test]
fn change_detection_by_columns_runs_as_it_is_written() {
    let start = in_one_database(include_str!(
        "../../../pintail-sync/tests/it/spec/users_column_level.yaml"
    ));
    start.source.execute(
        "create table users (user_id integer primary key, name text, email text, last_login timestamp);
         insert into users select id, 'user ' || id, id || '@example.com', timestamp '2024-01-15 12:00' from generate_series(1, 50) \
         as ids (id)",
    );
    let run = || start.run(&["--strategy", "hash_sync"]);
    assert_eq!(run().1, 50);
    let row = |id: u32| {
        let sql =
            format!("select (name, last_login, checksum)::text from copies.users_copy where user_id = {id}");
        start.rows(&start.source, &sql)
    };
    let (before, other) = (row(7), row(8));
    // A column that does not count makes nobody write.
    start
        .source
        .execute("update users set last_login = '2024-02-01' where user_id in (7, 8)");
    assert_eq!(run(), ("hash_sync".to_owned(), 0, 0, "ok".to_owned()));
    assert_eq!(row(7), before);
    // One that does makes the whole row be written, its hash with it.
    start
        .source
        .execute("update users set name = 'renamed' where user_id = 7");
    assert_eq!(run(), ("hash_sync".to_owned(), 0, 1, "ok".to_owned()));
    let after = row(7);
    assert!(
        after[0].starts_with("(renamed,\"2024-02-01 00:00:00\","),
        "{after:?}"
    );
    let hash = |row: &[String]| row[0].rsplit_once(',').map(|(_, hash)| hash.to_owned());
    assert_ne!(hash(&after), hash(&before));
    assert_eq!(row(8), other);
}
