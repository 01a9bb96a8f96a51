//! A fresh database of the shared MariaDB, and a user that may only read.

use std::path::Path;

use mysql::prelude::Queryable;
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::LogicalType as T;
use pintail_testkit::conformance::{Fixture, Sample, Unfit};
use pintail_testkit::{MariaDbDatabase, MariaDbServer};

/// Hard to quote for DuckDB's connection string, for SQL and for URLs.
const PASSWORD: &str = r#"pw 'q" \b & %41 €"#;

/// Names stand in double quotes, values that do not fit are errors, and zero dates are none.
const MODE: &str = "set sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'";

pub(crate) struct MySqlFixture {
    database: MariaDbDatabase<'static>,
    user: String,
}

impl MySqlFixture {
    pub(crate) fn new() -> Self {
        let server = MariaDbServer::shared();
        let database = server.fresh_database();
        let user = format!("reader_{}", database.name());
        server.create_user(&user, PASSWORD);
        database.execute(&format!("grant select, process on *.* to {user}"));
        Self { database, user }
    }

    pub(crate) fn database(&self) -> &MariaDbDatabase<'static> {
        &self.database
    }
}

pub(crate) fn connect(url: &str) -> Box<dyn Connector> {
    let location = Location::parse(url, Path::new("/")).unwrap();
    registry::source(&location.datastore).unwrap()
}

impl Fixture for MySqlFixture {
    fn connector(&self) -> Box<dyn Connector> {
        connect(&self.database.url_as(&self.user, PASSWORD))
    }

    fn execute(&self, sql: &str) {
        let mut client = self.database.client();
        client.query_drop(MODE).unwrap();
        client
            .query_drop(sql)
            .unwrap_or_else(|error| panic!("cannot execute `{sql}`: {error}"));
    }

    fn fill_orders(&self, rows: u32) {
        self.execute(&format!(
            "create table orders (id bigint primary key, customer integer, note text, changed_at datetime(6)); \
             insert into orders select i, nullif(i % 1000, i div 10 % 100 * 10), \
             case when i % 7 <> 0 then concat('note ', lpad(i, 40, '0')) end, \
             case when i % 100 <> 0 then timestamp '2024-01-01 00:00:00' + interval i minute end \
             from (select seq as i from seq_1_to_{} where seq <= {rows}) as numbers; \
             analyze table orders",
            rows.max(1)
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
            sample("tinyint", T::Int8, &[("-128", "-128"), ("127", "127")]),
            sample("tinyint(1)", T::Int8, &[("2", "2"), ("-1", "-1"), ("true", "1")]),
            sample("tinyint unsigned", T::UInt8, &[("0", "0"), ("255", "255")]),
            sample("smallint", T::Int16, &[("-32768", "-32768"), ("32767", "32767")]),
            sample("smallint unsigned", T::UInt16, &[("65535", "65535")]),
            sample("mediumint", T::Int32, &[("-8388608", "-8388608")]),
            sample("mediumint unsigned", T::UInt32, &[("16777215", "16777215")]),
            sample(
                "int",
                T::Int32,
                &[("-2147483648", "-2147483648"), ("2147483647", "2147483647")],
            ),
            sample(
                "int(6) unsigned zerofill",
                T::UInt32,
                &[("4294967295", "4294967295"), ("7", "7")],
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
                "bigint unsigned",
                T::UInt64,
                &[("0", "0"), ("18446744073709551615", "18446744073709551615")],
            ),
            sample(
                "float",
                T::Float32,
                &[
                    ("-1e-40", "-1e-40"),
                    ("16777216", "16777216.0"),
                    ("1.1", "1.1"),
                    ("3.4028234e38", "3.4028235e+38"),
                ],
            ),
            sample(
                "double",
                T::Float64,
                &[
                    ("-1e-320", "-1e-320"),
                    ("0.1", "0.1"),
                    ("2.2250738585072014e-308", "2.2250738585072014e-308"),
                    ("1.7976931348623157e308", "1.7976931348623157e+308"),
                ],
            ),
            sample(
                "decimal(12,2)",
                decimal(12, 2),
                &[
                    ("0", "0.00"),
                    ("-0.01", "-0.01"),
                    ("9999999999.99", "9999999999.99"),
                    ("0.10", "0.10"),
                ],
            ),
            sample(
                "decimal(4,4)",
                decimal(4, 4),
                &[("0.9999", ".9999"), ("-0.0001", "-.0001")],
            ),
            sample("decimal(10,0)", decimal(10, 0), &[("1234567890", "1234567890")]),
            sample(
                "decimal(8,2) unsigned zerofill",
                decimal(8, 2),
                &[("1.5", "1.50")],
            ),
            sample(
                "decimal(38,10)",
                decimal(38, 10),
                &[
                    (
                        "9999999999999999999999999999.9999999999",
                        "9999999999999999999999999999.9999999999",
                    ),
                    ("-0.0000000001", "-0.0000000001"),
                ],
            ),
            sample("bit(1)", T::Boolean, &[("b'1'", "true"), ("b'0'", "false")]),
            sample(
                "bit(12)",
                T::Bytes,
                &[("b'100000000001'", r"\x08\x01"), ("0", r"\x00\x00")],
            ),
            sample(
                "bit(64)",
                T::Bytes,
                &[("0x8000000000000001", r"\x80\x00\x00\x00\x00\x00\x00\x01")],
            ),
            sample(
                "text character set utf8mb4",
                T::Text,
                &[
                    ("''", ""),
                    ("'größe 数 🦆'", "größe 数 🦆"),
                    ("'it''s'", "it's"),
                    ("'NULL'", "NULL"),
                    ("'ab  '", "ab  "),
                ],
            ),
            sample("longtext", T::Text, &[("repeat('🦆', 2)", "🦆🦆")]),
            sample(
                "varchar(8) character set latin1",
                T::Text,
                &[("'Straße'", "Straße")],
            ),
            sample("varchar(8) character set utf16", T::Text, &[("'数'", "数")]),
            sample("varchar(8) collate utf8mb4_bin", T::Text, &[("'数'", "数")]),
            sample("char(5)", T::Text, &[("'ab'", "ab"), ("'     '", "")]),
            sample(
                "enum('sad','it''s, ok')",
                T::Text,
                &[("'sad'", "sad"), ("2", "it's, ok")],
            ),
            sample("set('a','b','c')", T::Text, &[("'c,a'", "a,c"), ("''", "")]),
            sample("inet6", T::Text, &[("'::1'", "::1")]),
            sample("binary(4)", T::Bytes, &[("0x0102", r"\x01\x02\x00\x00")]),
            sample("varbinary(4)", T::Bytes, &[("0x0100", r"\x01\x00"), ("''", "")]),
            sample("longblob", T::Bytes, &[("0x00ff41", r"\x00\xFFA"), ("''", "")]),
            sample(
                "point",
                T::Bytes,
                &[(
                    "point(1, 2)",
                    r"\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xF0?\x00\x00\x00\x00\x00\x00\x00@",
                )],
            ),
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
                "time(6)",
                T::Time,
                &[
                    ("'00:00'", "00:00:00"),
                    ("'23:59:59.999999'", "23:59:59.999999"),
                    ("'1:2:3.5'", "01:02:03.5"),
                ],
            ),
            sample(
                "datetime(6)",
                T::Timestamp,
                &[
                    ("'2024-02-29 23:59:59.999999'", "2024-02-29 23:59:59.999999"),
                    ("'1000-01-01'", "1000-01-01 00:00:00"),
                    ("'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
                ],
            ),
            sample(
                "timestamp(6) null",
                T::TimestampTz,
                &[
                    ("'2024-02-29 23:59:59.123456'", "2024-02-29 23:59:59.123456+00"),
                    ("'1970-01-01 00:00:01'", "1970-01-01 00:00:01+00"),
                ],
            ),
            sample(
                "year",
                T::Int16,
                &[("1901", "1901"), ("2155", "2155"), ("0", "0")],
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
                        "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'",
                        "ffffffff-ffff-ffff-ffff-ffffffffffff",
                    ),
                ],
            ),
            sample(
                "json",
                T::Json,
                &[
                    (r#"'{"a" :  1, "a": "ü"}'"#, r#"{"a" :  1, "a": "ü"}"#),
                    ("'null'", "null"),
                    ("'1e400'", "1e400"),
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
            unfit("date", "'0000-00-00'", T::Date),
            unfit("date", "'2024-00-01'", T::Date),
            unfit("datetime(6)", "'0000-00-00 00:00:00'", T::Timestamp),
            unfit("datetime", "'2024-02-00 12:34:56'", T::Timestamp),
            unfit("timestamp null", "'0000-00-00 00:00:00'", T::TimestampTz),
            unfit("time", "'25:00:00'", T::Time),
            unfit("time", "'-01:00:00'", T::Time),
            unfit("time(6)", "'-00:00:00.000001'", T::Time),
            unfit("time", "'838:59:59'", T::Time),
            unfit("tinyint(1)", "2", T::Boolean),
            unfit("bigint unsigned", "9223372036854775808", T::Int64),
            unfit("bigint", "2147483648", T::Int32),
            unfit("decimal(12,4)", "7.1234", decimal(12, 2)),
            unfit("decimal(12,2)", "9999999999.99", decimal(10, 2)),
            unfit("decimal(65,30)", "123.456", decimal(12, 2)),
            unfit("decimal(65,0)", "12345678901234567890", decimal(12, 2)),
        ]
    }

    fn homeless(&self) -> Vec<&'static str> {
        vec!["decimal(39,2)", "decimal(65,30)"]
    }

    fn writes(&self, alias: &str) -> Vec<String> {
        let orders = format!("{alias}.{}.orders", self.database.name());
        vec![
            format!("insert into {orders} (id) values (-1)"),
            format!("delete from {orders}"),
            format!("drop table {orders}"),
            format!("call mysql_execute('{alias}', 'delete from orders')"),
            format!("from mysql_query('{alias}', 'delete from orders returning id')"),
            format!(
                "from mysql_query('{alias}', 'delete from orders returning id', stream_results := false)"
            ),
        ]
    }

    fn wrong_password(&self) -> Option<Box<dyn Connector>> {
        Some(connect(
            &self.database.url_as(&self.user, &format!("{PASSWORD}!")),
        ))
    }

    fn closed_port(&self) -> Option<Box<dyn Connector>> {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        drop(taken);
        let url = self.database.url_as(&self.user, PASSWORD);
        let server = MariaDbServer::shared().port();
        Some(connect(
            &url.replace(&format!(":{server}/"), &format!(":{port}/")),
        ))
    }

    fn password(&self) -> Option<String> {
        Some(PASSWORD.to_owned())
    }
}
