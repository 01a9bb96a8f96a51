//! Pipelines from two addresses.

use std::path::Path;

use insta::assert_snapshot;
use pintail_config::Location;
use pintail_model::TableName;
use pintail_sync::spec::{PipelineSpec, copy_spec};

use super::outline;

fn copy(from: &str, table: &str, to: &str) -> PipelineSpec {
    let location = |address| Location::parse(address, Path::new("/work")).expect(address);
    copy_spec(
        &location(from),
        &TableName::parse(table).expect(table),
        &location(to),
    )
}

#[test]
fn a_copy_takes_all_columns_in_full_and_then_by_delta() {
    let spec = copy(
        "postgres://u:hunter2@db/shop?schema=sales",
        "orders",
        "ducklake:sqlite:lake.sqlite",
    );
    assert_snapshot!(outline(&spec), @r"
    copy_orders_011bf808: postgres://u@db/shop sales.orders -> ducklake:sqlite:/work/lake.sqlite?data_path=/work/lake.files orders
      full = full
      delta = delta by None
    ");
    assert!(spec.columns.is_empty() && spec.parity);
    assert!(!format!("{spec:?}").contains("hunter2"));
}

#[test]
fn a_copy_can_rename_the_table() {
    let spec = copy(
        "sqlite:shop.db",
        "order lines",
        "ducklake:sqlite:lake.sqlite?schema=mart&table=lines",
    );
    assert_snapshot!(outline(&spec), @r"
    copy_order_lines_f1dc688d: sqlite:/work/shop.db order lines -> ducklake:sqlite:/work/lake.sqlite?data_path=/work/lake.files mart.lines
      full = full
      delta = delta by None
    ");
}

#[test]
fn the_same_copy_has_the_same_name_however_it_is_written() {
    let name = |from, table, to| copy(from, table, to).name;
    let first = name(
        "postgres://u:a@db/shop",
        "public.orders",
        "ducklake:sqlite:lake.sqlite",
    );
    assert_eq!(
        first,
        name(
            "postgresql://u:b@db:5432/shop",
            "public.orders",
            "ducklake:sqlite:/work/lake.sqlite?data_path=x"
        )
    );
    assert_ne!(
        first,
        name(
            "postgres://u@db/shop",
            "public.items",
            "ducklake:sqlite:lake.sqlite"
        )
    );
    assert_ne!(
        first,
        name(
            "postgres://u@db/other",
            "public.orders",
            "ducklake:sqlite:lake.sqlite"
        )
    );
    assert_ne!(
        first,
        name(
            "postgres://u@db/shop",
            "public.orders",
            "ducklake:sqlite:other.sqlite"
        )
    );
}

#[test]
fn a_copy_from_a_lake_is_not_built_yet() {
    assert_snapshot!(outline(&copy("ducklake:sqlite:lake.sqlite", "orders", "sqlite:shop.db")), @r"
    copy_orders_e08fb94e: ducklake:sqlite:/work/lake.sqlite?data_path=/work/lake.files orders -> sqlite:/work/shop.db orders
      full = full
      delta = delta by None
    ");
}
