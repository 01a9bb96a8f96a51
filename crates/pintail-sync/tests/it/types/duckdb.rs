//! DuckDB → lake → DuckDB.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::journey::{Journey, LAKE, ask_duckdb, in_duckdb};

const MADE: &str = "create type mood as enum ('sad', 'it''s \"ok\"', '', 'NULL');";

/// A declared type, and values of it as expressions of DuckDB.
struct Type {
    declared: &'static str,
    value: BoxedStrategy<String>,
    /// Refused unless somebody chooses text for it.
    chosen: bool,
}

#[test]
fn values_of_every_type_come_back_from_a_lake_as_they_were() {
    let types = types();
    let row = types
        .iter()
        .map(|of| prop::option::weighted(0.9, of.value.clone()))
        .collect::<Vec<_>>();
    let mut runner = TestRunner::new(Config {
        cases: 4,
        max_shrink_iters: 8,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(row, 40), |rows| {
            there_and_back(&types, &rows);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn there_and_back(types: &[Type], rows: &[Vec<Option<String>>]) {
    let columns: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(index, of)| format!("c{index} {}", of.declared))
        .collect();
    let values: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(id, row)| {
            let cell = |(cell, of): (&Option<String>, &Type)| match cell {
                Some(value) => format!("({value})::{}", of.declared),
                None => "null".to_owned(),
            };
            let cells: Vec<String> = row.iter().zip(types).map(cell).collect();
            format!("({id}, {})", cells.join(", "))
        })
        .collect();
    let journey = Journey::new();
    let (from, back) = (journey.path("from.duckdb"), journey.path("back.duckdb"));
    // The engine folds constants of hundreds of columns slowly: a few rows at a time.
    let inserts: Vec<String> = values
        .chunks(10)
        .map(|rows| format!("insert into orders values {}", rows.join(", ")))
        .collect();
    in_duckdb(
        &from,
        &format!(
            "{MADE} create table orders (id integer primary key, {}); {}",
            columns.join(", "),
            inserts.join("; ")
        ),
    );
    in_duckdb(&back, MADE);
    let chosen: Vec<String> = types
        .iter()
        .enumerate()
        .filter(|(_, of)| of.chosen)
        .map(|(index, _)| format!("c{index}"))
        .collect();
    journey.copy("duckdb:from.duckdb", LAKE, &chosen);
    journey.copy(LAKE, "duckdb:back.duckdb", &[]);

    let shown = |file: &std::path::Path, what: &str| {
        ask_duckdb(file, &format!("select {what} from d.main.orders order by id"))
    };
    for (index, of) in types.iter().enumerate() {
        // The text of a value is its own; that of a float says everything but which NaN it is.
        let what = match of.chosen {
            // Who chose text gets text.
            true => format!("c{index}::varchar"),
            false => format!("typeof(c{index}), c{index}::varchar"),
        };
        assert_eq!(shown(&from, &what), shown(&back, &what), "{}", of.declared);
    }
}

fn types() -> Vec<Type> {
    let of = |declared, value: BoxedStrategy<String>| Type {
        declared,
        value,
        chosen: false,
    };
    let chosen = |declared, value: BoxedStrategy<String>| Type {
        declared,
        value,
        chosen: true,
    };
    vec![
        of(
            "boolean",
            any::<bool>().prop_map(|value| value.to_string()).boxed(),
        ),
        of("tinyint", number::<i8>(&[i8::MIN, i8::MAX])),
        of("smallint", number::<i16>(&[i16::MIN, i16::MAX])),
        of("integer", number::<i32>(&[i32::MIN, i32::MAX])),
        of("bigint", number::<i64>(&[i64::MIN, i64::MAX])),
        of("utinyint", number::<u8>(&[u8::MAX])),
        of("usmallint", number::<u16>(&[u16::MAX])),
        of("uinteger", number::<u32>(&[u32::MAX])),
        of("ubigint", number::<u64>(&[u64::MAX])),
        chosen("hugeint", number::<i128>(&[i128::MIN, i128::MAX])),
        chosen("uhugeint", number::<u128>(&[u128::MAX])),
        chosen("bignum", text_of("-?[1-9][0-9]{0,60}")),
        of(
            "float",
            prop::num::f32::ANY
                .prop_map(|value| format!("'{value:?}'"))
                .boxed(),
        ),
        of("double", double()),
        of("decimal(4,4)", text_of("-?0[.][0-9]{4}")),
        of("decimal(18,3)", text_of("-?[0-9]{1,15}[.][0-9]{1,3}")),
        of("decimal(38,10)", text_of("-?[0-9]{1,28}[.][0-9]{1,10}")),
        of("decimal(38,0)", text_of("-?[0-9]{38}")),
        of("varchar", text()),
        of("blob", bytes()),
        of("bit", text_of("[01]{1,70}")),
        of("date", date()),
        of("time", time()),
        of(
            "time_ns",
            nanos().prop_map(|nanos| format!("'12:34:56.{nanos:09}'")).boxed(),
        ),
        of(
            "timetz",
            (time(), -15_i32..=15)
                .prop_map(|(time, zone)| format!("(({time})::time::varchar || '{zone:+03}')"))
                .boxed(),
        ),
        of("timestamp", timestamp()),
        of(
            "timestamp_s",
            (-60_000_000_000_i64..60_000_000_000)
                .prop_map(|seconds| format!("make_timestamp({seconds}::bigint * 1000000)::timestamp_s"))
                .boxed(),
        ),
        of(
            "timestamp_ms",
            any::<i32>()
                .prop_map(|millis| format!("epoch_ms({millis}::bigint * 1000)"))
                .boxed(),
        ),
        of(
            "timestamp_ns",
            (any::<i32>(), nanos())
                .prop_map(|(seconds, nanos)| {
                    format!("make_timestamp_ns({seconds}::bigint * 1000000000 + {nanos})")
                })
                .boxed(),
        ),
        of(
            "timestamptz",
            timestamp()
                .prop_map(|at| format!("({at})::timestamp::timestamptz"))
                .boxed(),
        ),
        of("interval", interval()),
        of(
            "uuid",
            any::<u128>()
                .prop_map(|value| format!("'{value:032x}'::uuid"))
                .boxed(),
        ),
        of("json", json()),
        of("mood", mood()),
        of("integer[]", list(number::<i32>(&[i32::MIN]))),
        of("double[]", list(double())),
        of("varchar[]", list(text())),
        of("varchar[][]", list(list(text()))),
        of("blob[]", list(bytes())),
        of("date[]", list(date())),
        of("timestamp[]", list(timestamp())),
        of(
            "uuid[]",
            list(
                any::<u128>()
                    .prop_map(|value| format!("'{value:032x}'::uuid"))
                    .boxed(),
            ),
        ),
        of("decimal(18,3)[]", list(text_of("-?[0-9]{1,15}[.][0-9]{1,3}"))),
        of("utinyint[]", list(number::<u8>(&[u8::MAX]))),
        of("ubigint[]", list(number::<u64>(&[u64::MAX]))),
        of("bigint[][][]", list(list(list(number::<i64>(&[i64::MIN]))))),
        of(
            "float[3]",
            prop::array::uniform3(prop::option::weighted(0.9, prop::num::f32::ANY))
                .prop_map(|values| {
                    let value = |value: &Option<f32>| {
                        value.map_or("null".to_owned(), |value| format!("'{value:?}'::float"))
                    };
                    let values: Vec<String> = values.iter().map(value).collect();
                    format!("[{}]", values.join(", "))
                })
                .boxed(),
        ),
        of("mood[]", list(mood())),
        of("interval[]", list(interval())),
        chosen("hugeint[]", list(number::<i128>(&[i128::MIN, i128::MAX]))),
        of(
            "struct(a integer, \"b c\" varchar, \"d\"\"\" double[])",
            (any::<i32>(), prop::option::of(text()), list(double()))
                .prop_map(|(a, b, d)| {
                    let b = b.unwrap_or_else(|| "null".to_owned());
                    format!("{{'a': {a}, 'b c': {b}::varchar, 'd\"': {d}::double[]}}")
                })
                .boxed(),
        ),
        of(
            "map(varchar, integer)",
            prop::collection::btree_map(
                text_of("[a-zA-Z0-9 ,={}\\[\\]\"]{0,6}"),
                prop::option::of(any::<i32>()),
                0..4,
            )
            .prop_map(|entries| {
                let entry = |(key, value): (&String, &Option<i32>)| {
                    format!(
                        "{key}: {}",
                        value.map_or("null".to_owned(), |value| value.to_string())
                    )
                };
                let entries: Vec<String> = entries.iter().map(entry).collect();
                format!("map {{{}}}", entries.join(", "))
            })
            .boxed(),
        ),
    ]
}

/// Any number, and often one at the edges.
fn number<T: Arbitrary<Strategy: 'static> + ToString + 'static>(edges: &[T]) -> BoxedStrategy<String> {
    let edges: Vec<String> = edges
        .iter()
        .map(ToString::to_string)
        .chain(["0".to_owned()])
        .collect();
    prop_oneof![
        4 => any::<T>().prop_map(|value| format!("'{}'", value.to_string())),
        1 => prop::sample::select(edges).prop_map(|value| format!("'{value}'")),
    ]
    .boxed()
}

fn double() -> BoxedStrategy<String> {
    prop::num::f64::ANY
        .prop_map(|value| format!("'{value:?}'::double"))
        .boxed()
}

fn text_of(pattern: &str) -> BoxedStrategy<String> {
    let texts = proptest::string::string_regex(pattern).expect("a pattern");
    texts.prop_map(|text| format!("'{text}'")).boxed()
}

fn text() -> BoxedStrategy<String> {
    let any = any::<String>().prop_map(|text| {
        // A statement cannot hold the letter 0.
        let parts: Vec<String> = text
            .split('\0')
            .map(|part| format!("'{}'", part.replace('\'', "''")))
            .collect();
        parts.join(" || chr(0) || ")
    });
    prop_oneof![
        9 => any,
        1 => prop::sample::select(vec!["'NULL'", "''", "'null'", "'[a, b]'", "'{''a'': 1}'", "chr(0)", "' a '"])
            .prop_map(str::to_owned),
    ]
    .prop_map(|text| format!("({text})"))
    .boxed()
}

fn bytes() -> BoxedStrategy<String> {
    prop::collection::vec(any::<u8>(), 0..40)
        .prop_map(|bytes| {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("unhex('{digits}')")
        })
        .boxed()
}

fn date() -> BoxedStrategy<String> {
    let edges = vec![
        "date 'infinity'",
        "date '-infinity'",
        "date '0044-03-15 (BC)'",
        "date '5881580-07-10'",
        "date '5877642-06-25 (BC)'",
    ];
    let day = (-2_400_000_i32..=2_000_000).prop_map(|day| format!("date '1970-01-01' + ({day})"));
    // What reaches beyond the years of a timestamp is a date all the same.
    prop_oneof![9 => day, 1 => prop::sample::select(edges).prop_map(str::to_owned)].boxed()
}

fn time() -> BoxedStrategy<String> {
    let micros =
        (0_i64..86_400_000_000).prop_map(|micros| format!("(time '00:00:00' + to_microseconds({micros}))"));
    prop_oneof![19 => micros, 1 => Just("time '24:00:00'".to_owned())].boxed()
}

fn timestamp() -> BoxedStrategy<String> {
    let edges = vec![
        "timestamp 'infinity'",
        "timestamp '-infinity'",
        "timestamp '290309-12-22 (BC) 00:00:00'",
        "timestamp '294247-01-10 04:00:54.775806'",
        "timestamp '1969-12-31 23:59:59.999999'",
    ];
    let micros = (-100_000_000_000_000_000_i64..100_000_000_000_000_000)
        .prop_map(|micros| format!("make_timestamp({micros})"));
    prop_oneof![9 => micros, 1 => prop::sample::select(edges).prop_map(str::to_owned)].boxed()
}

fn nanos() -> impl Strategy<Value = u32> {
    0_u32..1_000_000_000
}

fn interval() -> BoxedStrategy<String> {
    (-10_000_i32..10_000, -10_000_i32..10_000, any::<i32>())
        .prop_map(|(months, days, micros)| {
            format!("(to_months({months}) + to_days({days}) + to_microseconds({micros}))")
        })
        .boxed()
}

fn json() -> BoxedStrategy<String> {
    let object = (text(), any::<i64>()).prop_map(|(text, number)| {
        format!("json_object('k', replace({text}, chr(0), ''), 'n', {number}::bigint, 'l', [null, 1.0])")
    });
    prop_oneof![9 => object, 1 => Just("'null'::json".to_owned()), 1 => Just("'{\"a\" :  1, \"a\": 2}'::json".to_owned())].boxed()
}

fn mood() -> BoxedStrategy<String> {
    prop::sample::select(vec!["'sad'", "'it''s \"ok\"'", "''", "'NULL'"])
        .prop_map(str::to_owned)
        .boxed()
}

fn list(element: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop::collection::vec(prop::option::weighted(0.9, element), 0..4)
        .prop_map(|values| {
            let values: Vec<String> = values
                .into_iter()
                .map(|value| value.unwrap_or_else(|| "null".to_owned()))
                .collect();
            format!("[{}]", values.join(", "))
        })
        .boxed()
}
