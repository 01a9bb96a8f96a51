//! Groups that are gone and stay, with the time at which that was noticed.

use insta::assert_snapshot;
use pintail_sync::SyncReport;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::DeletePolicy;

use super::{GROUPS, counts, many};
use crate::shop::Shop;

fn softly() -> Shop {
    let mut shop = many();
    shop.spec.deletes.policy = DeletePolicy::Soft {
        column: "deleted_at".to_owned(),
    };
    shop
}

/// Runs, and makes sure that the groups which live are those that computing everything anew gives.
#[track_caller]
fn run(shop: &Shop, kind: &str) -> SyncReport {
    let report = shop.run(None);
    assert_eq!(report.kind, kind, "{}", report.reason);
    assert_eq!(report.parity.status, ParityStatus::Ok, "{:?}", report.parity);
    let living = "(select * exclude (deleted_at) from lake.main.orders where deleted_at is null)";
    let differing = shop.ask_one(&format!(
        "select count(*) from ((from {living} except all ({GROUPS})) union all (({GROUPS}) except all from {living}))"
    ));
    assert_eq!(differing, "0", "{:?}", report.notes);
    report
}

/// Users and days of groups that are marked.
fn marked(shop: &Shop) -> String {
    shop.ask_one(
        "select coalesce(string_agg(user_id || ' ' || date, ', ' order by all), '') from lake.main.orders \
         where deleted_at is not null",
    )
}

/// A delta does not know of a group that was marked, and when. So it compares all of them.
#[test]
fn groups_that_are_gone_are_marked_by_comparing_all_groups() {
    let shop = softly();
    run(&shop, "full");
    // All orders of user 4 on one day.
    let moved = |user: u32, minute: u32| {
        shop.change(&format!(
            "update orders set user_id = {user}, updated_at = '2024-01-15 14:{minute:02}:05+00' \
             where order_id in (4, 64, 124, 184, 244)"
        ));
        shop.later(60);
    };
    moved(77, 0);
    let report = run(&shop, "hash");
    assert_snapshot!(report.reason, @"all groups are compared: with `policy: soft`, groups that are gone are marked");
    assert_eq!(counts(&report), (1, 0, 1), "{:?}", report.notes);
    assert_eq!(marked(&shop), "4 2024-01-01");
    // Marked once; a group that is there again lives again.
    moved(78, 1);
    assert_eq!(counts(&run(&shop, "hash")), (1, 0, 1));
    assert_eq!(marked(&shop), "4 2024-01-01, 77 2024-01-01");
    moved(4, 2);
    assert_eq!(counts(&run(&shop, "hash")), (0, 1, 1));
    assert_eq!(marked(&shop), "77 2024-01-01, 78 2024-01-01");
    // A full load carries them over.
    let report = shop.run(Some("everything"));
    assert_eq!(report.kind, "full");
    assert_eq!(marked(&shop), "77 2024-01-01, 78 2024-01-01");
}
