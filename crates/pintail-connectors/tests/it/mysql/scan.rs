//! How MySQL is read, beyond what every connector promises.

use mysql::prelude::Queryable;
use pintail_lake::Call;
use pintail_lake::connector::{ScanRequest, SourceColumn};
use pintail_model::{CursorValue, ErrorKind, LogicalType, Range, TableName};
use pintail_testkit::MariaDbOptions;
use pintail_testkit::conformance::{Attached, Fixture, read_as};

use super::fixture::{MySqlFixture, connect};

fn column(name: &str, source_type: &str, home: LogicalType, nullable: bool) -> SourceColumn {
    SourceColumn {
        name: name.to_owned(),
        source_type: source_type.to_owned(),
        logical_type: Some(home),
        carrier: None,
        nullable,
        identity: None,
        histogram: Vec::new(),
    }
}

#[test]
fn statements_are_plain_to_read() {
    let columns = [
        column("id", "bigint(20)", LogicalType::Int64, false),
        column("changed_at", "timestamp(6)", LogicalType::TimestampTz, false),
        column("paid_on", "date", LogicalType::Date, true),
        column("took", "time", LogicalType::Time, true),
    ];
    let mut request = ScanRequest {
        relation: TableName::new("shop", "orders").into(),
        columns: columns
            .into_iter()
            .map(|column| {
                let home = column.logical_type.unwrap();
                read_as(column, home)
            })
            .collect(),
        range: Range::Cursor {
            column: "changed_at".to_owned(),
            low: None,
            high: CursorValue::TimestampTz(1_704_067_200_000_001),
        },
    };
    let connector = connect("mysql://sync@db/shop");
    let doubtful = connector.doubtful_scan("source", &request).unwrap();
    assert_eq!(doubtful.doubts.len(), 1);
    insta::assert_snapshot!(doubtful.scan.sql, @r#"
    select
      s."id" as "id",
      s."changed_at"::timestamp with time zone as "changed_at",
      s."paid_on" as "paid_on",
      s."took"::time as "took"
    from (select * from "source"."shop"."orders" as s where s."changed_at" < '2024-01-01 00:00:00.000001'::timestamp) as s
    where case
      when s."changed_at" is null then error('column "changed_at" holds a zero date, which no date can hold')
      when not regexp_full_match(s."took", '([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?') then error('column "took" holds a time that is no time of day')
      else true end
    limit 9223372036854775807
    "#);
    request.relation.table.table = "odd`name".to_owned();
    insta::assert_snapshot!(connector.scan("source", &request).pushed_down.unwrap(), @"select `id` as `id`, convert(cast(`changed_at` as char) using utf8mb4) collate utf8mb4_general_ci as `changed_at`, convert(cast(`paid_on` as char) using utf8mb4) collate utf8mb4_general_ci as `paid_on`, convert(`took` using utf8mb4) collate utf8mb4_general_ci as `took` from `shop`.`odd``name` where `changed_at` < timestamp '2024-01-01 00:00:00.000001'");
}

#[test]
fn filters_of_a_caller_are_evaluated_by_the_engine() {
    let fixture = MySqlFixture::new();
    fixture.execute(
        "create table words (id int primary key, word varchar(9), number float); \
         insert into words values (1, 'abc', 1.1), (2, 'ABC', 1.1), (3, 'abc ', 1.1)",
    );
    let attached = Attached::new(fixture.connector());
    let request = attached.request("words", Range::Whole);
    let sql = attached.connector().scan("outside", &request).sql;
    let count = |rest: &str| {
        let sql = format!("select count(*) from ({sql}) where {rest}");
        let rows = attached.reading(|session| session.query(Call::new("count words"), &sql));
        rows.unwrap()[0].integer(0)
    };
    assert_eq!(count("word = 'abc'"), Some(1));
    assert_eq!(count("word in ('ABC', 'x')"), Some(1));
    assert_eq!(count("number = 1.1::float"), Some(3));
}

#[test]
fn a_snapshot_is_one_state_whatever_the_server_prefers() {
    let server = MariaDbOptions::default()
        .with_setting("transaction-isolation", "READ-UNCOMMITTED")
        .start()
        .unwrap();
    let database = server.fresh_database();
    database.execute("create table orders (id int primary key); insert into orders values (1), (2)");
    let attached = Attached::new(connect(&database.url()));
    let request = attached.request("orders", Range::Whole);
    let before = attached.checksums_now(&request);
    let session = attached.another_session();
    attached.connector().begin_snapshot(&session, "outside").unwrap();
    let mut writer = database.client();
    writer
        .query_drop("start transaction; insert into orders values (3)")
        .unwrap();
    assert_eq!(attached.checksums(&session, &request), before);
    writer.query_drop("commit").unwrap();
    assert_eq!(attached.checksums(&session, &request), before);
    assert_eq!(attached.count(&session, &request.relation, &Range::Whole), 2);
    session.rollback();
    assert_eq!(attached.checksums_now(&request).total().rows, 3);
}

#[test]
fn a_user_who_may_write_is_kept_from_it_in_a_snapshot() {
    let fixture = MySqlFixture::new();
    fixture.fill_orders(10);
    let attached = Attached::new(connect(&fixture.database().url()));
    let session = attached.another_session();
    attached.connector().begin_snapshot(&session, "outside").unwrap();
    let delete = "from mysql_query('outside', 'delete from orders returning id', stream_results := false)";
    let error = session.batch(Call::new("write"), delete).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    session.rollback();
}

#[test]
fn a_column_that_is_declared_text_keeps_what_no_date_can_hold() {
    let fixture = MySqlFixture::new();
    fixture.execute(
        "create table odd (id int primary key, a date, b datetime(3) not null, c time, d decimal(65,30)); \
         insert into odd values (1, '0000-00-00', '2024-00-00 10:00:00', '-838:59:59', \
         12345678901234567890123456789012345.123456789012345678901234567890)",
    );
    let attached = Attached::new(fixture.connector());
    let description = attached.describe("odd");
    let columns = description.columns[1..].iter();
    let request = ScanRequest {
        columns: columns
            .map(|column| read_as(column.clone(), LogicalType::Text))
            .collect(),
        relation: description.name.into(),
        range: Range::Whole,
    };
    let rows = attached.rows(&request);
    let read: Vec<_> = (0..4).filter_map(|index| rows[0].text(index)).collect();
    assert_eq!(
        read,
        [
            "0000-00-00",
            "2024-00-00 10:00:00.000",
            "-838:59:59",
            "12345678901234567890123456789012345.123456789012345678901234567890"
        ]
    );
}

#[test]
fn answers_of_the_server_are_told_apart_and_show_no_values() {
    let fixture = MySqlFixture::new();
    fixture.fill_orders(1);
    let attached = Attached::new(fixture.connector());
    let answers = [
        "select * from no_such_table",
        "select no_such_column from orders",
        "select * from orders for update",
        "select cast('secret' as inet6) + json_value('{', '$.secret') from no_such.secret",
        "selct 'secret'",
    ];
    let shown = answers.map(|sql| {
        attached.session().begin().unwrap();
        let sql = sql.replace('\'', "''");
        let query = format!("from mysql_query('outside', '{sql}', stream_results := false)");
        let error = attached.session().query(Call::new("ask"), &query).unwrap_err();
        attached.session().rollback();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        format!("{:?}: {cause}", error.kind()).replace(fixture.database().name(), "shop")
    });
    insta::assert_snapshot!(shown.join("\n"), @r"
    NotFound: Table 'shop.no_such_table' doesn't exist
    NotFound: Unknown column 'no_such_column' in 'SELECT'
    Invalid: Cannot execute statement in a READ ONLY transaction
    NotFound: Table 'no_such.secret' doesn't exist
    Invalid: DuckDB reported an error (details may hold values and are not shown)
    ");
}

#[test]
fn bounds_of_ranges_are_compared_by_the_server() {
    let server = MariaDbOptions::default()
        .with_setting("general-log", "1")
        .with_setting("log-output", "TABLE")
        .start()
        .unwrap();
    let database = server.fresh_database();
    let types = [
        "smallint unsigned",
        "mediumint",
        "int unsigned",
        "int",
        "bigint",
        "timestamp(6)",
        "datetime",
        "date",
    ];
    let attached = Attached::new(connect(&database.url()));
    for (index, declared) in types.into_iter().enumerate() {
        let table = format!("bounded_{index}");
        database.execute(&format!(
            "create table {table} (bounded {declared} not null, key (bounded))"
        ));
        let (column, micros) = ("bounded".to_owned(), 1_704_067_200_000_000);
        let range = match declared {
            "timestamp(6)" => between(
                column,
                CursorValue::TimestampTz(micros),
                CursorValue::TimestampTz(micros + 1),
            ),
            "datetime" => between(
                column,
                CursorValue::Timestamp(micros),
                CursorValue::Timestamp(micros + 1),
            ),
            "date" => between(column, CursorValue::Date(19_000), CursorValue::Date(20_000)),
            _ => Range::Key {
                column,
                low: Some(10),
                high: Some(20),
                with_null: true,
            },
        };
        attached.rows(&attached.request(&table, range));
        let seen: Vec<String> = database
            .client()
            .query(format!(
                "select convert(argument using utf8mb4) from mysql.general_log \
                 where command_type = 'Execute' and argument like 'SELECT `bounded` FROM%{table}`%'"
            ))
            .unwrap();
        let bounded = |sql: &String| sql.contains("`bounded` >= ") && sql.contains("`bounded` < ");
        assert!(
            !seen.is_empty() && seen.iter().all(bounded),
            "`{declared}`: {seen:?}"
        );
    }
}

fn between(column: String, low: CursorValue, high: CursorValue) -> Range {
    Range::Cursor {
        column,
        low: Some(low),
        high,
    }
}
