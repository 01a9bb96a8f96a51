//! A fresh database of the shared server, and a role that may only read.

use std::path::Path;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::LogicalType as T;
use pintail_testkit::conformance::{Fixture, Sample, Unfit};
use pintail_testkit::{Database, PostgresServer};

/// Hard to quote for libpq, for SQL and for URLs.
const PASSWORD: &str = r#"pw 'q" \b & %41 €"#;

pub(crate) struct PostgresFixture {
    database: Database<'static>,
    user: String,
}

impl PostgresFixture {
    pub(crate) fn new() -> Self {
        let server = PostgresServer::shared();
        let database = server.fresh_database();
        let user = format!("reader_{}", database.name());
        server.create_user(&user, PASSWORD);
        database.execute(&format!(
            "grant pg_read_all_data, pg_read_all_stats to {user}; \
             create type mood as enum ('sad', 'ok'); create domain positive as integer check (value > 0); \
             create type pair as (a integer, b text)"
        ));
        Self { database, user }
    }

    pub(crate) fn database(&self) -> &Database<'static> {
        &self.database
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }
}

pub(crate) fn connect(url: &str) -> Box<dyn Connector> {
    let location = Location::parse(url, Path::new("/")).unwrap();
    registry::source(&location.datastore).unwrap()
}

impl Fixture for PostgresFixture {
    fn connector(&self) -> Box<dyn Connector> {
        connect(&self.database.url_as(&self.user, PASSWORD))
    }

    fn execute(&self, sql: &str) {
        self.database.execute(sql);
    }

    fn fill_orders(&self, rows: u32) {
        self.execute(&format!(
            "create table orders (id bigint primary key, customer integer, note text, changed_at timestamp); \
             insert into orders select i, nullif(i % 1000, i / 10 % 100 * 10), \
             case when i % 7 <> 0 then 'note ' || lpad(i::text, 40, '0') end, \
             case when i % 100 <> 0 then timestamp '2024-01-01' + i * interval '1 minute' end \
             from generate_series(1, {rows}) as i; \
             analyze orders"
        ));
    }

    fn integer_and_text(&self) -> (&'static str, &'static str) {
        ("bigint", "text")
    }

    fn samples(&self) -> Vec<Sample> {
        let sample = |declared, home, values: &[_]| Sample {
            declared,
            home,
            values: values.to_vec(),
        };
        let decimal = |precision, scale| T::Decimal { precision, scale };
        vec![
            sample("boolean", T::Boolean, &[("true", "true"), ("false", "false")]),
            sample("smallint", T::Int16, &[("-32768", "-32768"), ("32767", "32767")]),
            sample(
                "integer",
                T::Int32,
                &[("-2147483648", "-2147483648"), ("2147483647", "2147483647")],
            ),
            sample(
                "bigint",
                T::Int64,
                &[
                    ("-9223372036854775808", "-9223372036854775808"),
                    ("9223372036854775807", "9223372036854775807"),
                ],
            ),
            sample(
                "real",
                T::Float32,
                &[
                    ("'nan'", "nan"),
                    ("'infinity'", "inf"),
                    ("'-0'", "-0.0"),
                    ("1e-45", "1e-45"),
                    ("3.4028235e38", "3.4028235e+38"),
                ],
            ),
            sample(
                "double precision",
                T::Float64,
                &[
                    ("'nan'", "nan"),
                    ("'-infinity'", "-inf"),
                    ("'-0'", "-0.0"),
                    ("5e-324", "5e-324"),
                    ("0.1", "0.1"),
                    ("1.7976931348623157e308", "1.7976931348623157e+308"),
                ],
            ),
            sample(
                "numeric(12,2)",
                decimal(12, 2),
                &[
                    ("0", "0.00"),
                    ("-0.01", "-0.01"),
                    ("9999999999.99", "9999999999.99"),
                    ("10000", "10000.00"),
                    ("0.10", "0.10"),
                ],
            ),
            sample(
                "numeric(4,4)",
                decimal(4, 4),
                &[("0.9999", ".9999"), ("-0.0001", "-.0001")],
            ),
            sample(
                "numeric(18)",
                decimal(18, 0),
                &[("999999999999999999", "999999999999999999")],
            ),
            sample(
                "numeric(38,10)",
                decimal(38, 10),
                &[
                    (
                        "9999999999999999999999999999.9999999999",
                        "9999999999999999999999999999.9999999999",
                    ),
                    ("-0.0000000001", "-0.0000000001"),
                ],
            ),
            sample(
                "text",
                T::Text,
                &[
                    ("''", ""),
                    ("'größe 数 🦆'", "größe 数 🦆"),
                    (r"E'\\x00'", r"\x00"),
                    ("'it''s'", "it's"),
                    ("'NULL'", "NULL"),
                ],
            ),
            sample("varchar(8)", T::Text, &[("'ab  '", "ab  ")]),
            sample("char(5)", T::Text, &[("'ab'", "ab"), ("'     '", "")]),
            sample("bytea", T::Bytes, &[(r"'\x'", ""), (r"'\x00ff41'", r"\x00\xFFA")]),
            sample(
                "date",
                T::Date,
                &[
                    ("'2024-02-29'", "2024-02-29"),
                    ("'0044-03-15 BC'", "0044-03-15 (BC)"),
                    ("'5874897-12-31'", "5874897-12-31"),
                    ("'infinity'", "infinity"),
                    ("'-infinity'", "-infinity"),
                ],
            ),
            sample(
                "time",
                T::Time,
                &[
                    ("'00:00'", "00:00:00"),
                    ("'23:59:59.999999'", "23:59:59.999999"),
                    ("'24:00'", "24:00:00"),
                ],
            ),
            sample(
                "timestamp",
                T::Timestamp,
                &[
                    ("'2024-02-29 23:59:59.999999'", "2024-02-29 23:59:59.999999"),
                    ("'4713-01-01 00:00:00 BC'", "4713-01-01 (BC) 00:00:00"),
                    ("'294246-12-31'", "294246-12-31 00:00:00"),
                    ("'infinity'", "infinity"),
                    ("'-infinity'", "-infinity"),
                ],
            ),
            sample(
                "timestamp(3) with time zone",
                T::TimestampTz,
                &[
                    ("'2024-02-29 23:59:59.123+02'", "2024-02-29 21:59:59.123+00"),
                    ("'0001-01-01 00:00+00 BC'", "0001-01-01 (BC) 00:00:00+00"),
                    ("'infinity'", "infinity"),
                    ("'-infinity'", "-infinity"),
                ],
            ),
            sample(
                "uuid",
                T::Uuid,
                &[
                    (
                        "'00000000-0000-0000-0000-000000000000'",
                        "00000000-0000-0000-0000-000000000000",
                    ),
                    (
                        "'80000000-0000-0000-0000-000000000001'",
                        "80000000-0000-0000-0000-000000000001",
                    ),
                    (
                        "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'",
                        "ffffffff-ffff-ffff-ffff-ffffffffffff",
                    ),
                ],
            ),
            sample(
                "json",
                T::Json,
                &[
                    (r#"'{"a" :  1, "a": 2}'"#, r#"{"a" :  1, "a": 2}"#),
                    ("'null'", "null"),
                    ("'1e400'", "1e400"),
                ],
            ),
            sample(
                "jsonb",
                T::Json,
                &[
                    (r#"'{"b": 1, "a": 1.10}'"#, r#"{"a": 1.10, "b": 1}"#),
                    ("'[]'", "[]"),
                ],
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
            unfit("numeric(12,2)", "'NaN'", decimal(12, 2)),
            unfit("numeric(12,2)", "'NaN'", decimal(14, 3)),
            unfit("numeric", "'NaN'", decimal(12, 2)),
            unfit("numeric", "'Infinity'", decimal(12, 2)),
            unfit("numeric", "123.456", decimal(12, 2)),
            unfit("numeric", "12345678901.5", decimal(12, 2)),
            unfit("numeric(12,4)", "7.1234", decimal(12, 2)),
            unfit("timestamp", "'294276-12-31 23:59:59.999999'", T::Timestamp),
            unfit("timestamptz", "'294247-02-01 00:00:00+00'", T::TimestampTz),
            unfit("bigint", "2147483648", T::Int32),
            // Postgres takes half a surrogate pair for JSON, the engine does not.
            unfit("json", r#"'"\ud800"'"#, T::Json),
        ]
    }

    fn homeless(&self) -> Vec<&'static str> {
        vec![
            "numeric",
            "numeric(39,2)",
            "numeric(5,-2)",
            "numeric(3,5)",
            "interval",
            "timetz",
            "integer[]",
            "numeric(12,2)[]",
            "text[]",
            "inet",
            "money",
            "xml",
            "bit(3)",
            "oid",
            "\"char\"",
            "name",
            "int4range",
            "point",
            "mood",
            "positive",
            "pair",
        ]
    }

    fn writes(&self, alias: &str) -> Vec<String> {
        vec![
            format!("insert into {alias}.public.orders (id) values (-1)"),
            format!("delete from {alias}.public.orders"),
            format!("drop table {alias}.public.orders"),
            format!("call postgres_execute('{alias}', 'delete from orders')"),
            format!("call postgres_execute('{alias}', 'delete from orders', use_transaction => false)"),
            format!("call postgres_execute('{alias}', 'commit; delete from orders')"),
            format!("from postgres_query('{alias}', 'delete from orders returning id')"),
        ]
    }

    fn wrong_password(&self) -> Option<Box<dyn Connector>> {
        Some(connect(
            &self.database.url_as(&self.user, &format!("{PASSWORD}!")),
        ))
    }

    fn closed_port(&self) -> Option<Box<dyn Connector>> {
        // Bound and never listened to: nobody else takes the port meanwhile.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        drop(taken);
        let url = self.database.url_as(&self.user, PASSWORD);
        let server = PostgresServer::shared().port();
        Some(connect(
            &url.replace(&format!(":{server}/"), &format!(":{port}/")),
        ))
    }

    fn password(&self) -> Option<String> {
        Some(PASSWORD.to_owned())
    }
}
