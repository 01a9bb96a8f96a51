//! The tap sees every row once, whatever its types, NULLs and number of threads.

use pintail_lake::tap::{GivenKey, KeyLeaves};
use pintail_lake::{Call, Engine, EngineSettings};
use pintail_model::checksum::{Class, SEED, bytes_word, fold, fold_null};
use pintail_model::{Checksum, LeafChecksums};

fn tapped(select: &str, columns: &[&str], leaf: Option<&str>) -> LeafChecksums {
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let tap = engine.tap();
    let session = engine.session().unwrap();
    let sql = format!(
        "select count(*) from ({select}) as rows where {}",
        tap.filter(leaf, columns)
    );
    let rows = session.query(Call::new("tap"), &sql).unwrap()[0]
        .integer(0)
        .unwrap();
    assert_eq!(tap.rows(), rows.cast_unsigned());
    tap.checksums()
}

#[test]
fn a_tap_agrees_with_the_published_function() {
    let sums = tapped(
        "select 42::bigint as a, 'pintail and a longer text' as b, null::integer as c",
        &["a", "b", "c"],
        Some("7"),
    );
    let hash = fold(SEED, Class::Integer, 42);
    let hash = fold_null(fold(hash, Class::Text, bytes_word(b"pintail and a longer text")));
    let mut expected = Checksum::default();
    expected.add(hash);
    assert_eq!(sums.0.get(&7), Some(&expected));
}

#[test]
fn every_type_of_our_list_is_hashed() {
    let types = [
        "true",
        "1::smallint",
        "1::integer",
        "1::bigint",
        "1.5::float",
        "1.5::double",
        "1.5::decimal(4,2)",
        "1.5::decimal(9,2)",
        "1.5::decimal(18,2)",
        "1.5::decimal(38,2)",
        "'a'",
        "'\\x00'::blob",
        "'2024-01-02'::date",
        "'01:02:03'::time",
        "'2024-01-02 03:04:05'::timestamp",
        "'2024-01-02 03:04:05+00'::timestamptz",
        "'{}'::json",
        "'7c9e6679-7425-40de-944b-e07fc1f90ae7'::uuid",
        "1::tinyint",
        "1::utinyint",
        "1::usmallint",
        "1::uinteger",
        "1::ubigint",
        "18446744073709551615::ubigint",
        "-1::bigint",
        "[1]",
        "['a']",
        "[[1]]",
    ];
    let mut seen = std::collections::HashSet::new();
    for value in types {
        let sums = tapped(&format!("select {value} as a"), &["a"], None);
        assert_eq!(sums.total().rows, 1, "{value}");
        seen.insert(sums.total().sum);
    }
    // Decimals of different precision are the same number, and 1 is 1 in every integer type; floats agree too.
    assert_eq!(seen.len(), types.len() - 3 - 7 - 1);
}

#[test]
fn lists_are_framed() {
    let lists = [
        "null::integer[][]",
        "[]::integer[][]",
        "[null]::integer[][]",
        "[null, null]::integer[][]",
        "[[]]::integer[][]",
        "[[], []]::integer[][]",
        "[[null]]::integer[][]",
        "[[1], [2]]",
        "[[1, 2]]",
        "[[1, 2], []]",
        "[[], [1, 2]]",
        "[[2], [1]]",
        "[[1], null, [2]]",
    ];
    let sum = |value: &str| {
        tapped(&format!("select {value} as a, 7 as b"), &["a", "b"], None)
            .total()
            .sum
    };
    let seen: std::collections::HashSet<u64> = lists.iter().map(|list| sum(list)).collect();
    assert_eq!(seen.len(), lists.len());
    assert_eq!(sum("[1, 2]::integer[]"), sum("[1, 2]::bigint[]"));
    let hash = fold(SEED, Class::List, 2);
    let hash = fold_null(fold(hash, Class::Text, bytes_word(b"ab")));
    let mut expected = Checksum::default();
    expected.add(hash);
    assert_eq!(tapped("select ['ab', null] as a", &["a"], None).total(), expected);
}

#[test]
fn lists_hash_alike_however_the_engine_holds_them() {
    let list = "[id, null, id % 3]::bigint[]";
    let columns = ["id", "l"];
    let plain = tapped(
        &format!("select id, {list} as l from range(5000) as r(id)"),
        &columns,
        Some("id // 100"),
    );
    for select in [
        // A dictionary, a filter's selection, a lambda's result and rows that were sorted.
        format!(
            "select id, l from range(5000) as r(id) join (select id as k, {list} as l from range(5000) as r(id)) on k = id"
        ),
        format!("select * from (select id, {list} as l from range(9000) as r(id)) where id < 5000"),
        "select id, list_transform([id, null, id % 3], lambda x: x + 0) as l from range(5000) as r(id)"
            .to_owned(),
        format!("select id, {list} as l from range(5000) as r(id) order by id desc"),
    ] {
        assert_eq!(tapped(&select, &columns, Some("id // 100")), plain, "{select}");
    }
}

#[test]
fn order_and_threads_do_not_matter() {
    let columns = ["id", "t", "d"];
    let select = |order: &str| {
        format!("select id, 't' || id as t, (id / 7)::decimal(12,2) as d from range(300000) as r(id) {order}")
    };
    let ascending = tapped(&select("order by id"), &columns, Some("id // 4096"));
    assert_eq!(
        ascending,
        tapped(&select("order by id desc"), &columns, Some("id // 4096"))
    );
    assert_eq!(ascending, tapped(&select(""), &columns, Some("id // 4096")));
    assert_eq!(ascending.0.len(), 74);
    let other = tapped(
        "select id, 't' || id as t, (id / 7)::decimal(12,2) as d from range(1, 300001) as r(id)",
        &columns,
        Some("id // 4096"),
    );
    assert_eq!(ascending.mismatches(&other), [0, 73]);
}

#[test]
fn rows_that_a_join_or_another_filter_takes_away_are_not_seen() {
    for leaf in [None, Some("id"), Some("id // 10")] {
        let seen = |from: &str| {
            tapped(
                &format!("select id, 'x' || id as note from {from}"),
                &["id", "note"],
                leaf,
            )
            .total()
            .rows
        };
        assert_eq!(
            seen("range(1000) as r(id) semi join (values (1), (7)) as k(id) using (id)"),
            2
        );
        assert_eq!(
            seen("range(1000) as r(id) anti join (values (1), (7)) as k(id) using (id)"),
            998
        );
        assert_eq!(seen("range(1000) as r(id) where id % 3 = 0 and id < 30"), 10);
        assert_eq!(
            seen("(select id::varchar::bigint as id from range(1000) as r(id)) where id between 5 and 8"),
            4
        );
    }
}

#[test]
fn keys_fall_into_the_leaves_that_the_engine_works_out() {
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let session = engine.session().unwrap();
    let around = |at: i64| (-3..=3).map(move |by| at.saturating_add(by));
    let ends = [i64::MIN, i64::MIN + 4, i64::MAX - 4, i64::MAX];
    for (width, first, last) in [
        (1, -2, 2),
        (7, -3, 5),
        (7, 0, 9),
        (7, 2, 2),
        (i64::MAX, -1, 1),
        (3, i64::MIN, i64::MAX),
    ] {
        let inner = (-6_i64..=10).flat_map(|leaf| around(leaf.saturating_mul(width)));
        let keys: Vec<String> = inner.chain(ends).map(|key| key.to_string()).collect();
        let rows = format!("(select unnest([{}]::bigint[]) as k)", keys.join(","));
        let leaves = KeyLeaves { width, first, last };
        let given = engine.sketching_tap(GivenKey::Integer(Some(leaves)));
        let plain = engine.tap();
        let leaf = format!("greatest(least(k // {width}, {last}), {first})");
        for (tap, given) in [(&given, "k"), (&plain, leaf.as_str())] {
            let sql = format!(
                "select count(*) from {rows} where {}",
                tap.filter(Some(given), &["k"])
            );
            session.query(Call::new("tap"), &sql).unwrap();
        }
        assert_eq!(given.checksums(), plain.checksums(), "{leaves:?}");
    }
}
