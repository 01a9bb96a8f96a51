//! Random values of Postgres, as expressions of its SQL.

use proptest::prelude::*;

/// How a value is shown, so that both sides show it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As text.
    Text,
    /// As a number of single precision, compared bit by bit.
    Single,
    /// As one of double precision.
    Double,
    /// As text, with the mark of years before Christ at its end.
    Time,
    /// As hexadecimal digits.
    Bytes,
    /// As JSON of the texts of its elements, which are shown as said.
    List(&'static Shown),
}

/// A type, and values of it.
pub(super) struct Type {
    pub(super) declared: &'static str,
    pub(super) shown: Shown,
    pub(super) value: BoxedStrategy<String>,
}

fn of(declared: &'static str, shown: Shown, value: impl Strategy<Value = String> + 'static) -> Type {
    Type {
        declared,
        shown,
        value: value.boxed(),
    }
}

pub(super) fn types() -> Vec<Type> {
    use Shown::{Bytes, Double, List, Single, Text, Time};
    vec![
        of("boolean", Text, any::<bool>().prop_map(|value| value.to_string())),
        of("smallint", Text, any::<i16>().prop_map(|value| value.to_string())),
        of("integer", Text, any::<i32>().prop_map(|value| value.to_string())),
        of(
            "bigint",
            Text,
            any::<i64>().prop_map(|value| format!("'{value}'")),
        ),
        of(
            "real",
            Single,
            prop::num::f32::ANY.prop_map(|value| format!("'{value:?}'")),
        ),
        of(
            "double precision",
            Double,
            prop::num::f64::ANY.prop_map(|value| format!("'{value:?}'")),
        ),
        of("numeric(12,2)", Text, number(10, 2)),
        of("numeric(38,10)", Text, number(28, 10)),
        of("text", Text, text()),
        of("bytea", Bytes, bytes()),
        of("date", Time, date()),
        of("time", Text, time()),
        of("timestamp", Time, timestamp()),
        of(
            "timestamptz",
            Time,
            timestamp().prop_map(|value| format!("{value} at time zone 'UTC'")),
        ),
        of("uuid", Text, uuid()),
        of("json", Text, json()),
        of("jsonb", Text, json()),
        of("interval", Text, interval()),
        of(
            "timetz",
            Text,
            (time(), -15_i32..=15)
                .prop_map(|(time, zone)| format!("(({time})::text || '{zone:+03}')::timetz")),
        ),
        of(
            "inet",
            Text,
            any::<u32>().prop_map(|value| format!("'0.0.0.0'::inet + {value}")),
        ),
        of(
            "bit varying",
            Text,
            "[01]{0,70}".prop_map(|value| format!("'{value}'")),
        ),
        of(
            "int4range",
            Text,
            any::<(i16, u16)>().prop_map(|(low, length)| format!("int4range({low}, {low} + {length}, '[]')")),
        ),
        of(
            "mood",
            Text,
            prop_oneof![Just("'sad'".to_owned()), Just("'ok'".to_owned())],
        ),
        of(
            "pair",
            Text,
            (any::<i32>(), text()).prop_map(|(a, b)| format!("row({a}, {b})")),
        ),
        of("amount", Text, number(10, 2)),
        of(
            "boolean[]",
            List(&Text),
            array("boolean", any::<bool>().prop_map(|value| value.to_string())),
        ),
        of(
            "integer[]",
            List(&Text),
            array("integer", any::<i32>().prop_map(|value| value.to_string())),
        ),
        of(
            "double precision[]",
            List(&Double),
            array(
                "double precision",
                prop::num::f64::ANY.prop_map(|value| format!("'{value:?}'")),
            ),
        ),
        of(
            "numeric(12,2)[]",
            List(&Text),
            array("numeric(12,2)", number(10, 2)),
        ),
        of("text[]", List(&Text), array("text", text())),
        of("bytea[]", List(&Bytes), array("bytea", bytes())),
        of("date[]", List(&Time), array("date", date())),
        of(
            "timestamptz[]",
            List(&Time),
            array(
                "timestamptz",
                timestamp().prop_map(|value| format!("{value} at time zone 'UTC'")),
            ),
        ),
        of("uuid[]", List(&Text), array("uuid", uuid())),
        of("interval[]", Text, array("interval", interval())),
    ]
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn number(whole: usize, fraction: usize) -> impl Strategy<Value = String> {
    let digits = format!("-?[0-9]{{1,{whole}}}[.][0-9]{{1,{fraction}}}");
    proptest::string::string_regex(&digits)
        .expect("a pattern")
        .prop_map(|value| format!("'{value}'"))
}

fn text() -> impl Strategy<Value = String> {
    let any = any::<String>().prop_map(|text| text.replace('\0', ""));
    prop_oneof![9 => any, 1 => Just("NULL".to_owned()), 1 => Just(String::new())]
        .prop_map(|text| quoted(&text))
}

fn bytes() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(r"'\x{digits}'::bytea")
    })
}

/// From 4700 BC to the year 7445, and the ends of time.
fn date() -> impl Strategy<Value = String> {
    let day = (-2_400_000_i32..=2_000_000).prop_map(|day| format!("date '1970-01-01' + {day}"));
    prop_oneof![18 => day, 1 => Just("date 'infinity'".to_owned()), 1 => Just("date '-infinity'".to_owned())]
}

fn time() -> impl Strategy<Value = String> {
    let micros = (0_i64..86_400_000_000).prop_map(|micros| {
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("time '{hour:02}:{minute:02}:{second:02}.{rest:06}'")
    });
    prop_oneof![19 => micros, 1 => Just("time '24:00:00'".to_owned())]
}

fn timestamp() -> impl Strategy<Value = String> {
    let finite = (-2_400_000_i32..=2_000_000, time())
        .prop_map(|(day, time)| format!("(date '1970-01-01' + {day} + {time})"));
    prop_oneof![
        18 => finite,
        1 => Just("timestamp 'infinity'".to_owned()),
        1 => Just("timestamp '-infinity'".to_owned()),
    ]
}

fn uuid() -> impl Strategy<Value = String> {
    any::<u128>().prop_map(|value| format!("'{value:032x}'::uuid"))
}

fn json() -> impl Strategy<Value = String> {
    let object = (text(), any::<i64>()).prop_map(|(text, number)| {
        format!("json_build_object({text}::text || 'k', '{number}'::bigint, 'b', array[{text}, null])")
    });
    prop_oneof![9 => object, 1 => Just("'null'::json".to_owned())]
}

fn interval() -> impl Strategy<Value = String> {
    (-10_000_i32..10_000, -10_000_i32..10_000, any::<i32>()).prop_map(|(months, days, micros)| {
        format!("interval '{months} months {days} days {micros} microseconds'")
    })
}

fn array(element: &'static str, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::option::weighted(0.9, value), 0..5).prop_map(move |values| {
        let values: Vec<String> = values
            .into_iter()
            .map(|value| value.unwrap_or_else(|| "null".to_owned()))
            .map(|value| format!("({value})::{element}"))
            .collect();
        format!("array[{}]::{element}[]", values.join(", "))
    })
}
