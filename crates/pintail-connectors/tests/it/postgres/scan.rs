//! How Postgres is read, beyond what every connector promises.

use pintail_connectors::postgres::PostgresSource;
use pintail_lake::connector::{ScanRequest, SourceColumn};
use pintail_lake::{Call, Session};
use pintail_model::{CursorValue, ErrorKind, LogicalType, Range, TableName};
use pintail_testkit::PostgresServer;
use pintail_testkit::conformance::{Attached, Fixture, read_as};

use super::fixture::{PostgresFixture, connect};

fn key(column: &str, low: Option<i64>, high: Option<i64>) -> Range {
    Range::Key {
        column: column.to_owned(),
        low,
        high,
        with_null: false,
    }
}

fn texts(attached: &Attached, request: &ScanRequest) -> Vec<Option<String>> {
    let rows = attached.rows(request);
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

/// Reads the only column of a table as text.
fn as_text(attached: &Attached, table: &str) -> Vec<Option<String>> {
    let description = attached.describe(table);
    let columns = vec![read_as(description.columns[0].clone(), LogicalType::Text)];
    texts(
        attached,
        &ScanRequest {
            relation: description.name.into(),
            columns,
            range: Range::Whole,
        },
    )
}

#[test]
fn statements_are_plain_to_read() {
    let column = |name: &str, source_type: &str, home| SourceColumn {
        name: name.to_owned(),
        source_type: source_type.to_owned(),
        logical_type: Some(home),
        carrier: None,
        origin: None,
        nullable: true,
        identity: None,
        histogram: Vec::new(),
    };
    let money = LogicalType::Decimal {
        precision: 12,
        scale: 2,
    };
    let mut request = ScanRequest {
        relation: TableName::new("shop", "orders").into(),
        columns: vec![
            read_as(column("id", "bigint", LogicalType::Int64), LogicalType::Int64),
            read_as(column("amount", "numeric(12,2)", money), money),
            read_as(column("meta", "jsonb", LogicalType::Json), LogicalType::Json),
            read_as(
                column("changed_at", "timestamp with time zone", LogicalType::TimestampTz),
                LogicalType::TimestampTz,
            ),
        ],
        range: Range::Whole,
    };
    let connector = connect("postgres://sync@db/erp");
    let whole = connector.scan("source", &request);
    assert_eq!(whole.pushed_down, None);
    insta::assert_snapshot!("whole", whole.sql);

    request.range = Range::Pages {
        first: 100,
        end: Some(200),
    };
    insta::assert_snapshot!("pages", connector.scan("source", &request).sql);

    request.columns.push(read_as(
        SourceColumn {
            logical_type: None,
            ..column("weight", "numeric", money)
        },
        money,
    ));
    request.range = Range::Cursor {
        column: "changed_at".to_owned(),
        low: Some(CursorValue::TimestampTz(1_704_067_200_000_000)),
        high: CursorValue::TimestampTz(1_704_070_800_000_001),
    };
    insta::assert_snapshot!("cursor", connector.scan("source", &request).sql);
    insta::assert_snapshot!(
        "count",
        connector.count("source", &request.relation, &request.range)
    );
}

#[test]
fn a_parallel_scan_sees_one_snapshot() {
    let fixture = PostgresFixture::new();
    // Few rows a page, so that the scanner hands out several tasks of 1,000 pages.
    fixture.execute(
        "create table wide (id bigint primary key, note text) with (fillfactor = 10); \
         insert into wide select i, 'note ' || repeat('x', 100) from generate_series(1, 40000) as i; analyze wide",
    );
    let attached = Attached::new(fixture.connector());
    let request = attached.request("wide", Range::Whole);
    assert!(attached.describe("wide").pages.is_some_and(|pages| pages > 4_000));
    let before = attached.checksums_now(&request);
    attached.reading(|session| {
        for turn in 0..3 {
            fixture.execute(&format!(
                "update wide set note = 'turn {turn}' where id % 3 = {turn}"
            ));
            assert_eq!(attached.checksums(session, &request), before);
        }
    });
    assert_ne!(attached.checksums_now(&request), before);
    let helpers = fixture
        .database()
        .client()
        .query_one(
            "select count(*) from pg_stat_activity where application_name = 'pintail' and datname = current_database()",
            &[],
        )
        .unwrap();
    assert!(
        helpers.get::<_, i64>(0) > 1,
        "the scanner read over one connection only"
    );
}

#[test]
fn text_arrives_in_utf8_from_a_database_in_another_encoding() {
    let server = PostgresServer::shared();
    let database = format!("latin_{}", server.fresh_database().name());
    let make = format!(
        "create database {database} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0"
    );
    server.client("postgres").batch_execute(&make).unwrap();
    server
        .client(&database)
        .batch_execute("create table words (word text); insert into words values ('größe')")
        .unwrap();
    let attached = Attached::new(connect(&format!(
        "{}?client_encoding=LATIN1",
        server.url(&database)
    )));
    assert_eq!(
        texts(&attached, &attached.request("words", Range::Whole)),
        [Some("größe".to_owned())]
    );
}

#[test]
fn bytes_that_are_no_text_fail_the_scan() {
    let server = PostgresServer::shared();
    let database = format!("ascii_{}", server.fresh_database().name());
    let make = format!(
        "create database {database} encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0"
    );
    server.client("postgres").batch_execute(&make).unwrap();
    server
        .client(&database)
        .batch_execute(r"create table words (word text); insert into words values (E'a\xe9b')")
        .unwrap();
    let attached = Attached::new(connect(&server.url(&database)));
    let request = attached.request("words", Range::Whole);
    assert!(
        attached
            .reading(|session| attached.try_checksums(session, &request))
            .is_err()
    );
}

#[test]
fn columns_that_differ_in_case_only_are_refused() {
    let fixture = PostgresFixture::new();
    fixture.execute("create table twins (\"ID\" integer, id integer)");
    let attached = Attached::new(fixture.connector());
    let error = attached
        .connector()
        .describe(attached.session(), "outside", &TableName::bare("twins"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    insta::assert_snapshot!(error, @r#"cannot read table "public.twins": column `id` differs from another one only in case"#);
}

#[test]
fn tables_that_differ_in_case_only_are_kept_apart() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table words (a text); create table \"Words\" (b text); create schema \"Public\"; \
         create table \"Public\".words (c text); \
         insert into words values ('a'); insert into \"Words\" values ('b'); insert into \"Public\".words values ('c')",
    );
    let attached = Attached::new(fixture.connector());
    for (schema, table, value) in [
        ("public", "words", "a"),
        ("public", "Words", "b"),
        ("Public", "words", "c"),
    ] {
        let name = TableName::new(schema, table);
        let description = attached
            .connector()
            .describe(attached.session(), "outside", &name)
            .unwrap();
        let columns = vec![read_as(description.columns[0].clone(), LogicalType::Text)];
        let request = ScanRequest {
            relation: description.name.clone().into(),
            columns,
            range: Range::Whole,
        };
        assert_eq!(texts(&attached, &request), [Some(value.to_owned())], "{name}");
    }
}

#[test]
fn types_without_a_home_are_spelt_alike_whatever_the_database_has_set() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table spans (value interval); insert into spans values ('1 year 2 days 3.5 seconds'); \
         create table ranges (value tstzrange); insert into ranges values ('[2024-01-01 00:00+00, infinity)'); \
         create table lists (value numeric[]); insert into lists values ('{1.10,NaN,null}'); \
         create table feelings (value mood); insert into feelings values ('ok')",
    );
    let spelt = || {
        let attached = Attached::new(fixture.connector());
        ["spans", "ranges", "lists", "feelings"]
            .map(|table| as_text(&attached, table))
            .concat()
    };
    let expected = [
        "1 year 2 days 00:00:03.5",
        "[\"2024-01-01 00:00:00+00\",infinity)",
        "{1.10,NaN,NULL}",
        "ok",
    ];
    assert_eq!(spelt(), expected.map(|text| Some(text.to_owned())));
    let database = fixture.database().name();
    fixture.execute(&format!(
        "alter database {database} set intervalstyle = 'sql_standard'; alter database {database} set timezone = 'Asia/Tokyo'; \
         alter database {database} set datestyle = 'German'; alter database {database} set extra_float_digits = -3"
    ));
    assert_eq!(spelt(), expected.map(|text| Some(text.to_owned())));
}

#[test]
fn a_number_without_precision_is_read_exactly_as_declared() {
    let fixture = PostgresFixture::new();
    fixture.execute("create table numbers (value numeric); insert into numbers values (1.5), (-0.07), (2.5000), (1e3), (null)");
    let attached = Attached::new(fixture.connector());
    let description = attached.describe("numbers");
    let wanted = LogicalType::Decimal {
        precision: 6,
        scale: 2,
    };
    let request = ScanRequest {
        relation: description.name.clone().into(),
        columns: vec![read_as(description.columns[0].clone(), wanted)],
        range: Range::Whole,
    };
    let sql = attached.connector().scan("outside", &request).sql;
    let sql = format!("select value::varchar from ({sql}) order by value");
    let rows = attached
        .reading(|session| session.query(Call::new("read"), &sql))
        .unwrap();
    let read: Vec<_> = rows.iter().map(|row| row.text(0)).collect();
    assert_eq!(
        read,
        [Some("-0.07"), Some("1.50"), Some("2.50"), Some("1000.00"), None]
    );
}

#[test]
fn views_are_read_whole() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(50);
    fixture.execute(
        "create view recent as select id, note, 1.5::numeric(4,2) as rate from orders where id > 10",
    );
    let attached = Attached::new(fixture.connector());
    let description = attached.describe("recent");
    assert_eq!(
        (description.pages, description.rows, description.key.len()),
        (None, None, 0)
    );
    assert_eq!(
        attached
            .checksums_now(&attached.request("recent", Range::Whole))
            .total()
            .rows,
        40
    );
}

#[test]
fn pages_of_a_partitioned_table_cover_all_of_its_parts() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table events (id integer not null, note text) partition by range (id); \
         create table events_1 partition of events for values from (0) to (1000); \
         create table events_2 partition of events for values from (1000) to (20000) partition by range (id); \
         create table events_2a partition of events_2 for values from (1000) to (9000); \
         create table events_2b partition of events_2 for values from (9000) to (20000); \
         insert into events select i, repeat('x', 50) from generate_series(0, 19999) as i; analyze",
    );
    let attached = Attached::new(fixture.connector());
    let description = attached.describe("events");
    let pages = description.pages.expect("every part is a heap");
    assert_eq!(description.rows, Some(20_000));
    let whole = attached.checksums_now(&attached.request("events", Range::Whole));
    let mut sum = pintail_model::LeafChecksums::default();
    for (first, end) in [(0, Some(pages / 2)), (pages / 2, None)] {
        sum.merge(&attached.checksums_now(&attached.request("events", Range::Pages { first, end })));
    }
    assert_eq!(sum, whole);
    assert_eq!(whole.total().rows, 20_000);
}

#[test]
fn sizes_and_identity_describe_the_storage() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(20_000);
    let attached = Attached::new(fixture.connector());
    let orders = attached.describe("orders");
    assert_eq!(orders.rows, Some(20_000));
    assert!(
        orders.pages.is_some_and(|pages| pages > 100) && orders.bytes.is_some_and(|bytes| bytes > 1_000_000)
    );
    assert_eq!(
        orders.storage_identity,
        attached.describe("orders").storage_identity
    );
    fixture.execute("create index on orders (changed_at, id); create index on orders (note) where id > 5; truncate orders");
    let emptied = attached.describe("orders");
    assert_ne!(emptied.storage_identity, orders.storage_identity);
    assert_eq!((emptied.rows, emptied.pages), (Some(0), Some(0)));
    assert_eq!(emptied.indexed, ["changed_at", "id"]);
    fixture.execute("create table fresh as select 1 as id");
    assert_eq!(attached.describe("fresh").rows, None, "nobody has counted it yet");
}

#[test]
fn a_unique_constraint_without_null_is_a_key() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table pairs (a integer not null, b integer not null, c integer unique, \
         d integer not null, unique (b, a), unique (d, a, b)); create unique index on pairs (d) where d > 5; \
         create unique index on pairs ((a + b))",
    );
    let attached = Attached::new(fixture.connector());
    assert_eq!(attached.describe("pairs").key, ["b", "a"]);
}

#[test]
fn statistics_cut_columns_into_equal_parts() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table points (id integer, day date, at timestamptz, much integer, few integer, word text); \
         insert into points select i, date '2024-01-01' + i / 100, timestamptz '2024-01-01 00:00+00' + i * interval '1 second', \
         case when i % 2 = 0 then 7 else i end, i % 3, 'x' from generate_series(0, 29999) as i; \
         insert into points values (null, 'infinity', '-infinity', null, null, null); analyze points",
    );
    let attached = Attached::new(fixture.connector());
    let points = attached.describe("points");
    let histogram = |name: &str| points.column(name).unwrap().histogram.clone();
    let check = |name: &str, first: i64, last: i64, step: i64| {
        let cuts = histogram(name);
        assert!(
            cuts.len() > 90
                && cuts.is_sorted()
                && cuts[0] <= first + step
                && cuts[cuts.len() - 1] >= last - step,
            "{name}: {cuts:?}"
        );
        let widest = cuts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 3 * step, "{name}: {widest}");
    };
    check("id", 0, 29_999, 300);
    check("day", 19_723, 19_723 + 299, 3);
    check(
        "at",
        1_704_067_200_000_000,
        1_704_067_200_000_000 + 29_999_000_000,
        300_000_000,
    );
    // Half of the rows are 7, which fills half of the parts.
    let sevens = histogram("much").iter().filter(|value| **value == 7).count();
    assert!((45..55).contains(&sevens), "{sevens}");
    let mut few = histogram("few");
    few.dedup();
    assert_eq!(few, [0, 1, 2]);
    assert_eq!(histogram("word"), [] as [i64; 0]);
}

#[test]
fn a_table_without_a_schema_is_that_of_the_datastore() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create schema erp; create table erp.orders (a integer); create table public.orders (b integer)",
    );
    let of = |url: &str| Attached::new(connect(url)).describe("orders").name;
    assert_eq!(of(&fixture.database().url()), TableName::new("public", "orders"));
    assert_eq!(
        of(&format!("{}?schema=erp", fixture.database().url())),
        TableName::new("erp", "orders")
    );
    let attached = Attached::new(connect(&fixture.database().url()));
    let other = TableName::new("erp", "order");
    let error = attached
        .connector()
        .describe(attached.session(), "outside", &other)
        .unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("Did you mean `erp.orders`?"));
}

#[test]
fn a_forbidden_table_is_unauthorized() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    fixture.execute(&format!("revoke select on orders from {}", fixture.user()));
    let attached = Attached::new(fixture.connector());
    let request = attached.request("orders", Range::Whole);
    for range in [Range::Whole, key("id", Some(1), None)] {
        let request = ScanRequest {
            range,
            ..request.clone()
        };
        let error = attached
            .reading(|session| attached.try_checksums(session, &request))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    }
}

#[test]
fn a_source_does_not_show_its_password() {
    let url = "postgres://sync:hunter2@db/erp?sslpassword=hunter3";
    let location = pintail_config::Location::parse(url, std::path::Path::new("/")).unwrap();
    let source = PostgresSource::new(&location.datastore);
    assert!(!format!("{source:?}").contains("hunter"), "{source:?}");
    let secrets = connect(url).attachment("source").secrets;
    let secrets: Vec<_> = secrets.iter().map(pintail_model::Secret::expose).collect();
    assert_eq!(secrets, ["hunter2", "hunter3"]);
}

#[test]
fn a_snapshot_outlives_the_time_limits_of_the_server() {
    let fixture = PostgresFixture::new();
    fixture.execute(&format!(
        "alter database {} set idle_in_transaction_session_timeout = '20s'; \
         alter role {} set statement_timeout = '20s'",
        fixture.database().name(),
        fixture.user()
    ));
    let attached = Attached::new(fixture.connector());
    let limits = "from postgres_query('outside', 'select current_setting(''statement_timeout'') as statement, \
                  current_setting(''idle_in_transaction_session_timeout'') as idle')";
    let read = |session: &Session| {
        let rows = session.query(Call::new("read the limits"), limits).unwrap();
        [0, 1].map(|index| rows[0].text(index).unwrap().to_owned())
    };
    assert_eq!(read(attached.session()), ["20s", "20s"]);
    attached.reading(|session| assert_eq!(read(session), ["0", "0"]));
    let first = attached.another_session();
    let id = attached
        .connector()
        .begin_snapshot(&first, "outside")
        .unwrap()
        .unwrap();
    let second = attached.another_session();
    attached
        .connector()
        .join_snapshot(&second, "outside", &id)
        .unwrap();
    assert_eq!(read(&second), ["0", "0"]);
}
