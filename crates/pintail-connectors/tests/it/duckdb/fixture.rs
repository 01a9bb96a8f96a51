//! A fresh file, written to by an engine that lets go of it again.

use std::path::{Path, PathBuf};

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::{Attachment, Connector};
use pintail_lake::{Call, Engine, EngineSettings, quote};
use pintail_model::{Element, LogicalType as T, Secret};
use pintail_testkit::conformance::{Fixture, Sample, Unfit};

pub(crate) struct DuckDbFixture {
    folder: tempfile::TempDir,
}

impl DuckDbFixture {
    pub(crate) fn new() -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fixture.execute("create type mood as enum ('sad', 'it''s ok')");
        fixture
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("it's a shop.duckdb")
    }
}

pub(crate) fn connect(file: &Path) -> Box<dyn Connector> {
    let path = file.to_str().unwrap().replace(' ', "%20");
    let location = Location::parse(&format!("duckdb:{path}"), Path::new("/")).unwrap();
    registry::source(&location.datastore).unwrap()
}

/// Rows of the table that all fixtures have.
pub(crate) fn orders(rows: u32, key: &str) -> String {
    format!(
        "create table orders (id bigint {key}, customer integer, note varchar, changed_at timestamp); \
         insert into orders select i, nullif(i % 1000, i // 10 % 100 * 10), \
         case when i % 7 <> 0 then 'note ' || lpad(i::varchar, 40, '0') end, \
         case when i % 100 <> 0 then timestamp '2024-01-01' + to_minutes(i) end \
         from range(1, {rows} + 1) as r(i)"
    )
}

/// Values at the edges of the types that a table of DuckDB and a table of a lake can have.
pub(crate) fn samples() -> Vec<Sample> {
    let sample = |declared, home, values: &[_]| Sample {
        declared,
        home,
        values: values.to_vec(),
    };
    let decimal = |precision, scale| T::Decimal { precision, scale };
    let list = |element, depth| T::List { element, depth };
    vec![
        sample("boolean", T::Boolean, &[("true", "true"), ("false", "false")]),
        sample("tinyint", T::Int8, &[("-128", "-128"), ("127", "127")]),
        sample("smallint", T::Int16, &[("-32768", "-32768"), ("32767", "32767")]),
        sample("integer", T::Int32, &[("-2147483648", "-2147483648")]),
        sample(
            "bigint",
            T::Int64,
            &[("-9223372036854775808", "-9223372036854775808")],
        ),
        sample("utinyint", T::UInt8, &[("0", "0"), ("255", "255")]),
        sample("usmallint", T::UInt16, &[("65535", "65535")]),
        sample("uinteger", T::UInt32, &[("4294967295", "4294967295")]),
        sample(
            "ubigint",
            T::UInt64,
            &[("18446744073709551615", "18446744073709551615")],
        ),
        sample(
            "float",
            T::Float32,
            &[
                ("'nan'", "nan"),
                ("'-inf'", "-inf"),
                ("'-0'", "-0.0"),
                ("1e-45", "1e-45"),
            ],
        ),
        sample(
            "double",
            T::Float64,
            &[
                ("'nan'", "nan"),
                ("'-0'", "-0.0"),
                ("5e-324", "5e-324"),
                ("0.1", "0.1"),
            ],
        ),
        sample(
            "decimal(38,10)",
            decimal(38, 10),
            &[(
                "'9999999999999999999999999999.9999999999'",
                "9999999999999999999999999999.9999999999",
            )],
        ),
        sample("decimal(4,4)", decimal(4, 4), &[("0.9999", ".9999")]),
        sample(
            "varchar",
            T::Text,
            &[
                ("''", ""),
                ("'größe 数 🦆'", "größe 数 🦆"),
                ("'it''s'", "it's"),
                ("chr(0)", "\0"),
            ],
        ),
        sample("blob", T::Bytes, &[(r"'\x00\xFFA'", r"\x00\xFFA"), ("''", "")]),
        sample(
            "date",
            T::Date,
            &[
                ("'2024-02-29'", "2024-02-29"),
                ("'0044-03-15 (BC)'", "0044-03-15 (BC)"),
                ("'5881580-07-10'", "5881580-07-10"),
                ("'infinity'", "infinity"),
                ("'-infinity'", "-infinity"),
            ],
        ),
        sample(
            "time",
            T::Time,
            &[
                ("'00:00:00.000001'", "00:00:00.000001"),
                ("'24:00:00'", "24:00:00"),
            ],
        ),
        sample(
            "timestamp",
            T::Timestamp,
            &[
                ("'2024-02-29 23:59:59.999999'", "2024-02-29 23:59:59.999999"),
                ("'0044-03-15 (BC) 10:00:00'", "0044-03-15 (BC) 10:00:00"),
                ("'-infinity'", "-infinity"),
            ],
        ),
        sample(
            "timestamp_s",
            T::Timestamp,
            &[("'2024-02-29 23:59:59'", "2024-02-29 23:59:59")],
        ),
        sample(
            "timestamp_ms",
            T::Timestamp,
            &[("'2024-02-29 23:59:59.999'", "2024-02-29 23:59:59.999")],
        ),
        sample(
            "timestamp_ns",
            T::Text,
            &[("'2024-02-29 23:59:59.123456789'", "2024-02-29 23:59:59.123456789")],
        ),
        sample(
            "timestamptz",
            T::TimestampTz,
            &[("'2024-02-29 23:59:59.5+02'", "2024-02-29 21:59:59.5+00")],
        ),
        sample(
            "uuid",
            T::Uuid,
            &[(
                "'80000000-0000-0000-0000-000000000001'",
                "80000000-0000-0000-0000-000000000001",
            )],
        ),
        sample(
            "json",
            T::Json,
            &[
                (r#"'{"a" :  1, "a": 2}'"#, r#"{"a" :  1, "a": 2}"#),
                ("'null'", "null"),
            ],
        ),
        sample(
            "integer[]",
            list(Element::Int32, 1),
            &[("[1, null]", "[1, NULL]"), ("[]", "[]")],
        ),
        sample(
            "varchar[][]",
            list(Element::Text, 2),
            &[("[['a, b', null], null, []]", "[['a, b', NULL], NULL, []]")],
        ),
        sample(
            "decimal(18,3)[]",
            list(
                Element::Decimal {
                    precision: 18,
                    scale: 3,
                },
                1,
            ),
            &[("[1.5, null]", "[1.500, NULL]")],
        ),
        sample(
            "ubigint[]",
            list(
                Element::Decimal {
                    precision: 20,
                    scale: 0,
                },
                1,
            ),
            &[("[18446744073709551615]", "[18446744073709551615]")],
        ),
        sample("utinyint[]", list(Element::Int16, 1), &[("[255]", "[255]")]),
        sample(
            "timestamp_s[]",
            list(Element::Timestamp, 1),
            &[("['2024-02-29 23:59:59']", "['2024-02-29 23:59:59']")],
        ),
        sample(
            "struct(a integer, \"b c\" varchar)",
            T::Text,
            &[("{'a': 1, 'b c': 'it''s'}", r"{'a': 1, 'b c': 'it\'s'}")],
        ),
        sample(
            "struct(a integer)[]",
            T::Text,
            &[("[{'a': null}, null]", "[{'a': NULL}, NULL]")],
        ),
        sample("map(varchar, integer)", T::Text, &[("map {'a': 1}", "{a=1}")]),
    ]
}

pub(crate) fn unfit() -> Vec<Unfit> {
    let unfit = |declared, literal, wanted| Unfit {
        declared,
        literal,
        wanted,
    };
    let decimal = |precision, scale| T::Decimal { precision, scale };
    vec![
        unfit("bigint", "2147483648", T::Int32),
        unfit("ubigint", "9223372036854775808", T::Int64),
        unfit("bigint", "-1", T::UInt64),
        unfit("decimal(12,4)", "7.1234", decimal(12, 2)),
        unfit("timestamp_ns", "'2024-02-29 23:59:59.123456789'", T::Timestamp),
    ]
}

impl Fixture for DuckDbFixture {
    fn connector(&self) -> Box<dyn Connector> {
        connect(&self.file())
    }

    fn execute(&self, sql: &str) {
        let engine = Engine::open(&EngineSettings::default()).unwrap();
        let attach = format!("attach {} as shop", quote::literal(self.file().to_str().unwrap()));
        let attachment = Attachment {
            extensions: Vec::new(),
            statements: vec![Secret::new(attach), Secret::new("use shop")],
            secrets: Vec::new(),
        };
        engine.attach("attach the file", &attachment).unwrap();
        let session = engine.session().unwrap();
        let written = session.batch(Call::new("write"), &format!("use shop; {sql}"));
        written.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    fn fill_orders(&self, rows: u32) {
        self.execute(&orders(rows, "primary key"));
    }

    fn keeps_writers_out(&self) -> bool {
        true
    }

    fn integer_and_text(&self) -> (&'static str, &'static str) {
        ("bigint", "varchar")
    }

    fn samples(&self) -> Vec<Sample> {
        let sample = |declared, home, values: &[_]| Sample {
            declared,
            home,
            values: values.to_vec(),
        };
        let own = [
            sample(
                "interval",
                T::Text,
                &[(
                    "'1 month -2 days 3.000004 seconds'",
                    "1 month -2 days 00:00:03.000004",
                )],
            ),
            sample(
                "timetz",
                T::Text,
                &[("'12:00:00.000001+02:30'", "12:00:00.000001+02:30")],
            ),
            sample("bit", T::Text, &[("'0101'", "0101")]),
            sample("mood", T::Text, &[("'it''s ok'", "it's ok")]),
            sample("mood[]", T::Text, &[("['sad', null]", "[sad, NULL]")]),
            sample(
                "time_ns",
                T::Text,
                &[("'12:00:00.123456789'", "12:00:00.123456789")],
            ),
            sample(
                "float[3]",
                T::List {
                    element: Element::Float32,
                    depth: 1,
                },
                &[("[1, null, 3]", "[1.0, NULL, 3.0]")],
            ),
        ];
        samples().into_iter().chain(own).collect()
    }

    fn unfit(&self) -> Vec<Unfit> {
        let huge = |literal, wanted| Unfit {
            declared: "hugeint",
            literal,
            wanted,
        };
        let own = [
            huge(
                "170141183460469231731687303715884105727",
                T::Decimal {
                    precision: 38,
                    scale: 0,
                },
            ),
            huge("9223372036854775808", T::Int64),
        ];
        unfit().into_iter().chain(own).collect()
    }

    fn homeless(&self) -> Vec<&'static str> {
        vec![
            "hugeint",
            "uhugeint",
            "hugeint[]",
            "bignum",
            "union(n integer, s varchar)",
            "union(n integer, s varchar)[]",
            "struct(u union(n integer, s varchar))",
        ]
    }

    fn writes(&self, alias: &str) -> Vec<String> {
        vec![
            format!("insert into {alias}.main.orders (id) values (-1)"),
            format!("delete from {alias}.main.orders"),
            format!("drop table {alias}.main.orders"),
        ]
    }
}
