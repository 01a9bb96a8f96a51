//! What becomes of values in every format: the very same values, or nothing at all.

use pintail_lake::{Call, Change, CommitPart, CommitRequest, LedgerEntry, Result, StagedFile, quote};
use pintail_model::{
    Checksum, Column, Element, ErrorKind, LogicalType as T, PartitionKey, Range, RunId, TableName,
};
use pintail_testkit::conformance::Attached;

use super::fixture::connect;
use super::shop::{Shop, open};

/// Columns with values that text forms lose easily. SQL of the engine; the first value is in the first row.
const COLUMNS: &[(&str, T, &[&str])] = &[
    ("truth", T::Boolean, &["true", "false"]),
    ("tiny", T::Int8, &["-128", "127"]),
    ("small", T::Int16, &["-32768"]),
    ("int", T::Int32, &["2147483647"]),
    (
        "big",
        T::Int64,
        &["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    ),
    ("utiny", T::UInt8, &["255"]),
    ("usmall", T::UInt16, &["65535"]),
    ("uint", T::UInt32, &["4294967295"]),
    ("ubig", T::UInt64, &["18446744073709551615"]),
    (
        "real",
        T::Float32,
        &[
            "'nan'",
            "'inf'",
            "'-inf'",
            "'-0.0'",
            "0.1",
            "3.4028235e38",
            "1e-45",
        ],
    ),
    (
        "double",
        T::Float64,
        &[
            "'nan'",
            "'inf'",
            "'-inf'",
            "'-0.0'",
            "0.1",
            "5e-324",
            "1e300",
            "1.7976931348623157e308",
        ],
    ),
    (
        "price",
        T::Decimal {
            precision: 12,
            scale: 2,
        },
        &["1.50", "-0.01", "9999999999.99", "0.00"],
    ),
    (
        "wide",
        T::Decimal {
            precision: 38,
            scale: 10,
        },
        &["9999999999999999999999999999.9999999999", "-0.0000000001"],
    ),
    (
        "text",
        T::Text,
        &[
            "''",
            "'NULL'",
            "'null'",
            "'007'",
            "' x '",
            "'a,b'",
            "'\"'",
            "'a \"b\"'",
            "e'a\\nb'",
            "e'\\r'",
            "e'\\r\\n'",
            "e'\\t'",
            "'\\'",
            "'\\N'",
            "'#x'",
            "'größe 数 🦆'",
            "chr(0) || 'z'",
            "'it''s'",
            "';'",
            "chr(65279) || 'b'",
            "'-'",
            "'1e5'",
            "repeat('long ', 100000)",
        ],
    ),
    ("bytes", T::Bytes, &[r"'\x00\xFFA'", "''", r"'\x0A\x0D,'"]),
    (
        "day",
        T::Date,
        &["'0001-01-01'", "'9999-12-31'", "'0044-03-15 (BC)'", "'infinity'"],
    ),
    ("clock", T::Time, &["'23:59:59.999999'", "'00:00:00'"]),
    (
        "at",
        T::Timestamp,
        &[
            "'1969-12-31 23:59:59.000001'",
            "'-infinity'",
            "'2024-02-29 00:00:00'",
        ],
    ),
    (
        "instant",
        T::TimestampTz,
        &[
            "'2024-02-29 23:59:59.123456+02:00'",
            "'infinity'",
            "'1900-01-01 00:00:00+00'",
        ],
    ),
    ("id", T::Uuid, &["'80000000-0000-0000-0000-00000000000a'"]),
    (
        "json",
        T::Json,
        &[
            "'null'",
            r#"' {"a" :  1.10, "a": null}'"#,
            "'\"x\"'",
            "'1e30'",
            "'{}'",
        ],
    ),
    (
        "ints",
        T::List {
            element: Element::Int64,
            depth: 1,
        },
        &["[1, null, 9007199254740993]", "[]"],
    ),
    (
        "texts",
        T::List {
            element: Element::Text,
            depth: 1,
        },
        &["['a', null, 'NULL', '', '[', '\"', ',']", "[null]"],
    ),
    (
        "deep",
        T::List {
            element: Element::Text,
            depth: 2,
        },
        &["[['a'], null, [], [null]]"],
    ),
    (
        "reals",
        T::List {
            element: Element::Float64,
            depth: 1,
        },
        &["['nan'::double, '-inf', 0.1, null, '-0.0']"],
    ),
    (
        "singles",
        T::List {
            element: Element::Float32,
            depth: 1,
        },
        &["['nan'::float, 0.1, null]"],
    ),
    (
        "truths",
        T::List {
            element: Element::Boolean,
            depth: 1,
        },
        &["[true, null]"],
    ),
    (
        "blobs",
        T::List {
            element: Element::Bytes,
            depth: 1,
        },
        &[r"['\x00'::blob, null, ''::blob]"],
    ),
    (
        "prices",
        T::List {
            element: Element::Decimal {
                precision: 5,
                scale: 2,
            },
            depth: 3,
        },
        &["[[[1.50, null]], null]"],
    ),
    (
        "days",
        T::List {
            element: Element::Date,
            depth: 1,
        },
        &["['2024-02-29'::date, null]"],
    ),
    (
        "instants",
        T::List {
            element: Element::TimestampTz,
            depth: 1,
        },
        &["['2024-02-29 23:59:59.123456+00'::timestamptz]"],
    ),
    ("odd \"n,a'me", T::Text, &["'x'"]),
    ("größe", T::Int64, &["1"]),
];

fn table() -> TableName {
    TableName::bare("values")
}

fn columns() -> Vec<Column> {
    COLUMNS
        .iter()
        .map(|(name, logical_type, _)| Column {
            name: (*name).to_owned(),
            logical_type: *logical_type,
            nullable: true,
            origin: None,
        })
        .collect()
}

/// Stages the rows of a query as a part of its own.
pub(super) fn stage(shop: &Shop, table: &TableName, run: &str, query: &str) -> CommitPart {
    let run = RunId::from_stored(run);
    let path = shop.attached.stage(table, &run).unwrap().file("a", 1);
    let sql = format!(
        "copy ({query}) to {} (format parquet)",
        quote::literal(&path.to_string_lossy())
    );
    let session = shop.attached.session().unwrap();
    let rows = session.execute(Call::new("stage"), &sql).unwrap();
    let bytes = shop.attached.secure(&path).unwrap();
    CommitPart {
        entry: LedgerEntry {
            pipeline: "values".to_owned(),
            strategy: "test".to_owned(),
            run: run.clone(),
            key: PartitionKey::new("values", &run, "a"),
            rows,
            checksum: Checksum::default(),
            source: "test".to_owned(),
            cursor: None,
            watermark: None,
        },
        files: vec![StagedFile { path, rows, bytes }],
    }
}

pub(super) fn load(shop: &Shop, table: &TableName, columns: &[Column], part: &CommitPart) -> Result<()> {
    let request = CommitRequest {
        gone: Vec::new(),
        basis: None,
        table,
        columns,
        change: Change::ReplaceAll,
        parts: vec![part.clone()],
        author: "test",
        message: "a test".to_owned(),
        compare: None,
        key: &[],
    };
    shop.attached.commit(&request).map(drop)
}

/// A row for each value, with the last values of shorter columns as NULL.
fn rows() -> String {
    let longest = COLUMNS
        .iter()
        .map(|(_, _, values)| values.len())
        .max()
        .unwrap_or(0);
    let row = |number: usize| {
        let values: Vec<String> = COLUMNS
            .iter()
            .map(|(name, logical_type, values)| {
                let value = values.get(number).copied().unwrap_or("null");
                format!("({value})::{logical_type} as {}", quote::identifier(name))
            })
            .collect();
        format!("select {}", values.join(", "))
    };
    (0..=longest).map(row).collect::<Vec<_>>().join(" union all ")
}

#[test]
fn every_value_is_carried_by_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for layout in [
        "format=csv",
        "format=csv&delimiter=;",
        "format=json",
        "format=parquet",
        "format=csv&partition_by=text,day",
        "format=json&partition_by=double,at",
        "format=parquet&partition_by=price,truth,id",
    ] {
        let name = layout.replace(['=', '&', ',', ';'], "_");
        let address = format!("files:{}/{name}/", folder.path().display());
        // A name of a folder cannot be as long as that.
        let rows = format!(
            "select * from ({}) where text is null or strlen(text) < 100",
            rows()
        );
        let shop = open(&format!("{address}?{layout}"));
        let part = stage(&shop, &table(), "r0", &rows);
        load(&shop, &table(), &columns(), &part)
            .unwrap_or_else(|error| panic!("{layout}: {error}: {error:?}"));
        assert_same(&shop, &part, layout);

        // As a source, by what Pintail wrote down: the same types and the same rows.
        let source = Attached::new(connect(&address));
        let request = source.request("values", Range::Whole);
        let types: Vec<(String, T)> = request
            .columns
            .iter()
            .map(|read| (read.column.name.clone(), read.column.logical_type))
            .collect();
        let expected: Vec<(String, T)> = columns()
            .into_iter()
            .map(|column| (column.name, column.logical_type))
            .collect();
        assert_eq!(types, expected, "{layout}");
        let read = source.checksums_now(&request).total();
        assert_eq!(read, staged_checksum(&shop, &part), "{layout}");
        assert_eq!(
            source.count_now(&request.relation, &Range::Whole),
            read.rows,
            "{layout}"
        );
    }
}

#[test]
fn long_values_are_carried_too() {
    let folder = tempfile::tempdir().unwrap();
    for layout in ["format=csv", "format=json"] {
        let shop = open(&format!("files:{}/?{layout}", folder.path().display()));
        let part = stage(&shop, &table(), layout, &rows());
        load(&shop, &table(), &columns(), &part)
            .unwrap_or_else(|error| panic!("{layout}: {error}: {error:?}"));
        assert_same(&shop, &part, layout);
    }
}

#[test]
fn a_column_of_its_own_keeps_null_and_empty_text_apart() {
    let folder = tempfile::tempdir().unwrap();
    let column = [Column {
        name: "note".to_owned(),
        logical_type: T::Text,
        nullable: true,
        origin: None,
    }];
    for format in ["csv", "json"] {
        let shop = open(&format!(
            "files:{}/{format}/?format={format}",
            folder.path().display()
        ));
        let part = stage(
            &shop,
            &table(),
            "r0",
            "select unnest([null, '', 'a', null, '']) as note",
        );
        load(&shop, &table(), &column, &part).unwrap();
        let sql = format!(
            "select count(*) filter (note is null), count(*) filter (note = '') from {}",
            shop.place.rows(&table(), &column, None)
        );
        let session = shop.attached.session().unwrap();
        let rows = session.query(Call::new("look"), &sql).unwrap();
        assert_eq!(
            (rows[0].integer(0), rows[0].integer(1)),
            (Some(2), Some(2)),
            "{format}"
        );
    }
}

#[test]
fn what_a_file_does_not_carry_is_an_error_that_names_the_column_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/?format=csv", folder.path().display()));
    let columns = &columns()[13..14];
    let part = stage(&shop, &table(), "r0", "select 'kept' as text");
    load(&shop, &table(), columns, &part).unwrap();
    // A line of CSV may be 16 MB long.
    let part = stage(&shop, &table(), "r1", "select repeat('x', 40000000) as text");
    let error = load(&shop, &table(), columns, &part).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    insta::assert_snapshot!(
        error.to_string(),
        @r#"a row of table "values" cannot be read again from csv files, which hold rows of up to 16 MB"#
    );
    let other = open(&format!("files:{}/?format=csv", folder.path().display()));
    let session = other.attached.session().unwrap();
    assert_eq!(
        other
            .attached
            .table(&session, &table(), columns)
            .unwrap()
            .unwrap()
            .rows,
        1
    );
}

#[track_caller]
fn assert_same(shop: &Shop, part: &CommitPart, context: &str) {
    let session = shop.attached.session().unwrap();
    let table = shop.place.rows(&table(), &columns(), None);
    assert_eq!(checksum(shop, &table), staged_checksum(shop, part), "{context}");
    for (name, ..) in COLUMNS {
        let name = quote::identifier(name);
        let staged = quote::parquet([part.files[0].path.as_path()]);
        let sql = format!(
            "select count(*) from ((select {name} from {table} except all select {name} from {staged})
             union all (select {name} from {staged} except all select {name} from {table}))"
        );
        let rows = session.query(Call::new("compare"), &sql).unwrap();
        assert_eq!(rows[0].integer(0), Some(0), "{context}: {name}");
    }
}

fn staged_checksum(shop: &Shop, part: &CommitPart) -> Checksum {
    checksum(shop, &quote::parquet([part.files[0].path.as_path()]))
}

fn checksum(shop: &Shop, rows: &str) -> Checksum {
    let tap = shop.attached.engine().tap();
    let columns = columns();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let sql = format!("select count(*) from {rows} where {}", tap.filter(None, &names));
    let session = shop.attached.session().unwrap();
    session.query(Call::new("sum up"), &sql).unwrap();
    tap.checksums().total()
}
