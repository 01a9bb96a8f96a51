//! What is read of a destination: orders, or groups of them.

use pintail_lake::{Cell, Row};
use pintail_model::{Column, CursorType, LogicalType};

use super::model::{Group, Groups, Order, Orders, Ratio};
use super::target::Target;

/// Everything that a table of orders holds; `None` if it is not there.
pub(super) fn orders(target: &dyn Target, table: &str, cursor: CursorType) -> Option<Orders> {
    let number = match cursor {
        CursorType::Integer => "updated_at",
        CursorType::Date => "updated_at - date '1970-01-01'",
        CursorType::Timestamp | CursorType::TimestampTz => "epoch_us(updated_at)",
    };
    let select = format!("id, value, note, (price * 100)::bigint, {number}, ratio");
    let rows = target.rows(table, &columns(cursor), &select)?;
    let orders: Orders = rows.iter().map(order).collect();
    assert_eq!(orders.len(), rows.len(), "an id is there twice");
    Some(orders)
}

/// Everything that a table of groups holds; `None` if it is not there.
pub(super) fn groups(target: &dyn Target, table: &str) -> Option<Groups> {
    let select = "value, orders, notes, ids::bigint, (top * 100)::bigint, high";
    let rows = target.rows(table, &group_columns(), select)?;
    let groups: Groups = rows.iter().map(group).collect();
    assert_eq!(groups.len(), rows.len(), "a group is there twice");
    Some(groups)
}

fn order(row: &Row) -> (i64, Order) {
    let order = Order {
        value: number(row, 1),
        note: row.text(2).map(str::to_owned),
        cents: number(row, 3),
        cursor: row.integer(4),
        ratio: ratio(row, 5),
    };
    (number(row, 0), order)
}

fn group(row: &Row) -> (i64, Group) {
    let group = Group {
        orders: number(row, 1),
        notes: number(row, 2),
        ids: number(row, 3),
        top: number(row, 4),
        high: ratio(row, 5),
    };
    (number(row, 0), group)
}

fn number(row: &Row, index: usize) -> i64 {
    row.integer(index).expect("a number")
}

fn ratio(row: &Row, index: usize) -> Option<Ratio> {
    match row.0.get(index) {
        Some(Cell::Float(value)) => Some(Ratio::of(*value)),
        Some(Cell::Null) => None,
        other => panic!("a float or NULL, and not {other:?}"),
    }
}

/// The columns that all sources of the oracle have.
fn columns(cursor: CursorType) -> Vec<Column> {
    let updated_at = match cursor {
        CursorType::Integer => LogicalType::Int64,
        CursorType::Date => LogicalType::Date,
        CursorType::Timestamp => LogicalType::Timestamp,
        CursorType::TimestampTz => LogicalType::TimestampTz,
    };
    vec![
        column("id", LogicalType::Int64),
        column("value", LogicalType::Int64),
        column("note", LogicalType::Text),
        column("price", decimal(12, 2)),
        column("updated_at", updated_at),
        column("ratio", LogicalType::Float64),
    ]
}

/// The columns of their groups.
fn group_columns() -> Vec<Column> {
    vec![
        column("value", LogicalType::Int64),
        column("orders", LogicalType::Int64),
        column("notes", LogicalType::Int64),
        column("ids", decimal(38, 0)),
        column("top", decimal(12, 2)),
        column("high", LogicalType::Float64),
    ]
}

fn decimal(precision: u8, scale: u8) -> LogicalType {
    LogicalType::Decimal { precision, scale }
}

fn column(name: &str, logical_type: LogicalType) -> Column {
    Column {
        name: name.to_owned(),
        logical_type,
        nullable: true,
        origin: None,
    }
}
