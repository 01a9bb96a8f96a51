//! Tables of Postgres.

use pintail_model::Range;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{PartitionSpec, StepUnit};
use pintail_sync::{PipelinePlan, StopSignal, SyncRequest, Unwatched};

use crate::postgres::Copy;

/// A full load of the table `orders`, cut by columns of it.
struct Cut<'a> {
    copy: Copy<'a>,
    by: &'static [&'static str],
    step: Option<(u64, StepUnit)>,
    partitions: Option<u32>,
}

impl Cut<'_> {
    fn new(statements: &str, by: &'static [&'static str]) -> Self {
        Self {
            copy: Copy::new(&format!("{statements}; analyze orders")),
            by,
            step: None,
            partitions: None,
        }
    }

    fn request(&self) -> SyncRequest {
        let mut request = self.copy.request();
        request.partitions = self.partitions;
        request.strategy = Some("full".to_owned());
        request.spec.strategies[0].primary_partitions = self
            .by
            .iter()
            .map(|column| PartitionSpec {
                column: (*column).to_owned(),
                step: self.step.map(|(step, _)| step),
                step_unit: self.step.map_or(StepUnit::Second, |(_, unit)| unit),
                data_type: None,
                bounded: false,
            })
            .collect();
        request
    }

    /// Loads the table, and makes sure that all of it arrived.
    #[track_caller]
    fn check(&self) -> PipelinePlan {
        let plan = pintail_sync::plan(&self.request()).unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let report = pintail_sync::run(&self.request(), &Unwatched, &StopSignal::new())
            .unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let rows: i64 = self
            .copy
            .database
            .client()
            .query_one("select count(*) from orders", &[])
            .expect("a count")
            .get(0);
        let rows = u64::try_from(rows).expect("a count");
        assert_eq!(
            (
                report.rows_inserted,
                report.parity.status,
                report.partitions_total
            ),
            (rows, ParityStatus::Ok, plan.partitions.len() as u64)
        );
        plan
    }

    /// Rows of each partition, as they really are.
    fn sizes(&self, plan: &PipelinePlan) -> Vec<u64> {
        let report = pintail_sync::run(&self.request(), &Unwatched, &StopSignal::new())
            .unwrap_or_else(|error| panic!("{error}: {error:?}"));
        assert_eq!(report.partition_times.len(), plan.partitions.len());
        report.partition_times.iter().map(|time| time.rows).collect()
    }
}

const ROWS: &str = "from generate_series(1, 20000) as ids (i)";

#[test]
fn texts_are_cut_by_their_bytes_and_are_not_shown() {
    let cut = Cut::new(
        &format!(
            "create table orders (id text primary key, item text);
             insert into orders select (array['Ärger ', 'zebra', 'it''s \\', 'Z', 'a ', ''])[1 + i % 6] || md5(i::text), i {ROWS}"
        ),
        &["id"],
    );
    let plan = cut.check();
    assert_eq!(plan.partitions.len(), 8);
    let sizes = cut.sizes(&plan);
    assert!(
        sizes.iter().all(|rows| (1_000..5_000).contains(rows)),
        "{sizes:?}"
    );
    let shown = format!("{plan}{}", serde_json::to_string(&plan).expect("a plan is JSON"));
    assert!(shown.contains("collate \\\"C\\\" >= '…'"), "{shown}");
    for partition in &plan.partitions {
        let Range::Keys { low: Some(low), .. } = &partition.range else {
            continue;
        };
        let pintail_model::KeyValue::Text(text) = &low[0] else {
            panic!("a text");
        };
        assert!(!shown.contains(text.as_str()), "{text} is shown");
    }
}

#[test]
fn uuids_are_cut() {
    let cut = Cut::new(
        &format!(
            "create table orders (id uuid primary key, item text);
             insert into orders select md5(i::text)::uuid, i {ROWS}"
        ),
        &["id"],
    );
    let plan = cut.check();
    assert_eq!(plan.partitions.len(), 8);
    let sizes = cut.sizes(&plan);
    assert!(
        sizes.iter().all(|rows| (1_000..5_000).contains(rows)),
        "{sizes:?}"
    );
}

#[test]
fn a_key_of_several_columns_is_cut_also_where_the_first_says_little() {
    let mut cut = Cut::new(
        &format!(
            "create table orders (tenant text, day date, id integer, primary key (tenant, day, id));
             insert into orders select case when i % 10 = 0 then 'small' else 'large' end, date '2024-01-01' + i % 90, i {ROWS}"
        ),
        &["tenant", "day", "id"],
    );
    cut.partitions = Some(10);
    let plan = cut.check();
    assert_eq!(plan.partitions.len(), 10);
    let sizes = cut.sizes(&plan);
    assert!(
        sizes.iter().all(|rows| (1_000..4_000).contains(rows)),
        "{sizes:?}"
    );
}

#[test]
fn times_are_cut_by_calendar_months_with_all_that_lies_beyond() {
    let mut cut = Cut::new(
        &format!(
            "create table orders (id bigint, placed_at timestamptz);
             insert into orders select i, case when i % 100 = 0 then null when i % 101 = 0 then 'infinity'
                 when i % 103 = 0 then '-infinity' else timestamptz '2023-01-15' + i * interval '30 minutes' end {ROWS}"
        ),
        &["placed_at"],
    );
    cut.step = Some((1, StepUnit::Month));
    let plan = cut.check();
    assert_eq!(plan.partitions.len(), 15);
    assert_eq!(
        plan.partitions[1].id,
        "placed_at_2023-02-01T00:00:00_2023-03-01T00:00:00"
    );
    cut.partitions = Some(4);
    let plan = cut.check();
    assert_eq!(plan.partitions.len(), 4);
}

#[test]
fn a_value_that_holds_half_of_a_table_is_not_divided_and_gaps_make_no_partitions() {
    let mut cut = Cut::new(
        &format!(
            "create table orders (id bigint, customer bigint);
             insert into orders select i, case when i % 2 = 0 then 7 when i % 1000 = 1 then i::bigint * 1000000000 else i end {ROWS}"
        ),
        &["customer"],
    );
    cut.partitions = Some(10);
    let plan = cut.check();
    assert!(
        (5..10).contains(&plan.partitions.len()),
        "{}",
        plan.partitions.len()
    );
    assert!(
        plan.notes
            .iter()
            .any(|note| note.ends_with("a frequent value of `customer` is not divided")),
        "{:?}",
        plan.notes
    );
    let sizes = cut.sizes(&plan);
    assert!(
        sizes.iter().filter(|rows| **rows >= 10_000).count() == 1,
        "{sizes:?}"
    );
    // Steps are widened until there are few enough of them: a gap is wider than any of them.
    cut.partitions = None;
    cut.step = Some((10, StepUnit::Second));
    let plan = cut.check();
    assert!(plan.partitions.len() <= 1000, "{}", plan.partitions.len());
}

#[test]
fn one_value_in_all_rows_is_one_partition() {
    let cut = Cut::new(
        &format!(
            "create table orders (id bigint, kind text, nothing text);
             insert into orders select i, 'the same', null {ROWS}"
        ),
        &["kind"],
    );
    assert_eq!(cut.check().partitions.len(), 1);
    let nothing = Cut {
        by: &["nothing"],
        ..cut
    };
    assert_eq!(nothing.check().partitions.len(), 1);
}

#[test]
fn tables_of_all_kinds_are_cut_as_far_as_they_can_be() {
    let check = |statements: &str, partitions: usize| {
        let mut cut = Cut::new(statements, &[]);
        cut.partitions = Some(5);
        let plan = cut.check();
        assert_eq!(
            plan.partitions.len(),
            partitions,
            "{statements}: {:?}",
            plan.notes
        );
    };
    // Without any key, and with one part that is much larger than the others.
    check(
        &format!(
            "create table orders (id bigint, item text); insert into orders select i, repeat('x', 100) {ROWS}"
        ),
        5,
    );
    check(
        &format!(
            "create table orders (id bigint, item text) partition by range (id);
             create table small partition of orders for values from (minvalue) to (100);
             create table empty partition of orders for values from (100) to (101);
             create table large partition of orders for values from (101) to (maxvalue);
             insert into orders select i, repeat('x', 100) {ROWS} where i <> 100"
        ),
        5,
    );
    check(
        &format!(
            "create table orders (id bigint, item text); create table child (more text) inherits (orders);
             insert into orders select i, repeat('x', 100) {ROWS}; insert into child select i, 'y', 'z' {ROWS}"
        ),
        5,
    );
    check("create table orders (id bigint primary key)", 1);
    check(
        &format!(
            "create table rows (id bigint primary key, item text); insert into rows select i, 'x' {ROWS};
             create view orders as select * from rows"
        ),
        1,
    );
    // The rows of another server are those of one session's snapshot there.
    check(
        &format!(
            "create table rows (id bigint primary key, item text); insert into rows select i, 'x' {ROWS};
             commit;
             create extension postgres_fdw;
             do $$ begin execute format(
                 'create server here foreign data wrapper postgres_fdw options (host %L, port %L, dbname %L)',
                 '127.0.0.1', current_setting('port'), current_database()
             ); end $$;
             create user mapping for current_user server here options (user 'postgres', password_required 'false');
             create foreign table orders (id bigint not null, item text) server here options (table_name 'rows')"
        ),
        1,
    );
}

#[test]
fn columns_of_a_key_may_have_any_name() {
    let mut cut = Cut::new(
        &format!(
            "create table orders (n text, total text, \"k0\" integer, primary key (n, total, \"k0\"));
             insert into orders select md5(i::text), 'x', i {ROWS}"
        ),
        &["n", "total", "k0"],
    );
    cut.partitions = Some(4);
    assert_eq!(cut.check().partitions.len(), 4);
}
