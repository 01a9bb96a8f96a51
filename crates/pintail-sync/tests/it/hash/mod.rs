//! Hash runs: what differs is found, whatever it is, and just that is brought in.

mod bag;
mod deletes;
mod found;
mod meanwhile;
mod moved;
pub(crate) mod places;
mod pushdown;
mod served;
mod soft;
mod stored;

use pintail_sync::SyncReport;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{HashSpec, StrategyKind, StrategySpec};

use crate::shop::Shop;

/// A shop whose table was loaded in full, and that has a hash strategy.
pub(crate) fn loaded(orders: u32) -> Shop {
    let mut shop = Shop::new(orders);
    with_hash(&mut shop);
    shop.run(Some("everything"));
    shop
}

pub(crate) fn with_hash(shop: &mut Shop) {
    let hash = StrategyKind::Hash(HashSpec::default());
    shop.spec.strategies.push(StrategySpec::new("compare", hash));
}

/// A shop with a table `orders` of its own and no delta, loaded in full.
pub(crate) fn shop_of(sql: &str) -> Shop {
    let mut shop = Shop::empty();
    shop.change(sql);
    with_hash(&mut shop);
    shop.spec.strategies.remove(1);
    shop.run(Some("everything"));
    shop
}

/// Runs the comparison. Afterwards both sides are equal, and the report says so.
pub(crate) fn compare(shop: &Shop) -> SyncReport {
    let report = shop.run(Some("compare"));
    assert_eq!(report.kind, "hash", "{}", report.reason);
    assert_eq!(report.parity.status, ParityStatus::Ok, "{:?}", report.parity);
    assert_eq!(shop.differences(), "0");
    report
}

/// Rows that came, were replaced, and went.
pub(crate) fn counts(report: &SyncReport) -> (u64, u64, u64) {
    (report.rows_inserted, report.rows_updated, report.rows_deleted)
}
