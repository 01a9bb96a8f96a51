//! A fresh database of the shared server, and a role that may only read.

use std::path::Path;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_model::{Element, LogicalType as T};
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
            "grant pg_read_all_stats to {user}; \
             alter default privileges grant usage on schemas to {user}; \
             alter default privileges grant select on tables to {user}; \
             create type mood as enum ('sad', 'ok'); create domain positive as integer check (value > 0); \
             create domain cents as numeric(12,2); create domain fine_cents as cents check (value >= 0); \
             create domain price as numeric; create domain badges as text[]; create domain stamp as timestamptz; \
             create domain feeling as mood; create type pair as (a integer, b text); \
             create extension if not exists hstore; create extension if not exists citext"
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
        let list = |element, depth| T::List { element, depth };
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
            sample("positive", T::Int32, &[("1", "1")]),
            sample("fine_cents", decimal(12, 2), &[("12.50", "12.50"), ("0", "0.00")]),
            sample(
                "stamp",
                T::TimestampTz,
                &[("'0001-01-01 00:00+00 BC'", "0001-01-01 (BC) 00:00:00+00")],
            ),
            sample("badges", list(Element::Text, 1), &[("'{a,NULL}'", "[a, NULL]")]),
            sample("feeling", T::Text, &[("'sad'", "sad")]),
            sample("mood", T::Text, &[("'sad'", "sad"), ("'ok'", "ok")]),
            sample("mood[]", T::Text, &[("'{sad,ok}'", "{sad,ok}")]),
            sample(
                "jsonb[]",
                T::Text,
                &[(r#"array['{"a": 1}'::jsonb]"#, r#"{"{\"a\": 1}"}"#)],
            ),
            sample("pair", T::Text, &[("row(1, 'a, b')", r#"(1,"a, b")"#)]),
            sample(
                "interval",
                T::Text,
                &[
                    (
                        "'1 year 2 mons -3 days 04:05:06.000007'",
                        "1 year 2 mons -3 days +04:05:06.000007",
                    ),
                    ("'-178000000 years'", "-178000000 years"),
                ],
            ),
            sample(
                "timetz",
                T::Text,
                &[
                    ("'24:00:00-15:59'", "24:00:00-15:59"),
                    ("'12:00:00.000001+02'", "12:00:00.000001+02"),
                ],
            ),
            sample(
                "inet",
                T::Text,
                &[("'10.0.0.1/8'", "10.0.0.1/8"), ("'::1'", "::1/128")],
            ),
            sample("cidr", T::Text, &[("'10.0.0.0/8'", "10.0.0.0/8")]),
            sample(
                "macaddr",
                T::Text,
                &[("'08:00:2b:01:02:03'", "08:00:2b:01:02:03")],
            ),
            sample("bit(3)", T::Text, &[("'101'", "101")]),
            sample("bit varying", T::Text, &[("''", ""), ("'0011'", "0011")]),
            sample(
                "int4range",
                T::Text,
                &[("'[1,5)'", "[1,5)"), ("'empty'", "empty"), ("'(,)'", "(,)")],
            ),
            sample(
                "tstzrange",
                T::Text,
                &[(
                    "'[2024-01-01 00:00+02,infinity]'",
                    r#"["2023-12-31 22:00:00+00",infinity]"#,
                )],
            ),
            sample(
                "hstore",
                T::Text,
                &[("'a=>1, b=>NULL'", r#""a"=>"1", "b"=>NULL"#)],
            ),
            sample("citext", T::Text, &[("'Ab'", "Ab")]),
            sample("xml", T::Text, &[("'<a>ü</a>'", "<a>ü</a>")]),
            sample("tsvector", T::Text, &[("'fat:2 rat:3A'", "'fat':2 'rat':3A")]),
            sample("point", T::Text, &[("'(0.1,-1e-300)'", "(0.1,-1e-300)")]),
            sample("money", T::Text, &[("-1234.5", "-$1,234.50")]),
            sample("oid", T::Text, &[("4294967295", "4294967295")]),
            sample("name", T::Text, &[("'shop'", "shop")]),
            sample("\"char\"", T::Text, &[("'x'", "x")]),
            sample("pg_lsn", T::Text, &[("'16/B374D848'", "16/B374D848")]),
            sample(
                "boolean[]",
                list(Element::Boolean, 1),
                &[("'{t,f,NULL}'", "[true, false, NULL]"), ("'{}'", "[]")],
            ),
            sample(
                "smallint[]",
                list(Element::Int16, 1),
                &[("'{-32768,32767}'", "[-32768, 32767]")],
            ),
            sample(
                "integer[]",
                list(Element::Int32, 1),
                &[("'{1,NULL,3}'", "[1, NULL, 3]"), ("'{}'", "[]")],
            ),
            sample(
                "bigint[]",
                list(Element::Int64, 1),
                &[("'{-9223372036854775808}'", "[-9223372036854775808]")],
            ),
            sample(
                "real[]",
                list(Element::Float32, 1),
                &[("'{NaN,-Infinity,-0,1e-45}'", "[nan, -inf, -0.0, 1e-45]")],
            ),
            sample(
                "double precision[]",
                list(Element::Float64, 1),
                &[("'{NaN,-0,5e-324}'", "[nan, -0.0, 5e-324]")],
            ),
            sample(
                "numeric(12,2)[]",
                list(
                    Element::Decimal {
                        precision: 12,
                        scale: 2,
                    },
                    1,
                ),
                &[("'{1.5,NULL,-0.01}'", "[1.50, NULL, -0.01]")],
            ),
            sample(
                "text[]",
                list(Element::Text, 1),
                &[(
                    r#"'{"a, b",NULL,"NULL","","数🦆"}'"#,
                    "['a, b', NULL, 'NULL', '', 数🦆]",
                )],
            ),
            sample("varchar(4)[]", list(Element::Text, 1), &[("'{ab}'", "[ab]")]),
            sample(
                "bytea[]",
                list(Element::Bytes, 1),
                &[(
                    r"array['\x00ff41'::bytea, null, '\x'::bytea]",
                    r"[\x00\xFFA, NULL, '']",
                )],
            ),
            sample(
                "date[]",
                list(Element::Date, 1),
                &[("'{infinity,0044-03-15 BC}'", "[infinity, '0044-03-15 (BC)']")],
            ),
            sample(
                "time[]",
                list(Element::Time, 1),
                &[("'{24:00,00:00:00.000001}'", "['24:00:00', '00:00:00.000001']")],
            ),
            sample(
                "timestamp[]",
                list(Element::Timestamp, 1),
                &[(
                    "'{-infinity,0044-03-15 10:00 BC}'",
                    "[-infinity, '0044-03-15 (BC) 10:00:00']",
                )],
            ),
            sample(
                "timestamptz[]",
                list(Element::TimestampTz, 1),
                &[(
                    "'{infinity,2024-01-01 00:00+02}'",
                    "[infinity, '2023-12-31 22:00:00+00']",
                )],
            ),
            sample(
                "uuid[]",
                list(Element::Uuid, 1),
                &[(
                    "'{80000000-0000-0000-0000-000000000001}'",
                    "[80000000-0000-0000-0000-000000000001]",
                )],
            ),
            sample(
                "integer[][]",
                list(Element::Int32, 2),
                &[("'{{1,NULL},{3,4}}'", "[[1, NULL], [3, 4]]"), ("'{}'", "[]")],
            ),
            sample(
                "integer[][][]",
                list(Element::Int32, 3),
                &[("'{{{1},{2}}}'", "[[[1], [2]]]")],
            ),
            sample(
                "text[][]",
                list(Element::Text, 2),
                &[(
                    r#"'{{"a, \"b\"","\\"},{NULL,""}}'"#,
                    r#"[['a, "b"', \], [NULL, '']]"#,
                )],
            ),
            sample(
                "bytea[][]",
                list(Element::Bytes, 2),
                &[(r"array[['\x00ff41'::bytea, null]]", r"[[\x00\xFFA, NULL]]")],
            ),
            sample(
                "timestamptz[][]",
                list(Element::TimestampTz, 2),
                &[(
                    "'{{infinity,0044-03-15 10:00+00 BC}}'",
                    "[[infinity, '0044-03-15 (BC) 10:00:00+00']]",
                )],
            ),
            sample(
                "date[][]",
                list(Element::Date, 2),
                &[(
                    "'{{infinity,0044-03-15 BC,5874897-12-31}}'",
                    "[[infinity, '0044-03-15 (BC)', 5874897-12-31]]",
                )],
            ),
            sample(
                "double precision[][]",
                list(Element::Float64, 2),
                &[("'{{NaN,-0,5e-324}}'", "[[nan, -0.0, 5e-324]]")],
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
        let list = |element, depth| T::List { element, depth };
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
            unfit("integer[]", "'{{1,2}}'", list(Element::Int32, 1)),
            unfit("integer[]", "'[0:1]={1,2}'", list(Element::Int32, 1)),
            unfit("integer[][]", "'{1,2}'", list(Element::Int32, 2)),
            unfit("integer[][]", "'[1:1][0:1]={{1,2}}'", list(Element::Int32, 2)),
            unfit(
                "numeric(4,2)[]",
                "'{NaN}'",
                list(
                    Element::Decimal {
                        precision: 4,
                        scale: 2,
                    },
                    1,
                ),
            ),
            unfit(
                "numeric(4,2)[][]",
                "'{{NaN}}'",
                list(
                    Element::Decimal {
                        precision: 4,
                        scale: 2,
                    },
                    2,
                ),
            ),
            unfit(
                "timestamp[]",
                "'{294276-12-31 23:59:59.999999}'",
                list(Element::Timestamp, 1),
            ),
            unfit(
                "timestamp[][]",
                "'{{294276-12-31 23:59:59.999999}}'",
                list(Element::Timestamp, 2),
            ),
            unfit("price", "'NaN'", decimal(12, 2)),
            unfit("fine_cents", "'NaN'", decimal(12, 2)),
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
            "numeric[]",
            "numeric(39,2)[]",
            "price",
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
