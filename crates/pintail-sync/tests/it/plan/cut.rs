//! How a table is cut into partitions, and which cut is frozen.

use std::time::Duration;

use pintail_model::{PartitionKey, Range, RunId};
use pintail_sync::spec::{DeltaSpec, FullSpec, NullCursor, PartitionSpec, StepUnit, StrategyKind};
use pintail_sync::state::{FrozenPartition, UnfinishedRun};

use super::{Setting, connector, cursor, ids, instant};
use crate::source::FileSource;

#[test]
fn large_tables_are_cut_by_their_pages_and_small_ones_are_not() {
    let mut setting = Setting::new();
    assert_eq!(ids(&setting.plan()), ["all"]);
    setting.table.bytes = Some(5 << 30);
    assert_eq!(
        ids(&setting.plan()),
        [
            "pages_0_2000",
            "pages_2000_4000",
            "pages_4000_6000",
            "pages_6000_8000",
            "pages_8000_"
        ]
    );
    assert_eq!(setting.plan().partitions[0].expected_rows, Some(200_000));
    setting.spec.partition_step = Some(250_000);
    assert_eq!(
        setting.plan().notes,
        ["`partition_step` is not used: ranges of the source's pages cost less than ranges of a key"]
    );
    setting.spec.partition_step = None;
    setting.table.pages = None;
    assert_eq!(
        ids(&setting.plan()),
        [
            "id__200001",
            "id_200001_400001",
            "id_400001_600000",
            "id_600000_800000",
            "id_800000_"
        ]
    );
    setting.spec.partition_step = Some(250_000);
    assert_eq!(
        ids(&setting.plan()),
        [
            "id__250000",
            "id_250000_500000",
            "id_500000_750000",
            "id_750000_1000000",
            "id_1000000_"
        ]
    );
    let mut small = Setting::new();
    small.spec.partition_step = Some(250_000);
    let plan = small.plan();
    assert_eq!(ids(&plan), ["all"]);
    assert_eq!(
        plan.notes,
        ["`partition_step` is not used: the table is small, and is read as one partition"]
    );
    setting.table.columns[0].histogram.clear();
    let plan = setting.plan();
    assert_eq!(ids(&plan), ["all"]);
    assert!(
        plan.notes[0].starts_with("it is read as one partition"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn what_the_engine_reads_over_one_connection_is_read_over_as_many_as_are_allowed() {
    let mut setting = Setting::new();
    setting.connector = in_one_thread();
    assert_eq!(ids(&setting.plan()), ["pages_0_5000", "pages_5000_"]);
    setting.spec.max_concurrent_partitions = Some(4);
    assert_eq!(ids(&setting.plan()).len(), 4);
    let whole = |change: fn(&mut Setting)| {
        let mut setting = Setting::new();
        setting.connector = in_one_thread();
        change(&mut setting);
        assert_eq!(ids(&setting.plan()), ["all"]);
    };
    whole(|setting| setting.table.bytes = Some(64 << 20));
    whole(|setting| setting.table.pages = None);
    whole(|setting| setting.spec.max_concurrent_partitions = Some(1));
    whole(|setting| setting.asked.partitions = Some(1));
    whole(|setting| {
        let mut script = setting.connector.script.lock().expect("no holder panics");
        script.capabilities.shared_snapshot = false;
    });
}

/// A source that the engine reads over one connection.
fn in_one_thread() -> FileSource {
    let source = connector();
    let mut script = source.script.lock().expect("no holder panics");
    script.capabilities.parallel_scans = false;
    drop(script);
    source
}

#[test]
fn deltas_are_cut_by_expected_rows_and_by_declared_steps() {
    let mut setting = Setting::loaded();
    assert_eq!(
        ids(&setting.plan()),
        ["updated_at_2024-01-15T12:00:00_2024-01-15T13:59:59.999000"]
    );
    setting.ledger = Some(cursor("2024-01-08 00:00:00+00"));
    let plan = setting.plan();
    assert_eq!(ids(&plan).len(), 2);
    assert_eq!(plan.partitions[0].expected_rows, Some(250_000));
    setting.ledger = Some(cursor("2024-01-14 00:00:00+00"));
    setting.spec.strategies[1].primary_partitions = vec![PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(2),
        step_unit: StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    assert_eq!(setting.plan().partitions.len(), 19);
    setting
        .connector
        .script
        .lock()
        .expect("no holder panics")
        .capabilities
        .range_pushdown = false;
    let plan = setting.plan();
    assert_eq!(plan.partitions.len(), 7);
    assert!(
        plan.notes[0].starts_with("19 ranges of the declared step"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn an_unfinished_delta_goes_on_as_it_was_frozen() {
    let mut setting = Setting::loaded();
    let fresh = setting.plan();
    let frozen = |hour: u32, empty| FrozenPartition {
        id: format!("updated_at_2024-01-15T{hour}:00:00_2024-01-15T{}:00:00", hour + 1),
        range: Range::Cursor {
            column: "updated_at".to_owned(),
            low: Some(cursor(&format!("2024-01-15 {hour}:00:00+00"))),
            high: cursor(&format!("2024-01-15 {}:00:00+00", hour + 1)),
        },
        expected_rows: None,
        watermark: Some(cursor(&format!("2024-01-15 {}:00:00+00", hour + 1))),
        changed_only: false,
        attempts: 1,
        empty,
        compared: false,
        staged: None,
    };
    let run = RunId::from_stored("20240115_130000_000002");
    let unfinished = UnfinishedRun {
        run: run.clone(),
        strategy: "changes".to_owned(),
        kind: "delta".to_owned(),
        plan_hash: fresh.hash.clone(),
        started_at: instant("2024-01-15T13:00:00Z"),
        bound: Some(cursor("2024-01-15 13:00:00+00")),
        partitions: vec![frozen(10, true), frozen(11, false), frozen(12, false)],
    };
    setting.committed = vec![PartitionKey::new("orders", &run, &unfinished.partitions[1].id)];
    setting.history.unfinished = Some(unfinished.clone());
    let plan = setting.plan();
    assert_eq!(plan.resumes, Some(run));
    assert_eq!(
        plan.partitions
            .iter()
            .map(|partition| partition.done)
            .collect::<Vec<_>>(),
        [true, true, false]
    );
    assert_eq!(plan.partitions[2].id, unfinished.partitions[2].id);
    assert_eq!(plan.watermark, unfinished.bound);

    setting.history.unfinished = Some(UnfinishedRun {
        plan_hash: "other".to_owned(),
        ..unfinished
    });
    let plan = setting.plan();
    assert_eq!((&plan.resumes, ids(&plan).len()), (&None, 1));
    assert_eq!(
        plan.notes,
        ["run 20240115_130000_000002, which did not end, is left behind: this run does other work"]
    );
}

#[test]
fn a_delta_with_other_settings_is_not_the_frozen_one() {
    let mut setting = Setting::loaded();
    let frozen = setting.plan().hash;
    let mut hash = |change: fn(&mut DeltaSpec)| {
        let mut delta = DeltaSpec {
            column: Some("updated_at".to_owned()),
            lookback: Duration::ZERO,
            ..DeltaSpec::default()
        };
        change(&mut delta);
        setting.spec.strategies[1].kind = StrategyKind::Delta(delta);
        setting.plan().hash
    };
    assert_eq!(hash(|_| {}), frozen);
    let changes: [fn(&mut DeltaSpec); 5] = [
        |delta| delta.null_cursor = NullCursor::Include,
        |delta| delta.margin = Duration::ZERO,
        |delta| delta.lookback = Duration::from_secs(1),
        |delta| delta.lag = Some(Duration::ZERO),
        |delta| delta.time_zone = Some("Europe/Berlin".to_owned()),
    ];
    for change in changes {
        assert_ne!(hash(change), frozen);
    }
}

#[test]
fn seconds_over_years_are_joined_to_a_thousand_partitions() {
    let mut setting = Setting::loaded();
    setting.ledger = Some(cursor("2000-01-01 00:00:00+00"));
    setting.spec.strategies[1].primary_partitions = vec![PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(1),
        step_unit: StepUnit::Second,
        data_type: None,
        bounded: false,
    }];
    let plan = setting.plan();
    let shown = plan.to_string();
    assert!(plan.partitions.len() > 900, "{}", plan.partitions.len());
    assert!(shown.len() > 100_000);
}

#[test]
fn forced_partitions_of_the_strategy_are_used_unless_the_call_says_otherwise() {
    let mut setting = Setting::new();
    setting.spec.strategies[0].kind = StrategyKind::Full(FullSpec { partitions: Some(5) });
    assert_eq!(setting.plan().partitions.len(), 5);
    setting.asked.partitions = Some(3);
    assert_eq!(setting.plan().partitions.len(), 3);
}
