//! Names of tables and columns are data: nothing in them is ever read as SQL.

use pintail_lake::Call;
use pintail_lake::quote::identifier;
use pintail_model::{Clock, CursorType, Range, SystemClock};

use super::attached::{ALIAS, read_as};
use super::{Attached, Fixture};

const NAMES: &[&str] = &[
    "Mixed Case",
    "select",
    "a.b",
    "quo\"te",
    "it's",
    "back\\slash",
    "semi;colon -- comment",
    "$$dollar$$",
    "größe 数",
    "%s {} $1 ?",
    "rowid",
    "c0",
    "refused",
    "s",
    "t",
];

pub fn may_hold_anything(fixture: &dyn Fixture) {
    let (integer, text) = fixture.integer_and_text();
    let columns: Vec<String> = NAMES
        .iter()
        .map(|name| format!("{} {integer}", identifier(name)))
        .collect();
    let values: Vec<String> = (1..=NAMES.len()).map(|value| value.to_string()).collect();
    for name in NAMES {
        let table = identifier(name);
        fixture.execute(&format!(
            "create table {table} ({}, \"word\" {text})",
            columns.join(", ")
        ));
        fixture.execute(&format!(
            "insert into {table} values ({}, 'x')",
            values.join(", ")
        ));
    }
    let attached = Attached::new(fixture.connector());
    for name in NAMES {
        assert_eq!(attached.describe(name).columns.len(), NAMES.len() + 1);
        let key = Range::Key {
            column: (*name).to_owned(),
            low: Some(0),
            high: Some(100),
            with_null: false,
        };
        for range in [Range::Whole, key] {
            let request = attached.request(name, range);
            assert_eq!(attached.count_now(&request.relation, &request.range), 1, "{name}");
            let sql = attached.connector().scan(ALIAS, &request).sql;
            let rows = attached
                .reading(|session| session.query(Call::new("read a table"), &sql))
                .expect("a table of any name is read");
            let read: Vec<_> = (0..NAMES.len()).map(|index| rows[0].integer(index)).collect();
            let written: Vec<_> = (1..=NAMES.len()).map(|value| i64::try_from(value).ok()).collect();
            assert_eq!(read, written, "{name}: {sql}");
        }
    }
    let table = attached.describe(NAMES[3]).name.into();
    for (index, name) in NAMES.iter().enumerate() {
        let cursor = (*name, CursorType::Integer);
        let now = SystemClock.now();
        let point = attached
            .connector()
            .read_point(attached.session(), ALIAS, &table, cursor, now)
            .expect("a cursor of any name has a largest value");
        assert_eq!(point.cursor_max, i64::try_from(index + 1).ok(), "{name}");
    }
}

pub fn of_a_column_read_twice_are_kept_apart(fixture: &dyn Fixture) {
    fixture.fill_orders(5);
    let attached = Attached::new(fixture.connector());
    for range in [
        Range::Whole,
        Range::Key {
            column: "id".to_owned(),
            low: Some(2),
            high: None,
            with_null: false,
        },
    ] {
        let mut request = attached.request("orders", range);
        let (id, note) = (
            request.columns[0].source.clone(),
            request.columns[2].source.clone(),
        );
        let renamed = |source, name: &str| {
            let mut read = read_as(source, pintail_model::LogicalType::Text);
            read.column.name = name.to_owned();
            read
        };
        // The names cross over: each column is called as another one.
        request.columns = vec![
            renamed(id.clone(), "note"),
            renamed(note, "id"),
            renamed(id, "changed_at"),
        ];
        let sql = attached.connector().scan(ALIAS, &request).sql;
        let sql = format!("select note, id, changed_at from ({sql}) where changed_at = '3'");
        let rows = attached
            .reading(|session| session.query(Call::new("read a table"), &sql))
            .expect("a column is read twice");
        assert_eq!((rows[0].text(0), rows[0].text(2)), (Some("3"), Some("3")));
        assert!(rows[0].text(1).is_some_and(|note| note.len() > 10), "{rows:?}");
    }
}
