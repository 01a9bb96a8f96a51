//! Aggregates: every row of the destination is a group of rows of the source.

mod followed;
mod history;
mod seed;
mod soft;
mod without_value;

use insta::assert_snapshot;
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{
    ColumnSource, ColumnSpec, DeclaredType, HashSpec, StrategyKind, StrategySpec, SyncType,
};
use pintail_sync::{PlanKind, SyncReport};

use crate::shop::Shop;

/// The groups as the source has them now.
const GROUPS: &str = "select user_id, order_date::date as date, count(*) as num_orders, sum(amount) as amount, \
                      max(updated_at) as last_updated_at from shop.main.orders group by all";

fn column(source: ColumnSource, dest: &str, data_type: DeclaredType) -> ColumnSpec {
    ColumnSpec {
        hash_column: true,
        source,
        dest: dest.to_owned(),
        roles: [].into(),
        data_type: Some(data_type),
        length: None,
        nullable: None,
    }
}

fn computed(sql: &str) -> ColumnSource {
    ColumnSource::Expression(sql.to_owned())
}

/// A shop whose orders are added up by user and day. Times are those of 2024-01-15.
fn shop(orders: &str) -> Shop {
    let mut shop = Shop::empty();
    shop.change(&format!(
        "create table orders (order_id bigint primary key, user_id integer, amount decimal(12,2), order_date timestamp,
             updated_at timestamptz not null);
         insert into orders {orders}"
    ));
    let spec = &mut shop.spec;
    spec.sync_type = SyncType::Aggregate;
    spec.source.group_by = vec!["user_id".to_owned(), "date".to_owned()];
    spec.columns = vec![
        column(
            ColumnSource::Column("user_id".to_owned()),
            "user_id",
            DeclaredType::Integer,
        ),
        column(computed("cast(order_date as date)"), "date", DeclaredType::Date),
        column(computed("count(1)"), "num_orders", DeclaredType::Integer),
        column(computed("sum(amount)"), "amount", DeclaredType::Decimal(None)),
        column(
            computed("max(updated_at)"),
            "last_updated_at",
            DeclaredType::TimestampTz,
        ),
    ];
    let hash = StrategyKind::Hash(HashSpec::default());
    spec.strategies.push(StrategySpec::new("compare", hash));
    // Few groups are soon more than a fifth of all.
    spec.deletes.guard.rows = 1_000;
    shop
}

/// 300 orders of 10 users on 6 days, all of them changed in the morning.
fn many() -> Shop {
    shop(
        "select id, id % 10, id * 1.25, timestamp '2024-01-01' + to_days((id // 10 % 6)::integer), '2024-01-15 09:00:00+00' \
         from range(300) as ids (id)",
    )
}

/// Groups that only one side has.
fn differences(shop: &Shop) -> String {
    shop.ask_one(&format!(
        "select count(*) from ((from lake.main.orders except all ({GROUPS})) union all (({GROUPS}) except all from \
         lake.main.orders))"
    ))
}

/// Runs, and makes sure that the destination is what computing everything anew gives.
#[track_caller]
fn run(shop: &Shop, strategy: Option<&str>, kind: &str) -> SyncReport {
    let report = shop.run(strategy);
    assert_eq!(report.kind, kind, "{}", report.reason);
    assert!(
        matches!(report.parity.status, ParityStatus::Ok | ParityStatus::Unchanged),
        "{:?}",
        report.parity
    );
    assert_eq!(differences(shop), "0", "{:?}", report.notes);
    report
}

fn counts(report: &SyncReport) -> (u64, u64, u64) {
    (report.rows_inserted, report.rows_updated, report.rows_deleted)
}

#[test]
fn groups_are_loaded_and_compared() {
    let shop = many();
    let report = run(&shop, None, "full");
    assert_eq!((report.rows_processed, counts(&report)), (60, (60, 0, 0)));
    // Three groups change, one comes, one goes; no cursor moves.
    shop.change(
        "update orders set amount = amount + 1 where order_id in (1, 61, 2);
         update orders set user_id = 77 where order_id = 3;
         delete from orders where order_id in (4, 64, 124, 184, 244)",
    );
    let report = run(&shop, Some("compare"), "hash");
    assert_eq!(counts(&report), (1, 3, 1), "{:?}", report.notes);
    assert_eq!(counts(&run(&shop, Some("compare"), "hash")), (0, 0, 0));
}

#[test]
fn groups_are_verified() {
    let mut shop = many();
    run(&shop, None, "full");
    shop.task = Task::Verify { keys_named: 5 };
    assert_eq!(shop.run(None).parity.status, ParityStatus::Ok);
    shop.in_lake("update lake.main.orders set num_orders = 0 where user_id = 3 and date = '2024-01-02'");
    let report = shop.run(None);
    assert_eq!(report.parity.status, ParityStatus::Mismatch);
    let drift = report.drift.expect("a comparison finds drift");
    assert_eq!((drift.missing, drift.changed, drift.extra), (0, 1, 0));
    assert_eq!(
        drift.keys[0].key,
        [Some("3".to_owned()), Some("2024-01-02".to_owned())]
    );
}

#[test]
fn a_plan_says_what_makes_a_group() {
    let shop = many();
    run(&shop, None, "full");
    let text = shop.plan(Some("compare")).to_string();
    let told: Vec<&str> = text
        .lines()
        .filter(|line| ["  groups", "  key "].iter().any(|word| line.starts_with(word)))
        .collect();
    assert_snapshot!(told.join("\n"), @r"
      key          user_id, date
      groups       user_id, date
    ");
    assert!(text.contains("(sum(amount)) as \"amount\""), "{text}");
    assert!(text.contains("group by 1, 2) as s"), "{text}");
}

#[test]
fn groups_of_rows_that_were_deleted_are_found_by_the_pass_for_deletes() {
    let mut shop = many();
    run(&shop, None, "full");
    shop.change("delete from orders where order_id in (5, 65)");
    shop.later(60);
    assert_eq!(shop.run(None).rows_updated, 0);
    shop.task = Task::Deletes;
    // The group is still there, with other values.
    assert_eq!(counts(&run(&shop, None, "hash")), (0, 1, 0));
}

#[test]
fn a_full_load_of_groups_is_one_partition() {
    let mut shop = many();
    shop.partitions = Some(7);
    let plan = shop.plan(Some("everything"));
    assert_eq!((plan.kind, plan.partitions.len()), (PlanKind::Full, 1));
}
