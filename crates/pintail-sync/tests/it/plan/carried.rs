//! Columns that can be carried, and those that cannot.

use insta::assert_snapshot;
use pintail_lake::connector::ColumnRead;
use pintail_model::{Column, ErrorKind, LogicalType};
use pintail_sync::spec::{ColumnSource, ColumnSpec, DeclaredType, Role};

use super::{Setting, column};

#[test]
fn all_columns_that_cannot_be_carried_are_named_at_once() {
    let mut setting = Setting::new();
    setting.table.columns.push(column("total", "numeric", None));
    setting.table.columns.push(column("span", "interval", None));
    setting.table.columns.push(column("bag", "", None));
    let error = setting.error();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_snapshot!(error, @r#"cannot read table "shop.orders" as asked: column `total` is of type `numeric`, which has no lossless home; column `span` is of type `interval`, which has no lossless home; column `bag` has no declared type, so its values may be of any"#);
    assert_snapshot!(error.hint().expect("a hint"), @"Choose for each such column: `text` keeps it exactly as the source writes it, `decimal` keeps exact numbers, or leave it out. For `pintail copy` that is `--type column=text`, `--type 'column=decimal(38,10)'` or `--skip column`; in the `column_map` of a pipeline file `data_type: text`, or `data_type: decimal` with `precision` and `scale`.");

    let map = |source: &str, data_type| ColumnSpec {
        hash_column: true,
        source: ColumnSource::Column(source.to_owned()),
        dest: source.to_owned(),
        roles: std::collections::BTreeSet::new(),
        data_type,
        length: None,
        nullable: None,
    };
    setting.spec.columns = vec![
        map("id", Some(DeclaredType::Uuid)),
        map("itme", None),
        map("total", Some(DeclaredType::Decimal(None))),
    ];
    let error = setting.error();
    assert_snapshot!(error, @r#"cannot read table "shop.orders" as asked: column `id` is of type `bigint`, which cannot be read as `uuid` without loss; column `itme` does not exist; column `total` is declared `decimal` without digits, and `numeric` does not name them"#);
    assert_snapshot!(error.hint().expect("a hint"), @r"
    Choose for each such column: `text` keeps it exactly as the source writes it, `decimal` keeps exact numbers, or leave it out. For `pintail copy` that is `--type column=text`, `--type 'column=decimal(38,10)'` or `--skip column`; in the `column_map` of a pipeline file `data_type: text`, or `data_type: decimal` with `precision` and `scale`.
    `itme`: did you mean `item`?
    Add `precision` and `scale` to the column in `column_map`, as in `--type 'column=decimal(12,2)'`, or declare it `text`.
    ");
}

#[test]
fn declared_words_keep_the_width_of_the_source() {
    let check = |source: LogicalType, declared: DeclaredType, expected: LogicalType| {
        let mut setting = Setting::new();
        setting.table.columns.push(column("c", "c", Some(source)));
        setting.spec.columns = ["id", "c"]
            .map(|name| ColumnSpec {
                hash_column: true,
                source: ColumnSource::Column(name.to_owned()),
                dest: name.to_owned(),
                roles: std::collections::BTreeSet::from([Role::UniqueColumn]),
                data_type: (name == "c").then_some(declared),
                length: None,
                nullable: None,
            })
            .into();
        setting.spec.strategies.truncate(1);
        let columns: Vec<ColumnRead> = setting.plan().shape.columns;
        let expected = Column {
            name: "c".to_owned(),
            logical_type: expected,
            nullable: false,
            origin: None,
        };
        assert_eq!(columns[1].column, expected);
    };
    check(LogicalType::Int16, DeclaredType::Integer, LogicalType::Int16);
    check(LogicalType::Int64, DeclaredType::Integer, LogicalType::Int64);
    check(LogicalType::Float32, DeclaredType::Float, LogicalType::Float32);
    check(
        LogicalType::TimestampTz,
        DeclaredType::Timestamp,
        LogicalType::TimestampTz,
    );
    check(
        LogicalType::Timestamp,
        DeclaredType::Timestamp,
        LogicalType::Timestamp,
    );
    let decimal = LogicalType::Decimal {
        precision: 12,
        scale: 2,
    };
    check(decimal, DeclaredType::Decimal(None), decimal);
    check(LogicalType::Uuid, DeclaredType::Text, LogicalType::Text);
}
