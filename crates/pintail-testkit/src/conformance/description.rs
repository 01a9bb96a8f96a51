//! A table is described as it is.

use pintail_lake::connector::TableKind;
use pintail_model::{ErrorKind, LogicalType, TableName};

use super::attached::{ALIAS, shown_text};
use super::{Attached, Fixture};

pub fn lists_tables_and_views(fixture: &dyn Fixture) {
    fixture.fill_orders(1);
    fixture.execute("create view newest as select id, note from orders");
    let attached = Attached::new(fixture.connector());
    let listed = attached.tables();
    let found: Vec<_> = listed
        .iter()
        .map(|table| (table.name.table.as_str(), table.kind))
        .collect();
    assert_eq!(found, [("newest", TableKind::View), ("orders", TableKind::Table)]);
    for table in &listed {
        attached
            .connector()
            .describe(attached.session(), ALIAS, &table.name)
            .expect("a table that is listed is found");
    }
}

pub fn finds_columns_types_and_key(fixture: &dyn Fixture) {
    fixture.fill_orders(10);
    let attached = Attached::new(fixture.connector());
    let orders = attached.describe("orders");
    assert_eq!(orders.name.table, "orders");
    if fixture.key_constraint() == "primary key" {
        assert_eq!(orders.key, ["id"]);
        assert!(orders.indexed.contains(&"id".to_owned()), "{:?}", orders.indexed);
    } else {
        assert!(orders.key.is_empty(), "{:?}", orders.key);
    }

    let names: Vec<&str> = orders.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "customer", "note", "changed_at"]);
    let types: Vec<_> = orders.columns.iter().map(|column| column.logical_type).collect();
    assert_eq!(types[0], Some(LogicalType::Int64));
    assert_eq!(
        types[2..],
        [Some(LogicalType::Text), Some(LogicalType::Timestamp)]
    );
    let nullable: Vec<bool> = orders.columns.iter().map(|column| column.nullable).collect();
    assert_eq!(nullable, [false, true, true, true]);
    assert!(
        orders.columns.iter().all(|column| !column.source_type.is_empty()),
        "{:?}",
        orders.columns
    );

    // Names are resolved: what is described can be described again by its full name.
    let again = attached
        .connector()
        .describe(attached.session(), ALIAS, &orders.name)
        .expect("a described table is found again");
    assert_eq!(again, orders);
}

pub fn tells_nothing_about_types_without_a_home(fixture: &dyn Fixture) {
    let types = fixture.homeless();
    let columns: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(index, declared)| format!("c{index} {declared}"))
        .collect();
    fixture.execute(&format!("create table odd ({})", columns.join(", ")));
    let attached = Attached::new(fixture.connector());
    let odd = attached.describe("odd");
    assert_eq!(odd.columns.len(), types.len());
    for (column, declared) in odd.columns.iter().zip(types) {
        assert_eq!(column.logical_type, None, "`{declared}` has no lossless home");
        assert!(
            attached.connector().reads_as(column, LogicalType::Text),
            "`{declared}` can be declared to be text"
        );
    }
}

pub fn names_a_missing_table_and_its_neighbour(fixture: &dyn Fixture) {
    fixture.fill_orders(1);
    let attached = Attached::new(fixture.connector());
    let missing = TableName::bare("ordres");
    let error = attached
        .connector()
        .describe(attached.session(), ALIAS, &missing)
        .expect_err("there is no such table");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", shown_text(&error));
    assert!(error.to_string().contains("\"ordres\""), "{error}");
    assert!(
        error.hint().unwrap_or_default().contains("orders"),
        "{:?}",
        error.hint()
    );
}
