//! Groups that have no value in what they are grouped by: groups like any other.

use insta::assert_snapshot;
use pintail_model::{ErrorKind, LogicalType};
use pintail_sync::SyncRequest;
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{ColumnSource, DeclaredType, DeletePolicy, SyncType};

use super::{column, computed, counts, many, run};
use crate::hash::places::{Copied, Kind};

#[test]
fn a_group_without_a_value_comes_changes_and_goes() {
    let mut shop = many();
    run(&shop, None, "full");
    let moved = |to: &str, minute: u32| {
        shop.change(&format!(
            "update orders set user_id = {to}, updated_at = '2024-01-15 14:{minute:02}:05+00' where order_id in (7, 67)"
        ));
        shop.later(60);
    };
    moved("null", 0);
    let report = run(&shop, None, "hash");
    assert_snapshot!(report.reason, @"all groups are compared, as copies of rows: one of them has no value in what it is grouped by");
    // The group that the orders left has changed, too.
    assert_eq!(counts(&report), (2, 0, 1), "{:?}", report.notes);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("met a group without a value")),
        "{:?}",
        report.notes
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));

    // Where no changed row is or was in such a group, a delta goes on by keys.
    shop.change("update orders set amount = 3, updated_at = '2024-01-15 14:01:05+00' where order_id = 1");
    shop.later(60);
    assert_eq!(counts(&run(&shop, None, "groups")), (0, 1, 0));

    // Nothing has changed since, and both sides are compared.
    assert_eq!(counts(&run(&shop, Some("compare"), "hash")), (0, 0, 0));
    moved("7", 2);
    assert_eq!(counts(&run(&shop, None, "hash")), (1, 0, 2));
    moved("8", 3);
    assert_eq!(counts(&run(&shop, None, "groups")), (0, 2, 0));

    moved("null", 4);
    shop.task = Task::Verify { keys_named: 3 };
    let report = shop.run(None);
    assert_eq!(
        report.parity.status,
        ParityStatus::Mismatch,
        "the group is missing"
    );
    shop.task = Task::Sync;
    run(&shop, Some("everything"), "full");
    shop.task = Task::Verify { keys_named: 3 };
    assert_eq!(shop.run(None).parity.status, ParityStatus::Ok);
}

/// Of copies, nobody can say which group is gone.
#[test]
fn where_groups_stay_that_are_gone_one_without_a_value_is_a_data_error() {
    let mut shop = many();
    shop.spec.deletes.policy = DeletePolicy::Ignore;
    shop.run(None);
    shop.change("update orders set user_id = null, updated_at = '2024-01-15 14:00:05+00' where order_id = 7");
    shop.later(60);
    let error = shop.try_run(None).expect_err("no value");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_snapshot!(
        format!("{error}\nhint: {}", error.hint().unwrap_or_default()),
        @r#"
    1 group has no value in key (user_id, date) of table "main.orders"
    hint: Groups whose rows may go are compared as copies then; where rows stay that are gone (`policy: soft` or `ignore`), group by expressions that are never NULL, like `coalesce(user_id, 0)`.
    "#
    );
}

fn grouped(mut request: SyncRequest) -> SyncRequest {
    let spec = &mut request.spec;
    spec.sync_type = SyncType::Aggregate;
    spec.source.group_by = vec!["user_id".to_owned()];
    spec.columns = vec![
        column(
            ColumnSource::Column("user_id".to_owned()),
            "user_id",
            DeclaredType::Integer,
        ),
        column(computed("count(1)"), "orders", DeclaredType::BigInt),
    ];
    spec.deletes.guard.rows = 1_000;
    request
}

#[test]
fn every_destination_takes_a_group_without_a_value() {
    for kind in Kind::ALL {
        let copied = Copied::new(
            kind,
            "create table orders (id bigint primary key, user_id int);
             insert into orders select i, nullif(i % 10, 0) from generate_series(1, 100) as i",
        );
        let compare = || {
            let report = copied.run(&grouped(copied.request(Some("compare"))));
            (report.kind.clone(), counts(&report))
        };
        let groups = || copied.rows(&[("user_id", LogicalType::Int32), ("orders", LogicalType::Int64)]);
        assert_eq!(compare(), ("full".to_owned(), (10, 0, 0)), "{kind:?}");
        assert!(groups().contains(&"- 10".to_owned()), "{kind:?}: {:?}", groups());
        assert_eq!(compare(), ("hash".to_owned(), (0, 0, 0)), "{kind:?}");
        copied
            .source
            .execute("update orders set user_id = null where id in (1, 2); delete from orders where id = 3");
        assert_eq!(compare(), ("hash".to_owned(), (4, 0, 4)), "{kind:?}");
        assert!(groups().contains(&"- 12".to_owned()), "{kind:?}: {:?}", groups());
        copied.source.execute("delete from orders where user_id is null");
        assert_eq!(compare(), ("hash".to_owned(), (0, 0, 1)), "{kind:?}");
        assert_eq!(groups().len(), 9, "{kind:?}");
    }
}
