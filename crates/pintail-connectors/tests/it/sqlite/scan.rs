//! How SQLite is read, beyond what every connector promises.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pintail_lake::connector::{OldestTransaction, ScanRequest, SourceColumn};
use pintail_lake::{Call, Relation};
use pintail_model::{CursorType, CursorValue, ErrorKind, LogicalType, Range, TableName};
use pintail_testkit::conformance::{Attached, Fixture, read_as};

use super::fixture::{SqliteFixture, connect};

fn cursor(column: &str, low: CursorValue, high: CursorValue) -> Range {
    Range::Cursor {
        column: column.to_owned(),
        low: Some(low),
        high,
    }
}

fn at(text: &str) -> CursorValue {
    CursorValue::parse(CursorType::Timestamp, text).unwrap()
}

#[test]
fn statements_are_plain_to_read() {
    let column = |name: &str, declared: &str, home| SourceColumn {
        name: name.to_owned(),
        source_type: declared.to_owned(),
        logical_type: Some(home),
        carrier: None,
        origin: None,
        nullable: true,
        identity: None,
        histogram: Vec::new(),
    };
    let money = LogicalType::Decimal {
        precision: 10,
        scale: 2,
    };
    let request = ScanRequest {
        relation: TableName::new("main", "orders").into(),
        columns: vec![
            read_as(column("id", "INTEGER", LogicalType::Int64), LogicalType::Int64),
            read_as(column("amount", "DECIMAL(10,2)", money), money),
            read_as(
                column("changed_at", "TIMESTAMP", LogicalType::Timestamp),
                LogicalType::Timestamp,
            ),
        ],
        range: cursor("changed_at", at("2024-01-01 10:00:00"), at("2024-01-01 11:00:00")),
    };
    let fixture = SqliteFixture::new();
    let connector = fixture.connector();
    insta::assert_snapshot!("cursor", connector.scan("source", &request).sql);
    insta::assert_snapshot!(
        "count",
        connector.count("source", &request.relation, &request.range)
    );
    let request = ScanRequest {
        range: Range::Whole,
        ..request
    };
    insta::assert_snapshot!("whole", connector.scan("source", &request).sql);
}

#[test]
fn times_are_compared_as_times_whatever_their_form() {
    let fixture = SqliteFixture::new();
    fixture.execute(
        "create table events (id integer primary key, at datetime, zoned timestamptz, day date); \
         insert into events values \
         (1, '2024-01-01T09:00:00', '2024-01-01 20:00:00+11:00', '2024-01-01'), \
         (2, '2024-01-01 10:00:00', '2024-01-01 05:00:00-05:00', '2024-01-02'), \
         (3, '2024-01-01 10:00', '2024-01-01T10:00:00Z', '2024-01-03'), \
         (4, '2024-01-01 10:00:00.000001', '2024-01-01 10:00:00.000001Z', '2024-01-04'), \
         (5, '2024-01-01', '2023-12-31 10:00:00-14:00', '2024-01-05')",
    );
    let attached = Attached::new(fixture.connector());
    let ids = |column: &str, low: CursorValue, high: CursorValue| {
        let request = attached.request("events", cursor(column, low, high));
        let rows = attached.rows(&request);
        let mut ids: Vec<i64> = rows.iter().filter_map(|row| row.integer(0)).collect();
        ids.sort_unstable();
        let counted = attached.count_now(&request.relation, &request.range);
        assert_eq!(counted, ids.len() as u64);
        ids
    };
    let zoned = |text: &str| CursorValue::parse(CursorType::TimestampTz, text).unwrap();
    let day = |text: &str| CursorValue::parse(CursorType::Date, text).unwrap();
    assert_eq!(
        ids("at", at("2024-01-01 00:00:00"), at("2024-01-01 10:00:00")),
        [1, 5]
    );
    assert_eq!(
        ids("at", at("2024-01-01 10:00:00"), at("2024-01-01 10:00:00.000001")),
        [2, 3]
    );
    assert_eq!(
        ids("at", at("2024-01-01 10:00:00.000001"), at("2024-01-02 00:00:00")),
        [4]
    );
    assert_eq!(
        ids(
            "zoned",
            zoned("2024-01-01 00:00:00+00"),
            zoned("2024-01-01 10:00:00+00")
        ),
        [1, 5]
    );
    assert_eq!(
        ids(
            "zoned",
            zoned("2024-01-01 10:00:00+00"),
            zoned("2024-01-01 10:00:00.000001+00")
        ),
        [2, 3]
    );
    assert_eq!(
        ids(
            "zoned",
            zoned("2024-01-01 10:00:00.000001+00"),
            zoned("2024-01-02 00:00:00+00")
        ),
        [4]
    );
    assert_eq!(ids("day", day("2024-01-02"), day("2024-01-04")), [2, 3]);
}

#[test]
fn a_cursor_of_another_kind_fails_every_range_instead_of_being_missed() {
    let odd = [
        "1704067200",
        "'yesterday'",
        "x'00'",
        "'2024/01/01'",
        "'20240101'",
        "2460310.5",
        "'2024-01-01 10:00:00+02:00'",
    ];
    for (index, value) in odd.iter().enumerate() {
        let fixture = SqliteFixture::new();
        fixture.execute(&format!(
            "create table events (id integer, at datetime, number integer, word text); \
             insert into events values (1, {value}, 5, 'x')"
        ));
        let attached = Attached::new(fixture.connector());
        let mut request = attached.request("events", Range::Whole);
        // The cursor need not be among the columns that are read.
        request.columns.retain(|read| read.source.name == "word");
        request.range = cursor("at", at("2024-01-01 00:00:00"), at("2024-01-02 00:00:00"));
        let read = attached.reading(|session| attached.try_checksums(session, &request));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Data, "{index}: {value}");
    }
    for value in ["'abc'", "x'00'", "5.5"] {
        let fixture = SqliteFixture::new();
        fixture.execute(&format!(
            "create table events (number integer, word text); insert into events values ({value}, 'x')"
        ));
        let attached = Attached::new(fixture.connector());
        let mut request = attached.request("events", Range::Whole);
        request.columns.remove(0);
        request.range = cursor("number", CursorValue::Integer(5), CursorValue::Integer(6));
        let read = attached.reading(|session| attached.try_checksums(session, &request));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Data, "{value}");
    }
}

#[test]
fn keys_are_those_that_cannot_be_null() {
    let fixture = SqliteFixture::new();
    fixture.execute(
        "create table a (x integer primary key, y text unique); \
         create table b (x text primary key, y text); \
         create table c (x text not null, y integer not null, z text, primary key (y, x)); \
         create table d (x text, y integer, primary key (y, x)) without rowid; \
         create table e (x int primary key, y text not null, z text not null, unique (z, y)); \
         create table f (x integer, y text); create unique index f_y on f (y); create index f_x on f (x) where x > 5; \
         create view g as select * from a; create table rowid_taken (rowid text, _rowid_ text, oid text)",
    );
    let attached = Attached::new(fixture.connector());
    let keys: BTreeMap<&str, Vec<String>> = ["a", "b", "c", "d", "e", "f", "g"]
        .into_iter()
        .map(|table| (table, attached.describe(table).key))
        .collect();
    insta::assert_debug_snapshot!(keys);
    assert!(!attached.describe("a").columns[0].nullable);
    assert!(
        attached.describe("b").columns[0].nullable,
        "SQLite lets NULL into a primary key that is no integer"
    );
    assert_eq!(attached.describe("f").indexed, ["y"]);
    assert_eq!(attached.describe("g").rows, None);
    assert_eq!(attached.describe("rowid_taken").rows, Some(0));
    assert_eq!(attached.describe("rowid_taken").bytes, Some(0));
    assert_eq!(attached.describe("g").bytes, None, "a view has no size");
}

#[test]
fn all_kinds_of_tables_are_read() {
    let fixture = SqliteFixture::new();
    fixture.execute(
        "create table words (a text, b integer, primary key (a, b)) without rowid; insert into words values ('x', 1), ('y', 2); \
         create view numbers as select b, a from words; \
         create table made (i integer, j integer generated always as (i * 2), k text generated always as (i || 'x') stored); \
         insert into made (i) values (4); create table exact (i integer, t text) strict; insert into exact values (1, 'x')",
    );
    let attached = Attached::new(fixture.connector());
    for (table, rows) in [
        ("words", 2),
        ("numbers", 2),
        ("made", 1),
        ("exact", 1),
        ("WORDS", 2),
    ] {
        let request = attached.request(table, Range::Whole);
        assert_eq!(attached.checksums_now(&request).total().rows, rows, "{table}");
    }
    let made = attached.rows(&attached.request("made", Range::Whole));
    assert_eq!((made[0].integer(1), made[0].text(2)), (Some(8), Some("4x")));
    assert_eq!(attached.describe("WORDS").name, TableName::new("main", "words"));
}

#[test]
fn every_double_arrives_bit_by_bit() {
    let fixture = SqliteFixture::new();
    fixture.execute("create table numbers (id integer primary key, value double)");
    let mut random = fastrand::Rng::with_seed(20_240_101);
    let values: Vec<f64> = (0..40_000)
        .map(|turn| match turn % 4 {
            0 => f64::from_bits(random.u64(..)),
            1 => (random.f64() - 0.5) * 2e6,
            2 => (random.f64() * 1e11).round() / 100.0,
            _ => f64::from_bits(random.u64(..1 << 52)),
        })
        .filter(|value| value.is_finite() && *value != 0.0)
        .collect();
    // 17 digits name a double for whoever reads them exactly, and SQLite does not.
    super::writer::insert_doubles(&fixture.file(), &values);
    let attached = Attached::new(fixture.connector());
    let sql = attached
        .connector()
        .scan("outside", &attached.request("numbers", Range::Whole))
        .sql;
    let sql = format!("select value::varchar from ({sql}) order by id");
    let rows = attached
        .reading(|session| session.query(Call::new("read"), &sql))
        .unwrap();
    assert_eq!(rows.len(), values.len());
    for (row, value) in rows.iter().zip(&values) {
        let read: f64 = row.text(0).unwrap().parse().unwrap();
        assert_eq!(read.to_bits(), value.to_bits(), "{value:e}");
    }
}

#[test]
fn sqlite_alone_counts_times_as_the_engine_reads_them() {
    let fixture = SqliteFixture::new();
    fixture.execute(
        "create table events (id integer primary key, at datetime, day date);
         insert into events values
         (1, '2024-01-01T10:00:00.5', '2024-01-01'), (2, '2024-01-01 10:00:00.500000', '2024-01-02'),
         (3, '2024-01-01T10:00:00.1234560', '2024-01-03'), (4, '2024-01-01 10:00', '9999-12-31'),
         (5, '2024-01-01', '0001-01-01'), (6, 'infinity', 'infinity'), (7, null, null)",
    );
    let attached = Attached::new(fixture.connector());
    let day = |text: &str| CursorValue::parse(CursorType::Date, text).unwrap();
    let times = [
        "2024-01-01 00:00:00",
        "2024-01-01 10:00:00",
        "2024-01-01 10:00:00.123456",
        "2024-01-01 10:00:00.500000",
        "2024-01-01 10:00:00.500001",
        "9999-01-01 00:00:00",
    ]
    .map(at);
    let days = [
        "0001-01-01",
        "2024-01-01",
        "2024-01-03",
        "2024-01-04",
        "9999-12-31",
    ]
    .map(day);
    for (column, bounds) in [("at", &times[..]), ("day", &days[..])] {
        for low in bounds.iter().copied().map(Some).chain([None]) {
            for high in bounds.iter().copied() {
                let range = Range::Cursor {
                    column: column.to_owned(),
                    low,
                    high,
                };
                let request = attached.request("events", range);
                let (read, counted) = (
                    attached.rows(&request).len() as u64,
                    attached.count_now(&request.relation, &request.range),
                );
                assert_eq!(counted, read, "{:?}", request.range);
            }
        }
    }
}

#[test]
fn the_clock_is_the_one_that_is_passed_in() {
    let fixture = SqliteFixture::new();
    fixture.execute("create table t (n integer, at datetime); insert into t values (7, null), (null, null), ('abc', null), (3, null)");
    let attached = Attached::new(fixture.connector());
    let now: Timestamp = "2024-01-15T14:00:00Z".parse().unwrap();
    let table = TableName::bare("t");
    let point = |cursor| {
        attached
            .connector()
            .read_point(
                attached.session(),
                "outside",
                &Relation::from(&table),
                cursor,
                now,
            )
            .unwrap()
    };
    assert_eq!(
        (
            point(("at", CursorType::Timestamp)).now,
            point(("at", CursorType::Timestamp)).cursor_max
        ),
        (now, None)
    );
    assert_eq!(point(("n", CursorType::Integer)).cursor_max, Some(7));
    assert!(matches!(
        point(("at", CursorType::Timestamp)).oldest,
        OldestTransaction::Unknown { .. }
    ));
}

#[test]
fn reading_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    super::writer::execute(&file, "create table t (i integer); insert into t values (1)");
    let before = (
        std::fs::read(&file).unwrap(),
        std::fs::metadata(&file).unwrap().modified().unwrap(),
    );
    {
        let attached = Attached::new(connect(&file));
        assert_eq!(
            attached
                .checksums_now(&attached.request("t", Range::Whole))
                .total()
                .rows,
            1
        );
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["shop.db"]);
    }
    let after = (
        std::fs::read(&file).unwrap(),
        std::fs::metadata(&file).unwrap().modified().unwrap(),
    );
    assert_eq!(after, before);
}

#[test]
fn a_file_that_is_no_database_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let describe = |file: &std::path::Path| {
        let attached = Attached::new(connect(file));
        attached
            .connector()
            .describe(attached.session(), "outside", &TableName::bare("t"))
            .unwrap_err()
    };
    let missing = describe(&folder.path().join("missing.db"));
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("missing.db"), "{missing}");
    assert!(
        !folder.path().join("missing.db").exists(),
        "looking must not make it"
    );

    let junk = folder.path().join("junk.db");
    std::fs::write(&junk, "no database ".repeat(1_000)).unwrap();
    assert_eq!(describe(&junk).kind(), ErrorKind::Invalid);

    let error = describe(folder.path());
    assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
}

#[test]
fn rows_without_an_integer_key_are_cut_by_their_rowid() {
    let fixture = SqliteFixture::new();
    fixture.execute(
        "create table notes (name text primary key, body text);
         insert into notes with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
         select 'note ' || i, 'text' from n;
         insert into notes (rowid, name) values (-7, 'below'), (10000000, 'beyond');
         create table words (word text primary key) without rowid;
         create table odd (rowid text, body text);
         create view seen as select name from notes",
    );
    let attached = Attached::new(fixture.connector());
    let pages = |table: &str| attached.describe(table).pages;
    assert_eq!([pages("words"), pages("odd"), pages("seen")], [None, None, None]);
    let end = pages("notes").expect("a table with rowids");
    assert_eq!(end, 10_000_000 / 256 + 1);
    let bounds = [0, 1, 5, end / 2, end - 1];
    let ends = bounds.iter().skip(1).copied().map(Some).chain([None]);
    let sizes: Vec<u64> = bounds
        .iter()
        .zip(ends)
        .map(|(first, end)| {
            let request = attached.request("notes", Range::Pages { first: *first, end });
            let read = attached.checksums_now(&request).total().rows;
            assert_eq!(attached.count_now(&request.relation, &request.range), read);
            read
        })
        .collect();
    assert_eq!(sizes, [256, 1024, 1721, 0, 1]);
}
