//! Which strategy runs, from which watermark, and why.

use insta::assert_snapshot;
use pintail_lake::LedgerEntry;
use pintail_model::{CursorValue, ErrorKind, PartitionKey};
use pintail_sync::spec::{DeltaSpec, HashSpec, StrategyKind, StrategySpec, Unbuilt};
use pintail_sync::state::StoredWatermark;

use super::{Setting, cursor};

#[test]
fn the_choice_of_a_strategy_says_why() {
    let check = |change: fn(&mut Setting), expected: (&str, &str)| {
        let mut setting = Setting::loaded();
        change(&mut setting);
        let (strategy, reason) = setting.chosen();
        assert_eq!((strategy.as_str(), reason.as_str()), expected);
    };
    let stored = || StoredWatermark {
        value: cursor("2024-01-15 13:00:00+00"),
        column: "updated_at".to_owned(),
        strategy: "changes".to_owned(),
        last_key: Some(PartitionKey::from_stored("orders/20240115_120000_000001/all")),
        table_id: Some(3),
        source: "file:shop shop.orders #7".to_owned(),
    };
    assert_eq!(stored().table_id, Some(3));
    check(
        |_| {},
        ("changes", "the lake's ledger says how far the source was read"),
    );
    check(
        |setting| setting.found = None,
        ("everything", "the table is not in the lake yet"),
    );
    check(
        |setting| setting.ledger = None,
        ("everything", "the lake has no watermark of this pipeline"),
    );
    check(
        |setting| setting.asked.strategy = Some("full".to_owned()),
        ("everything", "it was asked for"),
    );
    check(
        |setting| setting.asked.strategy = Some("delta".to_owned()),
        ("changes", "it was asked for"),
    );
    check(
        |setting| {
            setting.asked.strategy = Some("changes".to_owned());
            setting.ledger = None;
        },
        (
            "everything",
            "strategy `changes` has nothing to go on from: the lake has no watermark of this pipeline",
        ),
    );
    check(
        |setting| setting.spec.strategies[1].enabled = false,
        (
            "everything",
            "the pipeline has no other strategy that is enabled and built",
        ),
    );
    check(
        |setting| setting.table.columns[1].source_type = "varchar".to_owned(),
        ("changes", "the lake's ledger says how far the source was read"),
    );
    check(
        |setting| setting.found.as_mut().expect("a table").fits = false,
        ("everything", "the columns differ from those of the lake's table"),
    );
}

#[test]
fn a_stored_watermark_counts_only_while_nobody_else_has_committed() {
    let check = |change: fn(&mut StoredWatermark), expected: Result<&str, &str>| {
        let mut setting = Setting::loaded();
        let mut stored = StoredWatermark {
            value: cursor("2024-01-15 13:00:00+00"),
            column: "updated_at".to_owned(),
            strategy: "changes".to_owned(),
            last_key: Some(PartitionKey::from_stored("orders/20240115_120000_000001/all")),
            table_id: Some(3),
            source: "file:shop shop.orders #7".to_owned(),
        };
        change(&mut stored);
        setting.history.watermark = Some(stored);
        let plan = setting.plan();
        match expected {
            Ok(low) => assert_eq!(plan.low, Some(cursor(low))),
            Err(reason) => assert_eq!((plan.low, plan.reason.as_str()), (None, reason)),
        }
    };
    check(|_| {}, Ok("2024-01-15 13:00:00+00"));
    check(|stored| stored.last_key = None, Ok("2024-01-15 12:00:00+00"));
    check(
        |stored| stored.table_id = Some(4),
        Err("the lake's table was made anew by somebody else"),
    );
}

#[test]
fn a_watermark_holds_for_what_it_was_read_from_and_for_nothing_else() {
    let check = |entry: fn(&mut LedgerEntry), reason: &str| {
        let mut setting = Setting::loaded();
        // Where the state knows the same entry, the entry counts all the same.
        for stored in [None, Some("2024-01-15 13:00:00+00")] {
            setting.history.watermark = stored.map(|value| StoredWatermark {
                value: cursor(value),
                column: "updated_at".to_owned(),
                strategy: "changes".to_owned(),
                last_key: Some(PartitionKey::from_stored("orders/20240115_120000_000001/all")),
                table_id: Some(3),
                source: "file:shop shop.orders #7".to_owned(),
            });
            setting.entry = entry;
            let plan = setting.plan();
            assert_eq!((plan.low, plan.reason.as_str()), (None, reason));
        }
    };
    check(
        |entry| entry.pipeline = "other".to_owned(),
        "pipeline `other` was the last to write to the lake's table",
    );
    check(
        |entry| entry.source = "file:elsewhere shop.orders #7".to_owned(),
        "the pipeline reads another table than before",
    );
    check(
        |entry| entry.source = "file:shop shop.orders #6".to_owned(),
        "the source's table was made anew, or another one took its name",
    );
    check(|entry| entry.watermark = None, "the last load set no watermark");
    check(
        |entry| entry.cursor = Some("id".to_owned()),
        "the cursor was `id` before",
    );
    check(
        |entry| entry.cursor = Some("updated_at #3".to_owned()),
        "the cursor `updated_at` was made anew in the source",
    );
}

#[test]
fn a_cursor_of_numbers_that_was_set_back_is_loaded_in_full() {
    let check = |watermark: i64, reason: &str| {
        let mut setting = Setting::loaded();
        setting.spec.strategies[1].kind = StrategyKind::Delta(DeltaSpec {
            column: Some("id".to_owned()),
            ..DeltaSpec::default()
        });
        setting.entry = |entry| entry.cursor = Some("id".to_owned());
        setting.ledger = Some(CursorValue::Integer(watermark));
        assert_eq!(setting.plan().reason, reason);
    };
    check(1_000_001, "the lake's ledger says how far the source was read");
    check(
        1_000_002,
        "the source's table was emptied or set back: everything below 1000002 was read before, and its largest `id` is 1000000",
    );
}

#[test]
fn a_changed_type_of_the_cursor_leads_to_a_full_load() {
    let mut setting = Setting::loaded();
    setting.ledger = Some(CursorValue::Timestamp(0));
    assert_eq!(
        setting.chosen(),
        (
            "everything".to_owned(),
            "the cursor `updated_at` was of type timestamp before, and is of type timestamp_tz now"
                .to_owned()
        )
    );
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let mut setting = Setting::new();
    setting.spec.strategies.push(StrategySpec::new(
        "nightly",
        StrategyKind::Hash(HashSpec::default()),
    ));
    setting.spec.unbuilt.push(Unbuilt {
        strategy: Some("nightly".to_owned()),
        what: "`enrichment`".to_owned(),
        position: None,
    });
    setting.asked.strategy = Some("nightly".to_owned());
    assert_snapshot!(setting.error(), @"this release does not support `enrichment` yet");
    setting.asked.strategy = None;
    assert_eq!(setting.chosen().0, "everything");
    setting.spec.unbuilt.push(Unbuilt {
        strategy: None,
        what: "`join`".to_owned(),
        position: None,
    });
    assert_snapshot!(setting.error(), @"this release does not support `join` yet");
    assert_eq!(setting.error().kind(), ErrorKind::Invalid);
}

#[test]
fn a_pipeline_without_a_strategy_to_choose_is_refused_by_name() {
    let mut setting = Setting::new();
    setting
        .spec
        .strategies
        .iter_mut()
        .for_each(|strategy| strategy.enabled = false);
    assert_snapshot!(setting.error(), @"pipeline `orders` has no strategy to choose: `everything` is not enabled, `changes` is not enabled");
    assert_eq!(setting.error().kind(), ErrorKind::Invalid);
    setting.asked.strategy = Some("everything".to_owned());
    assert_eq!(setting.chosen().0, "everything", "by hand it runs");
    setting.asked.strategy = None;
    setting.spec.strategies.clear();
    assert_eq!(setting.chosen().0, "full", "nothing was said of strategies");
}

#[test]
fn an_unknown_strategy_is_named_with_the_nearest() {
    let mut setting = Setting::new();
    setting.asked.strategy = Some("change".to_owned());
    let error = setting.error();
    assert_eq!(
        (error.kind(), error.hint().as_deref()),
        (ErrorKind::NotFound, Some("did you mean `changes`?"))
    );
}

#[test]
fn a_copy_follows_a_column_that_looks_like_the_time_of_the_last_change() {
    let mut setting = Setting::loaded();
    setting.spec.strategies[1].kind = StrategyKind::Delta(DeltaSpec::default());
    let plan = setting.plan();
    assert_eq!(
        plan.shape
            .followed()
            .map(|cursor| (cursor.source.as_str(), cursor.chosen)),
        Some(("updated_at", true))
    );
    setting.table.columns[2].nullable = true;
    assert_eq!(
        setting.chosen().1,
        "the table has no NOT NULL timestamp with a name like `updated_at` that a delta could follow"
    );
    setting.table.key.clear();
    assert_eq!(
        setting.chosen().1,
        "the table has no primary key, so changed rows cannot be recognised"
    );
}

#[test]
fn a_cursor_that_the_source_does_not_have_is_not_found() {
    let mut setting = Setting::loaded();
    setting.spec.strategies[1].kind = StrategyKind::Delta(DeltaSpec {
        column: Some("updated_att".to_owned()),
        ..DeltaSpec::default()
    });
    let error = setting.error();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_snapshot!(error, @r#"strategy `changes` cannot follow table "shop.orders": the cursor `updated_att` does not exist"#);
    assert_snapshot!(error.hint().expect("a hint"), @"did you mean `updated_at`?");
}

#[test]
fn a_table_that_another_pipeline_wrote_to_is_replaced_with_a_word() {
    let mut setting = Setting::loaded();
    let ours = setting.plan().notes;
    setting.spec.name = "others".to_owned();
    let notes = setting.plan().notes;
    let said = |notes: &[String]| notes.iter().any(|note| note.contains("was the last to write"));
    assert!(!said(&ours) && said(&notes), "{notes:?}");
}

#[test]
fn a_delta_that_was_configured_and_cannot_work_is_an_error() {
    let mut setting = Setting::loaded();
    setting.table.key.clear();
    let error = setting.error();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_snapshot!(error, @r#"strategy `changes` cannot follow table "shop.orders": it has no primary key, and no column with the role `unique_column`"#);
    setting.asked.strategy = Some("full".to_owned());
    assert_eq!(setting.plan().watermark, None);
}
