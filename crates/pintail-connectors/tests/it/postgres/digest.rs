//! Digests that Postgres takes of its rows are those that the engine takes of them, and no others.

use std::collections::{BTreeMap, BTreeSet};

use pintail_lake::connector::{ColumnRead, ScanRequest};
use pintail_lake::digest::{DigestLeaves, DigestRequest};
use pintail_lake::{Call, Session};
use pintail_model::{LogicalType, Range};
use pintail_testkit::conformance::{Attached, Fixture, read_as};

use super::fixture::{PostgresFixture, connect};

/// As the conformance suite attaches.
const ALIAS: &str = "outside";

type Sums = BTreeMap<Option<i64>, (i64, i128)>;

fn sums(session: &Session, sql: &str) -> Sums {
    let rows = session
        .query(Call::new("sum up a table"), sql)
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let sum = |row: &pintail_lake::Row| {
        let number = row.integer(1).expect("a number of rows");
        (row.integer(0), (number, row.wide(2).expect("a sum")))
    };
    rows.iter().map(sum).collect()
}

fn leaf_a_key(key: &ColumnRead) -> DigestLeaves {
    DigestLeaves::Ranges {
        key: Box::new(key.clone()),
        width: 1,
    }
}

/// What Postgres and the engine say of the same rows.
fn both(attached: &Attached, request: &ScanRequest, leaves: &DigestLeaves) -> (Sums, Sums) {
    let digest = attached.connector().digest(
        ALIAS,
        &DigestRequest {
            relation: request.relation.clone(),
            columns: request.columns.clone(),
            leaves: leaves.clone(),
        },
    );
    let digest = digest.unwrap_or_else(|reason| panic!("{reason}"));
    let names: Vec<&str> = request
        .columns
        .iter()
        .map(|read| read.column.name.as_str())
        .collect();
    let rows = format!("({})", attached.connector().scan(ALIAS, request).sql);
    attached.reading(|session| {
        (
            sums(session, &digest.sql),
            sums(session, &leaves.sums(&rows, &names)),
        )
    })
}

#[test]
fn both_sides_take_one_digest_of_every_value() {
    let fixture = PostgresFixture::new();
    let samples = fixture.samples();
    let (lists, values): (Vec<_>, Vec<_>) = samples
        .iter()
        .enumerate()
        .partition(|(_, sample)| matches!(sample.home, LogicalType::List { .. }));
    for (number, sample) in samples.iter().enumerate() {
        let values: Vec<String> = sample
            .values
            .iter()
            .enumerate()
            .map(|(index, (literal, _))| format!("({index}, {literal})"))
            .collect();
        fixture.execute(&format!(
            "create table digest_{number} (id integer primary key, v {}); insert into digest_{number} values (-1, null), {}",
            sample.declared,
            values.join(", ")
        ));
    }
    let attached = Attached::new(fixture.connector());
    for (number, sample) in &values {
        let request = attached.request(&format!("digest_{number}"), Range::Whole);
        let (theirs, ours) = both(&attached, &request, &leaf_a_key(&request.columns[0]));
        assert_eq!(theirs, ours, "{}", sample.declared);
        assert_eq!(theirs.len(), sample.values.len() + 1, "{}", sample.declared);
    }
    assert!(values.len() > 30, "{} types have values", values.len());
    for (number, sample) in &lists {
        let request = attached.request(&format!("digest_{number}"), Range::Whole);
        let reason = attached.connector().digest(
            ALIAS,
            &DigestRequest {
                relation: request.relation.clone(),
                leaves: leaf_a_key(&request.columns[0]),
                columns: request.columns,
            },
        );
        let reason = reason.expect_err("arrays have no common form");
        assert!(
            reason.contains("no common form of `v`"),
            "{}: {reason}",
            sample.declared
        );
    }
}

#[test]
fn values_are_read_as_the_destination_has_them() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table widened (id smallint primary key, number integer, amount numeric(6,1), ratio real); \
         insert into widened values (1, -7, 12.5, 'nan'), (2, 2147483647, -0.1, 0.1), (3, 0, 0, '-0'), (4, null, null, null)",
    );
    let attached = Attached::new(fixture.connector());
    let mut request = attached.request("widened", Range::Whole);
    let decimal = |precision, scale| LogicalType::Decimal { precision, scale };
    for (index, wanted) in [
        LogicalType::Int64,
        decimal(20, 3),
        decimal(38, 9),
        LogicalType::Float64,
    ]
    .into_iter()
    .enumerate()
    {
        request.columns[index] = read_as(request.columns[index].source.clone(), wanted);
    }
    let (theirs, ours) = both(&attached, &request, &leaf_a_key(&request.columns[0]));
    assert_eq!(theirs, ours);
    assert_eq!(theirs.len(), 4);
}

#[test]
fn different_rows_have_different_digests() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table framed (id integer primary key, a text, b text, f double precision); \
         insert into framed values (1, 'ab', 'c', 0), (2, 'a', 'bc', 0), (3, null, '', 0), (4, '', null, 0), \
         (5, 'ab', 'c', '-0'), (6, E'\\u00e9', '', 0), (7, E'e\\u0301', '', 0), (8, 'AB', 'c', 0), (9, 'ab ', 'c', 0), \
         (10, '', '', 0), (11, null, null, 0)",
    );
    let attached = Attached::new(fixture.connector());
    let request = attached.request("framed", Range::Whole);
    // Without the key, which is not the same in any two rows.
    let values = ScanRequest {
        columns: request.columns[1..].to_vec(),
        ..request.clone()
    };
    let digest = attached.connector().digest(
        ALIAS,
        &DigestRequest {
            relation: values.relation.clone(),
            columns: values.columns.clone(),
            leaves: leaf_a_key(&request.columns[0]),
        },
    );
    let found = attached.reading(|session| sums(session, &digest.expect("a digest").sql));
    let digests: BTreeSet<i128> = found.values().map(|(_, digest)| *digest).collect();
    assert_eq!((found.len(), digests.len()), (11, 11));
}

#[test]
fn leaves_are_the_same_on_both_sides_and_can_be_read_alone() {
    let fixture = PostgresFixture::new();
    fixture.execute(
        "create table keyed (id bigint primary key, name text collate \"und-x-icu\" not null unique, n integer); \
         insert into keyed select i * 7, 'Näme ' || i, i from generate_series(-300, 300) as i; \
         insert into keyed values (9223372036854775807, 'last', 0), (-9223372036854775808, 'first', 0)",
    );
    let attached = Attached::new(fixture.connector());
    let request = attached.request("keyed", Range::Whole);
    let whole = format!("({})", attached.connector().scan(ALIAS, &request).sql);
    for leaves in [
        DigestLeaves::Ranges {
            key: Box::new(request.columns[0].clone()),
            width: 40,
        },
        // So wide that hardly any neighbours are together in a list of ranges.
        DigestLeaves::Ranges {
            key: Box::new(request.columns[0].clone()),
            width: 3,
        },
        DigestLeaves::Buckets {
            key: request.columns[1..2].to_vec(),
            bits: 5,
        },
        DigestLeaves::Buckets {
            key: request.columns[0..2].to_vec(),
            bits: 1,
        },
    ] {
        let (theirs, ours) = both(&attached, &request, &leaves);
        assert_eq!(theirs, ours, "{leaves:?}");
        let every = |nth: usize| {
            theirs
                .keys()
                .flatten()
                .copied()
                .step_by(nth)
                .collect::<Vec<i64>>()
        };
        for wanted in [every(1), every(2), every(7), vec![0], vec![0, 1], vec![-1, 0]] {
            let scan = attached
                .connector()
                .scan_leaves(ALIAS, &request, &leaves, &wanted)
                .expect("a scan of leaves");
            let read = attached.reading(|session| {
                let there = leaves.rows_of(&whole, &wanted);
                let differing = format!(
                    "select count(*), (select count(*) from {there}) from (from ({0}) except all from {there}) \
                     union all select count(*), 0 from (from {there} except all from ({0}))",
                    scan.sql
                );
                session.query(Call::new("compare"), &differing).expect("both sides")
            });
            let number = |row: usize, index| read[row].integer(index);
            let rows: i64 = theirs
                .iter()
                .filter(|(leaf, _)| leaf.is_some_and(|leaf| wanted.contains(&leaf)))
                .map(|(_, (rows, _))| rows)
                .sum();
            assert_eq!(
                (number(0, 0), number(1, 0), number(0, 1)),
                (Some(0), Some(0), Some(rows)),
                "{leaves:?}: {wanted:?}"
            );
        }
    }
}

#[test]
fn the_statement_is_plain_to_read() {
    let fixture = PostgresFixture::new();
    fixture
        .execute("create table plain (id bigint primary key, note text, paid numeric(12,2), at timestamptz)");
    let request = Attached::new(fixture.connector()).request("plain", Range::Whole);
    let digest = connect("postgres://sync@db/erp").digest(
        "source",
        &DigestRequest {
            relation: request.relation.clone(),
            leaves: DigestLeaves::Ranges {
                key: Box::new(request.columns[0].clone()),
                width: 64,
            },
            columns: request.columns,
        },
    );
    insta::assert_snapshot!(digest.expect("a digest").pushed_down, @r#"select leaf, count(*) as rows, sum(digest)::text as digests from (select ("id"::bigint / '64'::bigint) as leaf, ('x' || left(md5(record_send(row("id"::bigint, "note"::text, "paid"::numeric(12,2), "at"::timestamptz))), 16))::bit(64)::bigint as digest from "public"."plain" offset 0) as r group by leaf"#);
}
