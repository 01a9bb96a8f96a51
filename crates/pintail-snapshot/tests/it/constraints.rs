//! Constraints, defaults, sequences, indexes, comments, and what stands beside the tables, are there after a restore and do
//! what they did.

use pintail_model::TableName;
use pintail_snapshot::RestoreRequest;

use crate::place::Place;

const DATABASE: &str = r#"
    create type mood as enum ('sad', 'it''s ok');
    create schema "odd.one";
    create type "odd.one".pair as struct(x integer, "y z" hugeint);
    create sequence numbers start 5 increment 2;
    create sequence "odd.one"."its own";
    create macro plus(a, b) as a + b;
    create macro plus3(a) as plus(a, 3);
    create macro pairs(n) as table select i, i * 2 as "twice it" from range(n) as r (i);
    create table parent (id integer primary key, code varchar unique not null);
    create table "odd.one".parent (id integer primary key);
    create table "odd.one".child (
        id integer primary key default nextval('"odd.one"."its own"'),
        parent integer references "odd.one".parent (id),
        amount decimal(10, 2) not null default 0.5 check (amount >= 0),
        mood mood default 'sad',
        pair "odd.one".pair,
        "quoted ""name" varchar collate nocase default 'it''s, (a) default',
        number integer default nextval('numbers'),
        sum integer generated always as (plus(id, 1)),
        unique (parent, mood)
    );
    create index by_amount on "odd.one".child (amount);
    create unique index "by ""name" on "odd.one".child ("quoted ""name");
    comment on table "odd.one".child is 'it''s a child';
    comment on column "odd.one".child.amount is 'in CZK';
    comment on index "odd.one".by_amount is 'for reports';
    comment on sequence numbers is 'odd ones';
    comment on macro plus is 'adds';
    comment on macro table pairs is 'many';
    comment on type mood is 'how it is';
    create view zz as select * from "odd.one".child;
    create view aa as select count(*) as n from zz;
    create view "odd.one"."v w" ("a b") as select plus3(id) from parent;
    comment on view zz is 'last';
    insert into parent values (1, 'one'), (2, 'two');
    insert into "odd.one".parent values (1), (2);
    insert into "odd.one".child (parent, "quoted ""name") values (1, 'a'), (2, 'b');
"#;

fn restored() -> Place {
    let place = Place::new();
    place.execute("one.duckdb", DATABASE);
    place.create("one.duckdb", "all");
    let restored = place.restore("two.duckdb", "all");
    assert_eq!(restored.not_restored, [""; 0]);
    place
}

#[test]
fn what_the_catalogue_says_is_the_same() {
    let place = restored();
    let first = place
        .snapshots
        .manifest(&crate::place::id("all"))
        .expect("a manifest");
    let second = place.create("two.duckdb", "again");
    assert_eq!(second.objects, first.objects);
    for (before, after) in first.tables.iter().zip(&second.tables) {
        assert_eq!(after.ddl, before.ddl);
        assert_eq!(after.schema, before.schema);
        assert_eq!(after.indexes, before.indexes);
        assert_eq!(after.comment, before.comment);
        assert_eq!(after.value_hash, before.value_hash);
    }
    for (what, sql) in [
        (
            "constraints",
            "select schema_name, table_name, constraint_type, constraint_column_names from duckdb_constraints() where database_name = 'db' order by all",
        ),
        (
            "comments",
            "select table_name, comment from duckdb_tables() union all select column_name, comment from duckdb_columns() where not internal union all select index_name, comment from duckdb_indexes() union all select view_name, comment from duckdb_views() where not internal order by all",
        ),
        (
            "views",
            "select view_name, sql from duckdb_views() where not internal order by all",
        ),
        (
            "columns",
            "select table_name, column_name, column_default, is_nullable, data_type from duckdb_columns() where not internal order by all",
        ),
    ] {
        assert_eq!(
            place.ask("two.duckdb", sql),
            place.ask("one.duckdb", sql),
            "{what}"
        );
    }
}

#[test]
fn constraints_are_enforced_again() {
    let place = restored();
    let child = "insert into \"odd.one\".child (parent, \"quoted \"\"name\", mood, amount)";
    for (what, sql) in [
        ("a primary key", "insert into parent values (1, 'x')".to_owned()),
        (
            "a unique column",
            "insert into parent values (3, 'one')".to_owned(),
        ),
        ("not null", "insert into parent values (3, null)".to_owned()),
        ("a check", format!("{child} values (1, 'c', 'it''s ok', -1)")),
        ("a foreign key", format!("{child} values (9, 'd', 'it''s ok', 1)")),
        ("a unique pair", format!("{child} values (1, 'e', 'sad', 1)")),
        (
            "a unique index",
            format!("{child} values (1, 'a', 'it''s ok', 1)"),
        ),
        ("an enum", format!("{child} values (1, 'f', 'glad', 1)")),
        (
            "a parent with children",
            "delete from \"odd.one\".parent where id = 1".to_owned(),
        ),
    ] {
        place.attempt("two.duckdb", &sql).expect_err(what);
    }
}

#[test]
fn defaults_and_sequences_go_on() {
    let place = restored();
    let insert = "insert into \"odd.one\".child (parent, mood, pair) values (1, 'it''s ok', {'x': 1, 'y z': 170141183460469231731687303715884105727})";
    place.execute("one.duckdb", insert);
    place.execute("two.duckdb", insert);
    let rows = "select * from \"odd.one\".child order by id";
    assert_eq!(place.ask("two.duckdb", rows), place.ask("one.duckdb", rows));
    let newest = place.ask(
        "two.duckdb",
        "select id, amount, \"quoted \"\"name\", number, sum from \"odd.one\".child order by id desc limit 1",
    );
    assert_eq!(newest, [["3", "0.50", "it's, (a) default", "9", "4"]]);
    assert_eq!(place.ask("two.duckdb", "from aa"), [["3"]]);
    assert_eq!(
        place.ask(
            "two.duckdb",
            "select plus3(4), (select max(\"twice it\") from pairs(4))"
        ),
        [["7", "6"]]
    );
}

#[test]
fn one_table_brings_what_its_statement_names() {
    let place = Place::new();
    place.execute("one.duckdb", DATABASE);
    place.create("one.duckdb", "all");
    let request = RestoreRequest {
        tables: vec![
            TableName::new("odd.one", "child"),
            TableName::new("odd.one", "parent"),
        ],
        ..RestoreRequest::default()
    };
    place
        .restore_with("two.duckdb", "all", &request)
        .expect("restored");
    assert_eq!(
        place.value("two.duckdb", "select count(*) from \"odd.one\".child"),
        "2"
    );
    assert_eq!(
        place.value(
            "two.duckdb",
            "select count(*) from duckdb_views() where not internal"
        ),
        "0"
    );
    place.execute(
        "two.duckdb",
        "insert into \"odd.one\".child (parent, mood) values (1, 'it''s ok')",
    );
    assert_eq!(
        place.value("two.duckdb", "select max(number) from \"odd.one\".child"),
        "9"
    );
}

#[test]
fn a_sequence_that_lags_behind_is_moved_on() {
    let place = Place::new();
    let table = "create sequence s; create table t (id integer primary key default nextval('s'), n integer);";
    place.execute("one.duckdb", table);
    place.execute("one.duckdb", "insert into t (n) select * from range(100)");
    place.create("one.duckdb", "hundred");
    // The target has a sequence of that name that gave three values.
    place.execute("two.duckdb", table);
    place.execute("two.duckdb", "insert into t (n) select * from range(3)");
    let request = RestoreRequest {
        replace: true,
        ..RestoreRequest::default()
    };
    place
        .restore_with("two.duckdb", "hundred", &request)
        .expect("restored");
    place.execute("two.duckdb", "insert into t (n) values (1)");
    assert_eq!(place.value("two.duckdb", "select max(id) from t"), "101");
}

#[test]
fn a_sequence_is_kept_as_a_writer_that_died_left_it() {
    let place = Place::new();
    place.execute(
        "one.duckdb",
        "create sequence s start 5 increment 2; create table t (id integer default nextval('s'))",
    );
    // The log of the writer is beside the file: nothing is brought in until somebody writes.
    place.execute(
        "one.duckdb",
        "pragma disable_checkpoint_on_shutdown; insert into t select nextval('s') from range(3)",
    );
    place.create("one.duckdb", "all");
    place.restore("two.duckdb", "all");
    place.execute("two.duckdb", "insert into t values (default)");
    assert_eq!(
        place.ask("two.duckdb", "from t order by id"),
        [["5"], ["7"], ["9"], ["11"]]
    );
}

#[test]
fn a_macro_whose_defaults_are_not_told_is_warned_of() {
    let place = Place::new();
    place.execute("one.duckdb", "create macro careful(a, b := 3) as a + b; create macro sound(a) as a, (a, b) as a * b; create macro t(a, b := 1) as table select a + b");
    let manifest = place.create("one.duckdb", "all");
    let [first, second] = manifest.warnings.as_slice() else {
        panic!("{:?}", manifest.warnings)
    };
    assert!(
        first.contains("main.careful") && second.contains("main.t"),
        "{first} {second}"
    );
    place.restore("two.duckdb", "all");
    assert_eq!(
        place.ask("two.duckdb", "select sound(2), sound(2, 3), careful(1, 2)"),
        [["2", "6", "3"]]
    );
}
