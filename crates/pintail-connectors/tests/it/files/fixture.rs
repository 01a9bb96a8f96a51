//! Parquet files that another program keeps equal to the tables of a database of its own.

use std::path::Path;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_lake::quote::{identifier, literal};
use pintail_lake::{Call, Engine, EngineSettings, Session};
use pintail_model::{Element, LogicalType as T};
use pintail_testkit::conformance::{Fixture, Sample, Unfit};
use pintail_testkit::{S3Bucket, S3Server};

pub(crate) struct FilesFixture {
    folder: tempfile::TempDir,
    bucket: Option<S3Bucket>,
    writer: Session,
}

impl FilesFixture {
    pub(crate) fn in_folder() -> Self {
        let engine = Engine::open(&EngineSettings::default()).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            bucket: None,
            writer: engine.session().unwrap(),
        }
    }

    pub(crate) fn in_bucket() -> Self {
        Self {
            bucket: Some(S3Server::shared().fresh_bucket()),
            ..Self::in_folder()
        }
    }

    pub(crate) fn bucket(&self) -> &S3Bucket {
        self.bucket.as_ref().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a statement of the other program, in the folder.
    pub(crate) fn write(&self, sql: &str) {
        let folder = self.folder.path().to_string_lossy();
        let sql = sql.replace("$FOLDER", &folder);
        self.writer.batch(Call::new("write a file"), &sql).unwrap();
    }

    /// A connector for a part of the folder: a pattern, a file.
    pub(crate) fn connect(&self, inside: &str) -> Box<dyn Connector> {
        connect(&format!("files:{}/{inside}", self.folder.path().display()))
    }

    fn export(&self, table: &str) {
        let part = self.path(".part");
        let sql = format!(
            "copy {} to {} (format parquet, row_group_size 2048)",
            identifier(table),
            literal(&part.to_string_lossy())
        );
        self.writer.batch(Call::new("export"), &sql).unwrap();
        let name = format!("{table}.parquet");
        match &self.bucket {
            Some(bucket) => bucket.put(&format!("shop/{name}"), std::fs::read(part).unwrap()),
            None => std::fs::rename(part, self.path(&name)).unwrap(),
        }
    }
}

pub(crate) fn connect(address: &str) -> Box<dyn Connector> {
    let location = Location::parse(address, Path::new("/")).unwrap();
    registry::source(&location.datastore).unwrap()
}

impl Fixture for FilesFixture {
    fn connector(&self) -> Box<dyn Connector> {
        match &self.bucket {
            Some(bucket) => connect(&format!("{}?{}", bucket.url("shop/"), bucket.parameters(""))),
            None => self.connect(""),
        }
    }

    fn execute(&self, sql: &str) {
        self.writer.batch(Call::new("work"), sql).unwrap();
        let tables = self
            .writer
            .query(Call::new("list"), "select table_name from duckdb_tables()")
            .unwrap();
        tables.iter().for_each(|row| self.export(row.text(0).unwrap()));
    }

    fn fill_orders(&self, rows: u32) {
        self.execute(&format!(
            "create table orders as select i::bigint as id, \
             case when i % 10 <> 0 then i % 1000 end as customer, \
             case when i % 7 <> 0 then 'note ' || lpad(i::varchar, 40, '0') end as note, \
             case when i % 100 <> 0 then timestamp '2024-01-01' + to_minutes(i) end as changed_at \
             from range(1, {rows} + 1) as r(i)"
        ));
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
        let decimal = |precision, scale| T::Decimal { precision, scale };
        let list = |element, depth| T::List { element, depth };
        vec![
            sample("boolean", T::Boolean, &[("true", "true"), ("false", "false")]),
            sample("tinyint", T::Int8, &[("-128", "-128"), ("127", "127")]),
            sample("smallint", T::Int16, &[("-32768", "-32768")]),
            sample("integer", T::Int32, &[("2147483647", "2147483647")]),
            sample(
                "bigint",
                T::Int64,
                &[("-9223372036854775808", "-9223372036854775808")],
            ),
            sample("utinyint", T::UInt8, &[("255", "255")]),
            sample("usmallint", T::UInt16, &[("65535", "65535")]),
            sample("uinteger", T::UInt32, &[("4294967295", "4294967295")]),
            sample(
                "ubigint",
                T::UInt64,
                &[("18446744073709551615", "18446744073709551615")],
            ),
            sample("float", T::Float32, &[("'nan'::float", "nan"), ("1.5", "1.5")]),
            sample(
                "double",
                T::Float64,
                &[
                    ("0.1", "0.1"),
                    ("'-inf'::double", "-inf"),
                    ("'nan'::double", "nan"),
                    ("'-0.0'::double", "-0.0"),
                    ("5e-324", "5e-324"),
                ],
            ),
            sample(
                "decimal(38,10)",
                decimal(38, 10),
                &[(
                    "9999999999999999999999999999.9999999999",
                    "9999999999999999999999999999.9999999999",
                )],
            ),
            sample("decimal(4,2)", decimal(4, 2), &[("-0.01", "-0.01")]),
            sample(
                "varchar",
                T::Text,
                &[("''", ""), ("'größe 数 🦆'", "größe 数 🦆"), ("'NULL'", "NULL")],
            ),
            sample("blob", T::Bytes, &[(r"'\x00\xFFA'::blob", r"\x00\xFFA")]),
            sample(
                "date",
                T::Date,
                &[("'0001-01-01'", "0001-01-01"), ("'9999-12-31'", "9999-12-31")],
            ),
            sample("time", T::Time, &[("'23:59:59.999999'", "23:59:59.999999")]),
            sample(
                "timestamp",
                T::Timestamp,
                &[("'1969-12-31 23:59:59.000001'", "1969-12-31 23:59:59.000001")],
            ),
            sample(
                "timestamptz",
                T::TimestampTz,
                &[(
                    "'2024-02-29 23:59:59.123456+02:00'",
                    "2024-02-29 21:59:59.123456+00",
                )],
            ),
            sample(
                "uuid",
                T::Uuid,
                &[(
                    "'80000000-0000-0000-0000-00000000000a'",
                    "80000000-0000-0000-0000-00000000000a",
                )],
            ),
            sample(
                "json",
                T::Json,
                &[(r#"'{"a" :  1}'"#, r#"{"a" :  1}"#), ("'null'", "null")],
            ),
            sample(
                "integer[]",
                list(Element::Int32, 1),
                &[("[1, null, 3]", "[1, NULL, 3]"), ("[]", "[]")],
            ),
            sample(
                "varchar[][]",
                list(Element::Text, 2),
                &[("[['a'], null, []]", "[[a], NULL, []]")],
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
            unfit("bigint", "2147483648", T::Int32),
            unfit("bigint", "12345", decimal(4, 0)),
            unfit("ubigint", "18446744073709551615", T::Int64),
            unfit("varchar", "'1.7'", T::Int64),
            unfit("varchar", "' 1'", T::Int64),
            unfit("varchar", "'1e3'", T::Int32),
            unfit("varchar", "'0.125'", decimal(10, 2)),
            unfit("varchar", "'12,50'", decimal(10, 2)),
            unfit("varchar", "'yes'", T::Boolean),
            unfit("varchar", "'2024-1-1'", T::Date),
            unfit("varchar", "'2024-02-30'", T::Date),
            unfit("varchar", "'2024-01-01 10:00:00.1234567'", T::Timestamp),
            unfit("varchar", "'2024-01-01 10:00:00+02:00'", T::Timestamp),
            unfit("varchar", "'2024-01-01 10:00:00'", T::TimestampTz),
            unfit("varchar", "'{'", T::Json),
        ]
    }

    fn homeless(&self) -> Vec<&'static str> {
        vec![
            "interval",
            "struct(a integer)",
            "map(integer, varchar)",
            "timestamp_ns",
            "timetz",
        ]
    }

    fn writes(&self, alias: &str) -> Vec<String> {
        vec![
            format!("insert into {alias}.main.orders (id) values (-1)"),
            format!("delete from {alias}.main.orders"),
            format!("drop table {alias}.main.orders"),
        ]
    }

    fn closed_port(&self) -> Option<Box<dyn Connector>> {
        Some(connect("s3://nowhere/x/?endpoint=http://127.0.0.1:1"))
    }

    fn password(&self) -> Option<String> {
        self.bucket.as_ref().map(|_| S3Server::SECRET.to_owned())
    }
}
