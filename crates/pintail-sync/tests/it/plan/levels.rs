//! Partitions of a second level, and options that change nothing.

use insta::assert_snapshot;
use pintail_sync::spec::{HashSpec, PartitionSpec, StepUnit, StrategyKind, StrategySpec};

use super::{Setting, cursor, ids};

fn steps(column: &str, step: u64, step_unit: StepUnit) -> PartitionSpec {
    PartitionSpec {
        column: column.to_owned(),
        step: Some(step),
        step_unit,
        data_type: None,
        bounded: false,
    }
}

#[test]
fn narrower_ranges_of_a_second_level_are_what_is_cut() {
    let check = |strategy: usize, primary: &[PartitionSpec], secondary: &[PartitionSpec], parts: usize| {
        let mut setting = if strategy == 0 {
            Setting::new()
        } else {
            Setting::loaded()
        };
        if strategy == 1 {
            setting.ledger = Some(cursor("2024-01-14 00:00:00+00"));
        }
        setting.spec.strategies[strategy].primary_partitions = primary.to_vec();
        setting.spec.strategies[strategy].secondary_partitions = secondary.to_vec();
        let plan = setting.plan();
        assert_eq!(plan.strategy, setting.spec.strategies[strategy].name);
        assert_eq!(plan.partitions.len(), parts, "{:?}", ids(&plan));
        assert_eq!(plan.notes, Vec::<String>::new());
    };
    let (hours, day) = (
        steps("updated_at", 2, StepUnit::Hour),
        steps("updated_at", 1, StepUnit::Day),
    );
    check(1, std::slice::from_ref(&day), &[], 2);
    check(1, std::slice::from_ref(&day), std::slice::from_ref(&hours), 19);
    check(1, std::slice::from_ref(&hours), std::slice::from_ref(&day), 19);
    check(1, &[], std::slice::from_ref(&hours), 19);
    let (wide, narrow) = (
        steps("id", 500_000, StepUnit::Second),
        steps("id", 250_000, StepUnit::Second),
    );
    check(0, std::slice::from_ref(&wide), &[], 3);
    check(0, std::slice::from_ref(&wide), std::slice::from_ref(&narrow), 5);
}

/// What the plan of a strategy says of options that change nothing.
fn said(strategy: StrategySpec) -> String {
    let mut setting = Setting::loaded();
    setting.asked.strategy = Some(strategy.name.clone());
    setting
        .spec
        .strategies
        .retain(|other| other.name != strategy.name);
    setting.spec.strategies.push(strategy);
    let plan = setting.plan();
    assert!(plan.to_string().contains(&plan.notes[0]));
    plan.notes.join("\n")
}

#[test]
fn a_plan_says_which_options_change_nothing() {
    let by_id = || vec![steps("id", 10_000, StepUnit::Second)];
    let mut changes = Setting::new().spec.strategies[1].clone();
    changes.primary_partitions = vec![steps("updated_at", 2, StepUnit::Hour)];
    changes.secondary_partitions = by_id();
    assert_snapshot!(said(changes), @"`secondary_partitions` of `id` have no effect: a partition is streamed and committed as a whole, whatever its size");

    let mut compare = StrategySpec::new("compare", StrategyKind::Hash(HashSpec::default()));
    compare.primary_partitions = vec![steps("updated_at", 1, StepUnit::Month)];
    compare.secondary_partitions = by_id();
    compare.tuning.match_row_count = Some(true);
    assert_snapshot!(said(compare), @r"
    `primary_partitions` and `secondary_partitions` have no effect on a comparison: each side is read once and what differs is told row by row, so there are no levels to go down
    `match_row_count` has no effect: numbers of rows are compared wherever hashes are
    ");

    let mut plain = StrategySpec::new("compare", StrategyKind::Hash(HashSpec::default()));
    plain.tuning.match_row_count = Some(false);
    assert_snapshot!(said(plain), @"`match_row_count` has no effect: numbers of rows are compared wherever hashes are");
}
