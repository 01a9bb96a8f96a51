//! Any value of any type arrives as it is: what MySQL compares with what arrived says that they are equal.

use std::fmt::Write;

use mysql::prelude::Queryable;
use pintail_lake::Call;
use pintail_model::Range;
use pintail_testkit::conformance::{Attached, Fixture};

use super::fixture::MySqlFixture;

const ROWS: usize = 300;

/// A column: how it is declared, a value for it, and the expression of DuckDB that writes a value so that MySQL reads it
/// in `hex` or as it is.
struct Kind {
    declared: &'static str,
    value: fn(&mut fastrand::Rng) -> String,
    /// The value as MySQL shows it.
    in_mysql: &'static str,
    /// The value as DuckDB shows it, in the same words.
    in_engine: &'static str,
}

fn integer(low: i128, high: i128) -> impl Fn(&mut fastrand::Rng) -> String {
    move |random| {
        let edges = [low, low + 1, 0.max(low), 1, high - 1, high];
        match random.u8(0..3) {
            0 => edges[random.usize(0..edges.len())].to_string(),
            _ => random.i128(low..=high).to_string(),
        }
    }
}

fn text(random: &mut fastrand::Rng) -> String {
    let letters = [
        'a', 'A', 'ß', '数', '🦆', '\'', '"', '\\', ' ', '\n', '\0', '%', '\u{7f}', 'é',
    ];
    let length = random.usize(0..12);
    let text: String = (0..length)
        .map(|_| letters[random.usize(0..letters.len())])
        .collect();
    hex(text.as_bytes())
}

fn bytes(random: &mut fastrand::Rng) -> String {
    let bytes: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    format!("x'{digits}'")
}

fn decimal(random: &mut fastrand::Rng, before: usize, after: usize) -> String {
    let digits = |random: &mut fastrand::Rng, count: usize| -> String {
        (0..count).map(|_| random.digit(10)).collect()
    };
    let (whole, part) = (random.usize(0..=before), random.usize(0..=after));
    let sign = if random.bool() { "-" } else { "" };
    format!("{sign}0{}.{}0", digits(random, whole), digits(random, part))
}

fn date(random: &mut fastrand::Rng) -> String {
    let year = [1, 999, 1000, 1969, 1970, 2024, 9999][random.usize(0..7)];
    format!("{year:04}-{:02}-{:02}", random.u8(1..13), random.u8(1..29))
}

fn time(random: &mut fastrand::Rng) -> String {
    let micros = [0, 1, 999_999, random.u32(0..1_000_000)][random.usize(0..4)];
    format!(
        "{:02}:{:02}:{:02}.{micros:06}",
        random.u8(0..24),
        random.u8(0..60),
        random.u8(0..60)
    )
}

const KINDS: &[Kind] = &[
    Kind {
        declared: "tinyint(1)",
        value: |random| integer(-128, 127)(random),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "smallint unsigned",
        value: |random| integer(0, 65_535)(random),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "mediumint",
        value: |random| integer(-8_388_608, 8_388_607)(random),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "bigint",
        value: |random| integer(i128::from(i64::MIN), i128::from(i64::MAX))(random),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "bigint unsigned",
        value: |random| integer(0, i128::from(u64::MAX))(random),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "decimal(38,10)",
        value: |random| decimal(random, 28, 10),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "decimal(9,0)",
        value: |random| decimal(random, 9, 0),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "varchar(40) character set utf8mb4",
        value: text,
        in_mysql: "hex({})",
        in_engine: "hex(encode({}))",
    },
    Kind {
        declared: "longtext collate utf8mb4_bin",
        value: text,
        in_mysql: "hex({})",
        in_engine: "hex(encode({}))",
    },
    Kind {
        declared: "blob",
        value: bytes,
        in_mysql: "hex({})",
        in_engine: "hex({})",
    },
    Kind {
        declared: "bit(33)",
        value: |random| integer(0, (1 << 33) - 1)(random),
        in_mysql: "lpad(hex({}), 10, '0')",
        in_engine: "hex({})",
    },
    Kind {
        declared: "date",
        value: |random| format!("'{}'", date(random)),
        in_mysql: "{}",
        in_engine: "{}::varchar",
    },
    Kind {
        declared: "datetime(6)",
        value: |random| format!("'{} {}'", date(random), time(random)),
        in_mysql: "{}",
        in_engine: "strftime({}, '%Y-%m-%d %H:%M:%S.%f')",
    },
    Kind {
        declared: "time(6)",
        value: |random| format!("'{}'", time(random)),
        in_mysql: "{}",
        in_engine: "strftime(date '2000-01-01' + {}, '%H:%M:%S.%f')",
    },
];

#[test]
fn any_value_of_any_type_arrives_as_it_is() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let fixture = MySqlFixture::new();
    let columns: Vec<String> = KINDS
        .iter()
        .enumerate()
        .map(|(index, kind)| format!("c{index} {}", kind.declared))
        .collect();
    fixture.execute(&format!(
        "create table anything (id int primary key, {})",
        columns.join(", ")
    ));
    let rows: Vec<String> = (0..ROWS)
        .map(|id| {
            let values: Vec<String> = KINDS
                .iter()
                .map(|kind| match random.u8(0..10) {
                    0 => "null".to_owned(),
                    _ => (kind.value)(&mut random),
                })
                .collect();
            format!("({id}, {})", values.join(", "))
        })
        .collect();
    fixture.execute(&format!("insert into anything values {}", rows.join(", ")));

    let list = |form: fn(&Kind) -> &'static str| -> String {
        let shown = KINDS
            .iter()
            .enumerate()
            .map(|(index, kind)| form(kind).replace("{}", &format!("c{index}")));
        shown.collect::<Vec<_>>().join(", ")
    };
    let sql = format!("select {} from anything order by id", list(|kind| kind.in_mysql));
    let expected: Vec<mysql::Row> = fixture.database().client().query(sql).unwrap();

    let attached = Attached::new(fixture.connector());
    for range in [Range::Whole, all("id")] {
        let request = attached.request("anything", range);
        let scan = attached.connector().scan("outside", &request).sql;
        let sql = format!("select {} from ({scan}) order by id", list(|kind| kind.in_engine));
        let read = attached
            .reading(|session| session.query(Call::new("read anything"), &sql))
            .unwrap();
        assert_eq!(read.len(), expected.len());
        for (id, (read, expected)) in read.iter().zip(&expected).enumerate() {
            for (index, kind) in KINDS.iter().enumerate() {
                let expected: Option<String> = expected.get(index).unwrap();
                assert_eq!(
                    read.text(index).map(str::to_owned),
                    expected,
                    "seed {seed}, row {id}, `{}`",
                    kind.declared
                );
            }
        }
    }
}

fn all(column: &str) -> Range {
    Range::Key {
        column: column.to_owned(),
        low: Some(0),
        high: None,
        with_null: false,
    }
}
