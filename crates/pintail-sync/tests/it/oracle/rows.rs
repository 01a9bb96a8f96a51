//! What is read of a destination: orders, groups of them, or copies without a key.

use std::collections::BTreeSet;

use pintail_lake::{Cell, Row};
use pintail_model::{Column, CursorType, LogicalType};

use super::history::Setting;
use super::model::{Bag, Group, Groups, Order, Orders, Ratio, copy};
use super::request::MARK;
use super::target::Target;

/// Everything that a table of orders holds: rows that live, and those that are marked. `None` if it is not there.
pub(super) fn orders(target: &dyn Target, table: &str, setting: &Setting) -> Option<(Orders, Orders)> {
    let number = match setting.cursor {
        CursorType::Integer => "updated_at",
        CursorType::Date => "updated_at - date '1970-01-01'",
        CursorType::Timestamp | CursorType::TimestampTz => "epoch_us(updated_at)",
    };
    let mut columns = columns(setting.cursor);
    let mut gone = "false".to_owned();
    if setting.soft {
        columns.push(column(MARK, LogicalType::TimestampTz));
        gone = format!("{MARK} is not null");
    }
    let select = format!("id, value, note, (price * 100)::bigint, {number}, ratio, {gone}");
    let rows = target.rows(table, &columns, &select)?;
    let (marked, living): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.boolean(6));
    let living: Orders = living.into_iter().map(order).collect();
    let marked: Orders = marked.into_iter().map(order).collect();
    let both = living.keys().chain(marked.keys()).collect::<BTreeSet<_>>();
    assert_eq!(both.len(), rows.len(), "an id is there twice");
    Some((living, marked))
}

/// Everything that a table of copies holds: see [`super::model::bag`]. `None` if it is not there.
pub(super) fn bag(target: &dyn Target, table: &str) -> Option<Bag> {
    let columns = [
        column("value", LogicalType::Int64),
        column("ratio", LogicalType::Float64),
    ];
    let mut bag = Bag::new();
    for row in target.rows(table, &columns, "value, ratio")? {
        *bag.entry(copy(number(&row, 0), ratio(&row, 1))).or_default() += 1;
    }
    Some(bag)
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
