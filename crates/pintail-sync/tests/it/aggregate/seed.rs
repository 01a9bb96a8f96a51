//! The aggregates of the seed, as they are written.

use std::path::Path;

use pintail_config::Datastores;
use pintail_model::TableName;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::parse;

use super::counts;
use crate::shop::Shop;

const TABLE: &str = "lake.analytics.user_daily_orders_aggregate";

/// The orders of the worked example, and the pipeline of the seed.
fn example(change: impl FnOnce(String) -> String) -> Shop {
    let mut shop = Shop::empty();
    shop.change(
        "create table orders (order_id integer primary key, user_id integer, amount decimal(12,2), discount decimal(12,2),
             order_date timestamp, updated_at timestamp not null);
         insert into orders values
             (1, 101, 50.00, 1, '2024-01-15 09:30', '2024-01-15 10:00'),
             (2, 101, 30.00, 2, '2024-01-15 10:30', '2024-01-15 11:00'),
             (3, 102, 75.00, 3, '2024-01-15 11:30', '2024-01-15 12:00')",
    );
    let nothing = |_: &str| None;
    let places =
        "datastores:\n  local_postgres: {type: postgres, connection: {host: localhost, dbname: shop}}\n";
    let places = Datastores::parse(Path::new("datastores.yaml"), places, &nothing).expect("valid");
    let yaml = change(include_str!("../spec/user_daily_orders_aggregate.yaml").to_owned());
    let loaded = parse(Path::new("pipeline.yaml"), &yaml, &places, &nothing);
    shop.spec = loaded.unwrap_or_else(|problems| panic!("{problems}")).spec;
    // A file has no schema `public`.
    shop.spec.source.table = TableName::bare("orders");
    shop
}

fn rows(shop: &Shop) -> Vec<String> {
    let sql = format!(
        "select concat_ws(' | ', user_id, date, num_orders, amount, strftime(last_updated_at, '%Y-%m-%d %H:%M')) from {TABLE} \
         order by user_id"
    );
    let rows = shop.ask(&sql).into_iter();
    rows.map(|row| row[0].clone().unwrap_or_default()).collect()
}

#[test]
fn the_worked_example_gives_exactly_its_tables() {
    let shop = example(|yaml| yaml);
    let report = shop.run(Some("delta"));
    assert_eq!(
        (report.kind.as_str(), report.parity.status),
        ("full", ParityStatus::Ok),
        "{}",
        report.reason
    );
    assert_eq!(
        rows(&shop),
        [
            "101 | 2024-01-15 | 2 | 80.00 | 2024-01-15 11:00",
            "102 | 2024-01-15 | 1 | 75.00 | 2024-01-15 12:00"
        ]
    );
    shop.change("UPDATE orders SET amount = 40.00, updated_at = '2024-01-15 14:00' WHERE order_id = 2");
    shop.later(60);
    let report = shop.run(Some("delta"));
    assert_eq!(
        (report.kind.as_str(), report.parity.status, counts(&report)),
        ("groups", ParityStatus::Ok, (0, 1, 0)),
        "{}: {:?}",
        report.reason,
        report.notes
    );
    assert_eq!(
        rows(&shop),
        [
            "101 | 2024-01-15 | 2 | 90.00 | 2024-01-15 14:00",
            "102 | 2024-01-15 | 1 | 75.00 | 2024-01-15 12:00"
        ]
    );
}

#[test]
fn a_bounded_window_is_looked_at_whatever_the_watermark_is() {
    let shop = example(|yaml| yaml);
    shop.run(Some("delta"));
    // Stamped an hour before it is committed: below the watermark, and within the two hours.
    shop.change("update orders set amount = 41, updated_at = '2024-01-15 13:00' where order_id = 2");
    shop.later(60);
    assert_eq!(counts(&shop.run(Some("delta"))), (0, 1, 0));
    // After an outage of a day nothing is passed over.
    shop.change("update orders set amount = 42, updated_at = '2024-01-15 14:30' where order_id = 2");
    shop.later(24 * 3_600);
    assert_eq!(counts(&shop.run(Some("delta"))), (0, 1, 0));
    let amount = format!("select amount from {TABLE} where user_id = 101");
    assert_eq!(shop.ask_one(&amount), "92.00");
}

#[test]
fn the_hash_of_a_group_is_kept_beside_it() {
    let shop = example(|yaml| yaml);
    shop.run(Some("delta"));
    let hashes = || -> Vec<_> {
        let rows = shop.ask(&format!("select checksum_int from {TABLE} order by user_id"));
        rows.into_iter()
            .map(|row| row[0].clone().expect("a hash"))
            .collect()
    };
    let before = hashes();
    shop.change("update orders set amount = 40, updated_at = '2024-01-15 14:00' where order_id = 2");
    shop.later(60);
    shop.run(Some("delta"));
    let after = hashes();
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
}

#[test]
fn the_nested_form_compares_groups() {
    let nested = r#"strategies:
  - name: "hash"
    type: "hash"
    enabled: true
    primary_partitions:
      - {column: "order_date", step: 1, step_unit: "month", data_type: "datetime"}
      - {column: "user_id", step: 50, data_type: "integer"}
    secondary_partitions:
      - {column: "order_date", step: 1, step_unit: "day", data_type: "datetime"}
      - {column: "user_id", step: 5, data_type: "integer"}
    page_size: 1000
"#;
    let shop = example(|yaml| {
        let (start, rest) = yaml.split_once("strategies:").expect("strategies");
        let (_, end) = rest.split_once("\nbackends:").expect("backends");
        format!("{start}{nested}\nbackends:{end}")
    });
    assert_eq!(shop.run(Some("hash")).kind, "full");
    shop.change(
        "update orders set user_id = 102 where order_id = 1;
         insert into orders values (4, 7, 1, 0, '2024-02-01', '2024-02-01')",
    );
    let report = shop.run(Some("hash"));
    assert_eq!(
        (report.kind.as_str(), counts(&report), report.parity.status),
        ("hash", (1, 2, 0), ParityStatus::Ok)
    );
    let told =
        |note: &&String| note.starts_with("`primary_partitions` and `secondary_partitions` have no effect");
    assert_eq!(report.notes.iter().filter(told).count(), 1, "{:?}", report.notes);
    assert_eq!(
        rows(&shop),
        [
            "7 | 2024-02-01 | 1 | 1.00 | 2024-02-01 00:00",
            "101 | 2024-01-15 | 1 | 30.00 | 2024-01-15 11:00",
            "102 | 2024-01-15 | 2 | 125.00 | 2024-01-15 12:00"
        ]
    );
}
