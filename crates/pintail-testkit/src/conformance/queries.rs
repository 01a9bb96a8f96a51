//! A query over a table is read, cut and counted as a table of its columns would be.

use pintail_lake::Relation;
use pintail_lake::connector::{ColumnRead, ScanRequest, SourceColumn};
use pintail_lake::relation::{Join, JoinKind, Output, OutputValue, Query};
use pintail_model::{CursorValue, KeyValue, LeafChecksums, LogicalType, Range};

use super::{Attached, Fixture, read_as};

const ROWS: u32 = 2_000;

pub fn are_read_as_tables_are(fixture: &dyn Fixture) {
    let Some((attached, columns, relation)) = attach(fixture) else {
        return;
    };
    let request = |range: Range| ScanRequest {
        relation: relation.clone(),
        columns: columns.clone(),
        range,
    };
    let whole = attached.checksums_now(&request(Range::Whole));
    // Ten rows do not meet the filter, and customers who are not known take no row away.
    assert_eq!(whole.total().rows, u64::from(ROWS) - 10);
    for ranges in [keys(), tuples(), pages(&attached)] {
        let mut sum = LeafChecksums::default();
        for range in ranges {
            let read = attached.checksums_now(&request(range.clone()));
            assert_eq!(
                attached.count_now(&relation, &range),
                read.total().rows,
                "{range:?}"
            );
            sum.merge(&read);
        }
        assert_eq!(sum, whole);
    }
    let nobody = attached.count_now(
        &relation,
        &Range::CursorNull {
            column: "c.name".to_owned(),
        },
    );
    assert!(
        (1..u64::from(ROWS)).contains(&nobody),
        "{nobody} rows without a customer"
    );
}

/// Groups of rows are read, cut and counted as rows are.
pub fn give_groups(fixture: &dyn Fixture) {
    const GROUPS: u64 = 7;
    let Some((attached, _, rows)) = attach(fixture) else {
        return;
    };
    let mut relation = rows;
    let names = ["bucket", "number", "highest"];
    if let Some(query) = &mut relation.query {
        let expressions = ["o.id % 7", "count(*)", "max(o.id)"];
        let output = |(name, sql): (&&str, &str)| Output {
            name: (*name).to_owned(),
            value: OutputValue::Expression(sql.to_owned()),
        };
        query.outputs = names.iter().zip(expressions).map(output).collect();
        query.group_by = vec!["bucket".to_owned()];
    }
    let types = attached
        .connector()
        .expression_types(attached.session(), super::attached::ALIAS, &relation)
        .unwrap_or_else(|error| panic!("{}", super::attached::whole_text(&error)));
    let mut types = types.into_iter();
    let column = |name: &str| {
        let (source_type, logical_type) = types.next().unwrap_or_default();
        let column = SourceColumn {
            name: name.to_owned(),
            source_type,
            logical_type: logical_type.or(Some(LogicalType::Int64)),
            carrier: None,
            origin: None,
            nullable: true,
            identity: None,
            histogram: Vec::new(),
        };
        read_as(column, LogicalType::Int64)
    };
    let columns: Vec<ColumnRead> = names.into_iter().map(column).collect();
    let read = |range: Range| {
        let request = ScanRequest {
            relation: relation.clone(),
            columns: columns.clone(),
            range,
        };
        let counted = attached.count_now(&relation, &request.range);
        (attached.rows(&request), counted)
    };
    let (groups, counted) = read(Range::Whole);
    assert_eq!((groups.len() as u64, counted), (GROUPS, GROUPS));
    let members: i64 = groups.iter().filter_map(|row| row.integer(1)).sum();
    assert_eq!(members, i64::from(ROWS) - 10);
    let named = |column: &str, values: &[i64]| Range::Listed {
        column: column.to_owned(),
        values: values.to_vec(),
    };
    for (range, expected) in [
        (named("bucket", &[2, 5]), 2),
        (named("highest", &[i64::from(ROWS)]), 1),
        (named("bucket", &[99]), 0),
    ] {
        let (groups, counted) = read(range.clone());
        assert_eq!((groups.len(), counted), (expected, expected as u64), "{range:?}");
    }
}

fn attach(fixture: &dyn Fixture) -> Option<(Attached, Vec<ColumnRead>, Relation)> {
    fixture.fill_orders(ROWS);
    let (integer, text) = fixture.integer_and_text();
    fixture.execute(&format!("create table customers (id {integer}, name {text})"));
    for id in [10, 20, 30] {
        fixture.execute(&format!("insert into customers values ({id}, 'customer {id}')"));
    }
    let attached = Attached::new(fixture.connector());
    if !attached.connector().reads_queries() {
        return None;
    }
    let (orders, customers) = (attached.describe("orders"), attached.describe("customers"));
    let column = |alias: &str, column: &str| OutputValue::Column {
        alias: alias.to_owned(),
        column: column.to_owned(),
    };
    let output = |name: &str, value| Output {
        name: name.to_owned(),
        value,
    };
    let relation = Relation {
        table: orders.name.clone(),
        query: Some(Query {
            alias: "o".to_owned(),
            joins: vec![Join {
                table: customers.name.clone(),
                alias: "c".to_owned(),
                on: "o.customer = c.id".to_owned(),
                kind: JoinKind::Left,
            }],
            filters: vec!["o.id > 10 or o.id < 0".to_owned(), "o.id <> 0 -- all".to_owned()],
            outputs: vec![
                output("id", column("o", "id")),
                output("customer", column("o", "customer")),
                output("c.name", column("c", "name")),
                output("twice", OutputValue::Expression("o.id * 2".to_owned())),
            ],
            group_by: Vec::new(),
        }),
    };
    let types = attached
        .connector()
        .expression_types(attached.session(), super::attached::ALIAS, &relation)
        .unwrap_or_else(|error| panic!("{}", super::attached::whole_text(&error)));
    let (source_type, logical_type) = types.into_iter().next().unwrap_or_default();
    let described = |table: &pintail_lake::connector::TableDescription, name: &str| {
        table.column(name).expect("the fixture made it").clone()
    };
    let name = SourceColumn {
        name: "c.name".to_owned(),
        nullable: true,
        ..described(&customers, "name")
    };
    let twice = SourceColumn {
        name: "twice".to_owned(),
        source_type,
        logical_type: logical_type.or(Some(LogicalType::Int64)),
        carrier: None,
        origin: None,
        nullable: true,
        identity: None,
        histogram: Vec::new(),
    };
    let home = |column: SourceColumn| {
        let home = column.logical_type.expect("integers and texts have a home");
        read_as(column, home)
    };
    let columns = vec![
        home(described(&orders, "id")),
        home(name),
        read_as(twice, LogicalType::Int64),
    ];
    Some((attached, columns, relation))
}

fn keys() -> Vec<Range> {
    let range = |(low, high)| Range::Key {
        column: "id".to_owned(),
        low,
        high,
        with_null: low.is_none(),
    };
    [(None, Some(7)), (Some(7), Some(1_000)), (Some(1_000), None)]
        .map(range)
        .to_vec()
}

fn tuples() -> Vec<Range> {
    let bound = || {
        let number = |number| KeyValue::Number(CursorValue::Integer(number));
        Some(vec![number(30), number(900)])
    };
    let range = |(low, high): (Option<Vec<KeyValue>>, _)| Range::Keys {
        columns: vec!["customer".to_owned(), "id".to_owned()],
        with_null: low.is_none(),
        low,
        high,
    };
    [(None, bound()), (bound(), None)].map(range).to_vec()
}

/// Where the rows of the main table lie.
fn pages(attached: &Attached) -> Vec<Range> {
    match attached.describe("orders").pages {
        Some(pages) => [(0, Some(pages / 2)), (pages / 2, None)]
            .map(|(first, end)| Range::Pages { first, end })
            .to_vec(),
        None => vec![Range::Whole],
    }
}
