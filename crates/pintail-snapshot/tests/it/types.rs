//! Every type of DuckDB comes back with its name and its values, alone and inside of others.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::place::Place;

/// Types without others inside, and values at their edges as SQL.
const SCALARS: &[(&str, &[&str])] = &[
    ("BOOLEAN", &["true", "false"]),
    ("TINYINT", &["-128", "127", "0"]),
    ("SMALLINT", &["-32768", "32767"]),
    ("INTEGER", &["-2147483648", "2147483647"]),
    ("BIGINT", &["-9223372036854775808", "9223372036854775807"]),
    (
        "HUGEINT",
        &[
            "-170141183460469231731687303715884105728",
            "170141183460469231731687303715884105727",
            "9007199254740993",
        ],
    ),
    ("UTINYINT", &["0", "255"]),
    ("USMALLINT", &["65535"]),
    ("UINTEGER", &["4294967295"]),
    ("UBIGINT", &["18446744073709551615", "9223372036854775808", "0"]),
    ("UHUGEINT", &["340282366920938463463374607431768211455", "0"]),
    (
        "BIGNUM",
        &[
            "'123456789012345678901234567890123456789012345678901234567890'",
            "'-1'",
            "'0'",
        ],
    ),
    (
        "FLOAT",
        &[
            "'nan'",
            "'infinity'",
            "'-infinity'",
            "'-0.0'",
            "1.17549435e-38",
            "3.4028235e38",
        ],
    ),
    (
        "DOUBLE",
        &[
            "'nan'",
            "'-infinity'",
            "'-0.0'",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
        ],
    ),
    ("DECIMAL(4,1)", &["-999.9", "0.1"]),
    ("DECIMAL(9,2)", &["1234567.89"]),
    ("DECIMAL(18,3)", &["-123456789012345.678"]),
    (
        "DECIMAL(38,10)",
        &["1234567890123456789012345678.0123456789", "'-0.0000000001'"],
    ),
    (
        "VARCHAR",
        &[
            "''",
            "'NULL'",
            "'it''s \"quoted\", {a: [1]} \\\\'",
            "chr(0) || 'after NUL'",
            "'české 🦆'",
        ],
    ),
    ("BLOB", &["''", "'\\x00\\xFF\\x27'"]),
    ("BIT", &["'0'", "'0101'", "'000000001111111101'"]),
    (
        "DATE",
        &[
            "'infinity'",
            "'-infinity'",
            "'5877642-06-25 (BC)'",
            "'5881580-07-10'",
            "'2024-02-29'",
        ],
    ),
    ("TIME", &["'00:00:00'", "'24:00:00'", "'23:59:59.999999'"]),
    ("TIME_NS", &["'23:59:59.999999999'", "'00:00:00.000000001'"]),
    (
        "TIME WITH TIME ZONE",
        &[
            "'12:34:56.1+05:30:15'",
            "'00:00:00-15:59:59'",
            "'00:00:00+15:59:59'",
        ],
    ),
    (
        "TIMESTAMP",
        &[
            "'infinity'",
            "'-infinity'",
            "'290309-12-22 (BC) 00:00:00'",
            "'294247-01-10 04:00:54.775806'",
        ],
    ),
    (
        "TIMESTAMP_S",
        &[
            "'infinity'::timestamp",
            "'-infinity'::timestamp",
            "'2024-01-02 03:04:05'",
            "'0044-03-15 (BC) 12:00:00'",
        ],
    ),
    (
        "TIMESTAMP_MS",
        &["'infinity'::timestamp", "'2024-01-02 03:04:05.678'"],
    ),
    (
        "TIMESTAMP_NS",
        &[
            "'infinity'::timestamp",
            "'2024-01-02 03:04:05.678901234'",
            "'1677-09-22 00:12:43.145224194'",
        ],
    ),
    (
        "TIMESTAMP WITH TIME ZONE",
        &["'infinity'", "'2024-01-02 03:04:05.678901+00'"],
    ),
    (
        "INTERVAL",
        &[
            "interval '-1 day'",
            "interval '1 year 2 months -3 days 04:05:06.000007'",
            "interval '-100:00:00.000001'",
            "interval '0 days'",
            "to_months(-13) + to_days(40) - to_microseconds(1)",
        ],
    ),
    (
        "UUID",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            "'7c9e6679-7425-40de-944b-e07fc1f90ae7'",
        ],
    ),
    ("JSON", &["'{\"a\": [1, 2.50, null]}'", "'null'", "'  [ ]'"]),
    (
        "ENUM('a', 'it''s', 'NULL', '')",
        &["'a'", "'it''s'", "'NULL'", "''"],
    ),
    (
        "GEOMETRY",
        &["'POINT(1 2)'::geometry", "'LINESTRING(0.1 0.2, 3 4)'::geometry"],
    ),
];

/// A type, and values of it as SQL.
#[derive(Debug, Clone)]
struct Typed {
    name: String,
    values: Vec<String>,
}

fn cast(value: &str, name: &str) -> String {
    format!("cast({value} as {name})")
}

fn scalar() -> impl Strategy<Value = Typed> {
    (0..SCALARS.len()).prop_map(|index| {
        let (name, values) = SCALARS[index];
        Typed {
            name: name.to_owned(),
            values: values.iter().map(|value| cast(value, name)).collect(),
        }
    })
}

fn typed() -> impl Strategy<Value = Typed> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        let field = |index: usize| ["a", "b c", "x\"y"][index];
        prop_oneof![
            inner.clone().prop_map(|inner| {
                let all = inner.values.join(", ");
                let name = format!("{}[]", inner.name);
                let values = [format!("[{all}, null]"), "[]".to_owned(), "[null]".to_owned()];
                Typed {
                    values: values.iter().map(|value| cast(value, &name)).collect(),
                    name,
                }
            }),
            inner.clone().prop_map(|inner| {
                let name = format!("{}[2]", inner.name);
                let first = &inner.values[0];
                let values = [format!("[{first}, null]"), format!("[null, {first}]")];
                Typed {
                    values: values.iter().map(|value| cast(value, &name)).collect(),
                    name,
                }
            }),
            prop::collection::vec(inner.clone(), 1..3).prop_map(move |fields| {
                let quoted = |index: usize| format!("\"{}\"", field(index).replace('"', "\"\""));
                let types: Vec<String> = fields
                    .iter()
                    .enumerate()
                    .map(|(index, inner)| format!("{} {}", quoted(index), inner.name))
                    .collect();
                let name = format!("STRUCT({})", types.join(", "));
                let packed = |value: &dyn Fn(&Typed) -> String| {
                    let parts: Vec<String> = fields
                        .iter()
                        .enumerate()
                        .map(|(index, inner)| format!("{} := {}", quoted(index), value(inner)))
                        .collect();
                    cast(&format!("struct_pack({})", parts.join(", ")), &name)
                };
                let values = vec![
                    packed(&|inner| inner.values[0].clone()),
                    packed(&|inner| inner.values[inner.values.len() - 1].clone()),
                    packed(&|_| "null".to_owned()),
                ];
                Typed { name, values }
            }),
            inner.clone().prop_map(|inner| {
                let name = format!("MAP(VARCHAR, {})", inner.name);
                let first = &inner.values[0];
                let values = [format!("map {{'k': {first}, '': null}}"), "map {}".to_owned()];
                Typed {
                    values: values.iter().map(|value| cast(value, &name)).collect(),
                    name,
                }
            }),
            (inner.clone(), inner).prop_map(|(one, other)| {
                let name = format!("UNION(one {}, \"o t\" {})", one.name, other.name);
                let values = [
                    format!("union_value(one := {})", one.values[0]),
                    format!("union_value(\"o t\" := {})", other.values[0]),
                    format!("union_value(\"o t\" := cast(null as {}))", other.name),
                ];
                Typed {
                    values: values.iter().map(|value| cast(value, &name)).collect(),
                    name,
                }
            }),
        ]
    })
}

/// Takes a snapshot of a table with these columns, restores it, and compares in three ways: by types, by texts, and by the
/// value hash of a snapshot of the copy.
fn comes_back(columns: &[Typed]) {
    let place = Place::new();
    let rows = columns
        .iter()
        .map(|column| column.values.len())
        .max()
        .unwrap_or(0)
        + 1;
    let definitions: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| format!("c{index} {}", column.name))
        .collect();
    let row = |number: usize| {
        let values: Vec<String> = columns
            .iter()
            .map(|column| match number {
                0 => "null".to_owned(),
                number => column.values[number % column.values.len()].clone(),
            })
            .collect();
        format!("insert into t values ({number}, {})", values.join(", "))
    };
    let inserts: Vec<String> = (0..rows).map(row).collect();
    let sql = format!(
        "create table t (id integer, {}); {}",
        definitions.join(", "),
        inserts.join("; ")
    );
    place.execute("one.duckdb", &sql);
    let first = place.create("one.duckdb", "first");
    place.restore("two.duckdb", "first");
    let types = "select data_type from duckdb_columns() where table_name = 't' order by column_index";
    assert_eq!(
        place.ask("two.duckdb", types),
        place.ask("one.duckdb", types),
        "{sql}"
    );
    let texts = "from t order by id";
    assert_eq!(
        place.ask("two.duckdb", texts),
        place.ask("one.duckdb", texts),
        "{sql}"
    );
    let second = place.create("two.duckdb", "second");
    assert_eq!(second.tables[0].value_hash, first.tables[0].value_hash, "{sql}");
    assert_eq!(second.tables[0].ddl, first.tables[0].ddl, "{sql}");
}

#[test]
fn every_scalar_type_comes_back() {
    let columns: Vec<Typed> = SCALARS
        .iter()
        .map(|(name, values)| Typed {
            name: (*name).to_owned(),
            values: values.iter().map(|value| cast(value, name)).collect(),
        })
        .collect();
    comes_back(&columns);
}

#[test]
fn variants_come_back_with_what_they_are() {
    let place = Place::new();
    place.execute(
        "one.duckdb",
        "create table t (id integer, v variant);
         insert into t values (1, 1::tinyint), (2, '1'), (3, 1.5::decimal(3, 2)), (4, {'a': [1, null]}), (5, null),
           (6, '2024-01-02'::date)",
    );
    let first = place.create("one.duckdb", "first");
    place.restore("two.duckdb", "first");
    let told = "select id, v::varchar, variant_typeof(v) from t order by id";
    assert_eq!(place.ask("two.duckdb", told), place.ask("one.duckdb", told));
    // A text and a number that read alike are two values.
    place.execute("one.duckdb", "update t set v = 1::tinyint where id = 2");
    let second = place.create("one.duckdb", "second");
    assert_ne!(second.tables[0].value_hash, first.tables[0].value_hash);
}

#[test]
fn types_inside_of_types_come_back() {
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(typed(), 1..4), |columns| {
            comes_back(&columns);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_a_null_struct_hides_is_no_value() {
    let place = Place::new();
    // The fields of a NULL struct may hold anything in memory; its hash must not see them.
    place.execute(
        "one.duckdb",
        "create table t (s struct(a integer, l integer[]));
         insert into t select case when i % 2 = 0 then {'a': i, 'l': [i, i]} end from range(5000) as r (i);
         update t set s = null where s.a % 3 = 0",
    );
    place.execute(
        "two.duckdb",
        "create table t (s struct(a integer, l integer[]));
         insert into t select case when i % 2 = 0 and i % 3 <> 0 then {'a': i, 'l': [i, i]} end from range(5000) as r (i)",
    );
    let one = place.create("one.duckdb", "one");
    let two = place.create("two.duckdb", "two");
    assert_eq!(one.tables[0].value_hash, two.tables[0].value_hash);
}
