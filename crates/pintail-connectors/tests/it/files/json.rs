//! JSON files: types that fit all values.

use pintail_model::{LogicalType as T, Range};
use pintail_testkit::conformance::{Attached, Fixture};

use super::fixture::FilesFixture;

#[test]
fn columns_have_the_type_that_fits_all_values() {
    let files = FilesFixture::in_folder();
    let lines = [
        r#"{"id": 1, "price": 2, "name": "2024-01-01", "paid": true, "tags": ["a"], "odd \"name\"": 1}"#,
        r#"{"id": 9007199254740993, "price": 2.5, "name": null, "paid": null, "tags": {"b": 1}, "nothing": null}"#,
    ];
    std::fs::write(files.path("orders.jsonl"), lines.join("\n")).unwrap();
    let attached = Attached::new(files.connector());
    let orders = attached.describe("orders");
    let types: Vec<_> = orders
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.logical_type.unwrap()))
        .collect();
    assert_eq!(
        types,
        [
            ("id", T::Int64),
            ("price", T::Float64),
            ("name", T::Text),
            ("paid", T::Boolean),
            ("tags", T::Json),
            ("nothing", T::Text),
            ("odd \"name\"", T::Int64),
        ]
    );
    let rows = attached.rows(&attached.request("orders", Range::Whole));
    assert_eq!(rows[1].integer(0), Some(9_007_199_254_740_993));
    assert_eq!(rows[0].text(2), Some("2024-01-01"));
    assert_eq!(rows[1].text(4), Some("{\"b\":1}"));
    assert_eq!(rows[0].integer(6), Some(1));
}

#[test]
fn a_list_of_objects_is_a_table_too() {
    let files = FilesFixture::in_folder();
    std::fs::write(files.path("orders.json"), "[{\"id\": 1},\n {\"id\": 2}]").unwrap();
    let attached = Attached::new(files.connector());
    let request = attached.request("orders", Range::Whole);
    assert_eq!(attached.rows(&request).len(), 2);
}
