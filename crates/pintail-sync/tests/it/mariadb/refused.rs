//! What MySQL cannot hold, or would change in silence, is refused by the name of the column, and nothing changes.

use insta::assert_snapshot;
use pintail_sync::report::Failure;

use super::{Pair, execute};

/// What happens to one value of Postgres.
#[track_caller]
fn of_postgres(declared: &str, value: &str) -> String {
    let pair = Pair::postgres(&format!(
        "create table orders (id int primary key, v {declared}); insert into orders values (1, {value}), (2, null); analyze orders"
    ));
    let refused = pair.refused(None);
    assert_eq!(
        pair.ask("select count(*) from information_schema.tables where table_schema = database() and table_name = 'orders'"),
        "0"
    );
    refused
}

/// What happens to one value in a table that is there with another column.
#[track_caller]
fn into_table(declared: &str, value: &str, column: &str) -> String {
    let pair = Pair::postgres(&format!(
        "create table orders (id int primary key, v {declared}); insert into orders values (1, {value}); analyze orders"
    ));
    execute(
        &pair.target,
        &format!("create table orders (id int primary key, v {column}); insert into orders (id) values (7)"),
    );
    let refused = pair.refused(None);
    assert_eq!(pair.ask("select group_concat(id) from orders"), "7");
    refused
}

#[test]
fn values_without_a_home_are_named_by_column() {
    assert_snapshot!(of_postgres("float8", "'NaN'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds NaN or an infinity, which MySQL cannot hold"#);
    assert_snapshot!(of_postgres("real", "'-Infinity'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds NaN or an infinity, which MySQL cannot hold"#);
    assert_snapshot!(of_postgres("float8", "'-0'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds -0.0, of which MySQL would make 0"#);
    assert_snapshot!(of_postgres("date", "'0044-03-15 BC'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a date outside of the years 1 to 9999, which MySQL cannot hold"#);
    assert_snapshot!(of_postgres("date", "'infinity'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a date outside of the years 1 to 9999, which MySQL cannot hold"#);
    assert_snapshot!(of_postgres("timestamp", "'10000-01-01'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a time outside of the years 1 to 9999, which MySQL cannot hold"#);
    assert_snapshot!(of_postgres("timestamptz", "'-infinity'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a time outside of the years 1 to 9999, which MySQL cannot hold"#);
    assert_snapshot!(of_postgres("time", "'24:00'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds the time 24:00, which is no time of day for MySQL"#);
    assert_snapshot!(of_postgres("uuid", "'eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3'"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a UUID that MariaDB's type does not take: of a version above 7 and a variant of 80 or less"#);
    assert_snapshot!(of_postgres("int[]", "'{1}'"), @r#"Invalid: cannot read table "public.orders" as asked: column `v` cannot be written: MySQL has no `integer[]`"#);
}

#[test]
fn a_text_key_that_no_index_holds_is_named() {
    let pair = Pair::postgres(
        "create table orders (k text primary key); insert into orders values (repeat('x', 769)); analyze orders",
    );
    assert_snapshot!(pair.refused(None), @r#"Data: cannot commit partition `all`: column `k` of table "db.orders" holds a text that is too long for `varchar(768)`"#);
    let error = pair.try_run(None).expect_err("it is refused");
    let hint = Failure::of(&error).hint.expect("a way out");
    assert!(hint.starts_with("A key of MySQL takes 3,072 bytes"), "{hint}");
}

#[test]
fn what_a_table_would_cut_or_fill_in_is_named() {
    assert_snapshot!(into_table("text", "'abcdef'", "varchar(5)"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a text that is too long for `varchar(5)`"#);
    // Even a strict server cuts spaces off.
    assert_snapshot!(into_table("text", "'abc   '", "varchar(5)"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a text that is too long for `varchar(5)`"#);
    assert_snapshot!(into_table("text", "repeat('é', 200)", "tinytext"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds a text that is too long for `tinytext`"#);
    // Even a strict server writes the time of now.
    assert_snapshot!(into_table("timestamptz", "null", "timestamp(6) not null default now(6)"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds NULL, and the table takes none"#);
    assert_snapshot!(into_table("int", "null", "int not null auto_increment unique"), @r#"Data: cannot commit partition `all`: column `v` of table "db.orders" holds NULL, and the table takes none"#);
    assert_snapshot!(into_table("text", "'数'", "varchar(5) character set latin1"), @r#"Data: cannot commit partition `all`: cannot write to table "db.orders": a row has a value that does not fit its column"#);
    assert_snapshot!(into_table("timestamptz", "'2100-01-01'", "timestamp(6) null"), @r#"Data: cannot commit partition `all`: cannot write to table "db.orders": a row has a value that does not fit its column"#);
}

#[test]
fn columns_that_cannot_take_every_value_are_refused_by_name() {
    assert_snapshot!(into_table("bigint", "1", "int"), @r#"Conflict: cannot commit partition `all`: table "db.orders" cannot take all rows as they are: it needs `v` as `bigint`"#);
    assert_snapshot!(into_table("timestamp", "'2024-01-01'", "datetime"), @r#"Conflict: cannot commit partition `all`: table "db.orders" cannot take all rows as they are: it needs `v` as `datetime(6)`"#);
    assert_snapshot!(into_table("text", "'a'", "char(5)"), @r#"Conflict: cannot commit partition `all`: table "db.orders" cannot take all rows as they are: it needs `v` as `longtext`"#);
    assert_snapshot!(into_table("numeric(12,4)", "1", "decimal(12,2)"), @r#"Conflict: cannot commit partition `all`: table "db.orders" cannot take all rows as they are: it needs `v` as `decimal(12,4)`"#);
}

#[test]
fn zero_is_no_wish_for_the_next_number() {
    let pair = Pair::mariadb("create table orders (id int primary key); insert into orders values (0), (1)");
    execute(
        &pair.target,
        "create table orders (id int primary key auto_increment)",
    );
    pair.run(None);
    assert_eq!(pair.ask("select group_concat(id order by id) from orders"), "0,1");
}

#[test]
fn tables_without_transactions_views_and_tables_that_others_refer_to_are_refused() {
    let pair = Pair::mariadb("create table orders (id int primary key); insert into orders values (1)");
    execute(
        &pair.target,
        "create table orders (id int primary key) engine = MyISAM",
    );
    assert_snapshot!(pair.refused(None), @r#"Invalid: cannot write to table "db.orders": its engine MyISAM has no transactions"#);
    execute(
        &pair.target,
        "drop table orders; create view orders as select 1 as id",
    );
    assert_snapshot!(pair.refused(None), @r#"Invalid: cannot write to table "db.orders": it is a view"#);
    execute(
        &pair.target,
        "drop view orders; create table orders (id int primary key); insert into orders values (1);
         create table notes (id int, foreign key (id) references orders (id) on delete cascade); insert into notes values (1)",
    );
    assert_snapshot!(pair.refused(None), @r#"Conflict: cannot commit partition `all`: cannot replace all rows of table "db.orders": foreign keys refer to it"#);
    assert_eq!(pair.ask("select count(*) from notes"), "1");
}

#[test]
fn keys_that_mysql_takes_for_the_same_are_not_looked_up() {
    let pair = Pair::postgres(
        "create table orders (k varchar(9) primary key, updated_at timestamptz not null default now());
         insert into orders (k) values ('a'); analyze orders",
    );
    pair.run(None);
    execute(
        &pair.target,
        "alter table orders modify k varchar(9) collate utf8mb4_general_ci not null",
    );
    pair.source.execute("insert into orders (k) values ('A')");
    assert_snapshot!(pair.refused(None), @r#"Conflict: cannot commit partition `updated_at`: cannot look rows of table "db.orders" up by `k`: its collation takes different texts for the same"#);
    assert_eq!(pair.ask("select group_concat(k) from orders"), "a");
}
