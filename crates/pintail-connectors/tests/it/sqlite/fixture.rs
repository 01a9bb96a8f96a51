//! A fresh file in WAL mode.

use std::path::{Path, PathBuf};

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::LogicalType as T;
use pintail_testkit::conformance::{Fixture, Sample, Unfit};

use super::writer;

pub(crate) struct SqliteFixture {
    folder: tempfile::TempDir,
}

impl SqliteFixture {
    pub(crate) fn new() -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fixture.execute("pragma journal_mode = wal");
        fixture
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("it's a ? shop#1.db")
    }
}

pub(crate) fn connect(file: &Path) -> Box<dyn Connector> {
    let path = file
        .to_str()
        .unwrap()
        .replace('?', "%3F")
        .replace('#', "%23")
        .replace(' ', "%20");
    let location = Location::parse(&format!("sqlite:{path}"), Path::new("/")).unwrap();
    registry::source(&location.datastore).unwrap()
}

impl Fixture for SqliteFixture {
    fn connector(&self) -> Box<dyn Connector> {
        connect(&self.file())
    }

    fn execute(&self, sql: &str) {
        writer::execute(&self.file(), sql);
    }

    fn fill_orders(&self, rows: u32) {
        self.execute(&format!(
            "create table orders (id integer primary key, customer integer, note text, changed_at timestamp); \
             insert into orders with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) \
             select i, nullif(i % 1000, i / 10 % 100 * 10), \
             case when i % 7 <> 0 then 'note ' || printf('%040d', i) end, \
             case when i % 100 <> 0 then datetime('2024-01-01', '+' || i || ' minutes') end from n where {rows} > 0"
        ));
    }

    fn integer_and_text(&self) -> (&'static str, &'static str) {
        ("integer", "text")
    }

    fn samples(&self) -> Vec<Sample> {
        let sample = |declared, home, values: &[_]| Sample {
            declared,
            home,
            values: values.to_vec(),
        };
        let decimal = |precision, scale| T::Decimal { precision, scale };
        vec![
            sample(
                "boolean",
                T::Boolean,
                &[("1", "true"), ("0", "false"), ("true", "true")],
            ),
            sample(
                "integer",
                T::Int64,
                &[
                    ("-9223372036854775808", "-9223372036854775808"),
                    ("9223372036854775807", "9223372036854775807"),
                ],
            ),
            sample("unsigned big int", T::Int64, &[("'12'", "12")]),
            sample(
                "double precision",
                T::Float64,
                &[
                    ("0.1", "0.1"),
                    ("0.1 + 0.2", "0.30000000000000004"),
                    ("1.7976931348623157e308", "1.7976931348623157e+308"),
                    ("5e-324", "5e-324"),
                    ("9e999", "inf"),
                    ("-9e999", "-inf"),
                    ("3", "3.0"),
                    ("-1.681308397109506e+305", "-1.681308397109506e+305"),
                ],
            ),
            sample("real", T::Float64, &[("1.5", "1.5")]),
            sample(
                "decimal(10,2)",
                decimal(10, 2),
                &[
                    ("1", "1.00"),
                    ("-0.01", "-0.01"),
                    ("99999999.99", "99999999.99"),
                    ("0.1", "0.10"),
                    ("'12.50'", "12.50"),
                ],
            ),
            sample(
                "DECIMAL (15, 5)",
                decimal(15, 5),
                &[
                    ("9999999999.99999", "9999999999.99999"),
                    ("1234567890.00001", "1234567890.00001"),
                ],
            ),
            sample(
                "numeric(18)",
                decimal(18, 0),
                &[("999999999999999999", "999999999999999999"), ("2.0", "2")],
            ),
            sample(
                "text",
                T::Text,
                &[
                    ("''", ""),
                    ("'größe 数 🦆'", "größe 数 🦆"),
                    ("'NULL'", "NULL"),
                    ("7", "7"),
                    ("'a' || char(0) || 'b'", "a\0b"),
                ],
            ),
            sample(
                "time",
                T::Time,
                &[("'23:59:59.999999'", "23:59:59.999999"), ("'12:30'", "12:30:00")],
            ),
            sample("varchar(3)", T::Text, &[("'longer than 3'", "longer than 3")]),
            sample("blob", T::Bytes, &[("x''", ""), ("x'00ff41'", r"\x00\xFFA")]),
            sample(
                "date",
                T::Date,
                &[
                    ("'2024-02-29'", "2024-02-29"),
                    ("'0001-01-01'", "0001-01-01"),
                    ("'9999-12-31'", "9999-12-31"),
                ],
            ),
            sample(
                "datetime",
                T::Timestamp,
                &[
                    ("'2024-02-29 23:59:59'", "2024-02-29 23:59:59"),
                    ("'2024-02-29 23:59:59.999999'", "2024-02-29 23:59:59.999999"),
                    ("'2024-02-29 23:59:59.120000000'", "2024-02-29 23:59:59.12"),
                    ("'2024-02-29T23:59:59.5'", "2024-02-29 23:59:59.5"),
                    ("'2024-02-29 23:59'", "2024-02-29 23:59:00"),
                    ("'2024-02-29'", "2024-02-29 00:00:00"),
                ],
            ),
            sample(
                "timestamp",
                T::Timestamp,
                &[("'1969-12-31 23:59:59.000001'", "1969-12-31 23:59:59.000001")],
            ),
            sample(
                "timestamp with time zone",
                T::TimestampTz,
                &[
                    ("'2024-02-29 23:59:59+02:00'", "2024-02-29 21:59:59+00"),
                    ("'2024-02-29T23:59:59.123456Z'", "2024-02-29 23:59:59.123456+00"),
                    ("'2024-02-29 23:59:59-05'", "2024-03-01 04:59:59+00"),
                ],
            ),
            sample(
                "json",
                T::Json,
                &[
                    (r#"'{"a" :  1, "a": 2}'"#, r#"{"a" :  1, "a": 2}"#),
                    ("'null'", "null"),
                    ("5", "5"),
                ],
            ),
            sample(
                "uuid",
                T::Uuid,
                &[(
                    "'80000000-0000-0000-0000-00000000000A'",
                    "80000000-0000-0000-0000-00000000000a",
                )],
            ),
        ]
    }

    fn unfit(&self) -> Vec<Unfit> {
        let unfit = |declared, literal, wanted| Unfit {
            declared,
            literal,
            wanted,
        };
        let decimal = |precision, scale| T::Decimal { precision, scale };
        vec![
            unfit("integer", "1.5", T::Int64),
            unfit("integer", "'abc'", T::Int64),
            unfit("integer", "x'6162'", T::Int64),
            unfit("integer", "2147483648", T::Int32),
            unfit("boolean", "2", T::Boolean),
            unfit("boolean", "'true'", T::Boolean),
            unfit("decimal(10,2)", "0.125", decimal(10, 2)),
            unfit("decimal(10,2)", "0.1 + 0.2", decimal(10, 2)),
            unfit("decimal(10,2)", "123456789", decimal(10, 2)),
            unfit("decimal(10,2)", "9e999", decimal(10, 2)),
            unfit("decimal(10,2)", "'12,50'", decimal(10, 2)),
            unfit("double", "'abc'", T::Float64),
            unfit("numeric", "9007199254740993", T::Float64),
            unfit("text", "x'6162'", T::Text),
            unfit("text", "cast(x'61ff62' as text)", T::Text),
            unfit("blob", "'abc'", T::Bytes),
            unfit("blob", "0.30000000000000004", T::Bytes),
            unfit("date", "'2024-01-01 10:00:00'", T::Date),
            unfit("date", "'2024-1-1'", T::Date),
            unfit("date", "1704067200", T::Date),
            unfit("date", "2460310.5", T::Date),
            unfit("date", "'2024-02-30'", T::Date),
            unfit("datetime", "'2024-01-01 10:00:00+02:00'", T::Timestamp),
            unfit("datetime", "'2024-01-01 10:00:00.1234567'", T::Timestamp),
            unfit("datetime", "'2024-01-01 24:00:00'", T::Timestamp),
            unfit("datetime", "1704067200", T::Timestamp),
            unfit("datetime", "' 2024-01-01'", T::Timestamp),
            unfit("timestamptz", "'2024-01-01 10:00:00'", T::TimestampTz),
            unfit("time", "'10:00:00.1234567'", T::Time),
            unfit("json", "'{'", T::Json),
            unfit("json", "1.5", T::Json),
            unfit("uuid", "'0000000000000000000000000000000A'", T::Uuid),
        ]
    }

    fn homeless(&self) -> Vec<&'static str> {
        vec![
            "",
            "numeric",
            "decimal(16,2)",
            "decimal(38,10)",
            "money",
            "whatever",
            "jsonb",
        ]
    }

    fn writes(&self, alias: &str) -> Vec<String> {
        vec![
            format!("insert into {alias}.orders (id) values (-1)"),
            format!("delete from {alias}.orders"),
            format!("drop table {alias}.orders"),
            format!("create table {alias}.more (i integer)"),
            format!("from sqlite_query('{alias}', 'delete from orders returning id')"),
        ]
    }
}
