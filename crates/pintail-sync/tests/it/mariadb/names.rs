//! Names that are hard to quote.

use pintail_sync::{StopSignal, Unwatched};

use super::{Pair, execute};

#[test]
fn any_name_that_mysql_takes_comes_through() {
    let long = "n".repeat(63);
    let names = [
        "select",
        "Größe 数",
        "a.b",
        "it's",
        "say \"hi\"",
        "back`tick",
        "back\\slash",
        "per%cent?",
        "-- no",
        &long,
    ];
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let in_postgres = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for table in ["or`ders", "or\\ders", "Or.ders ä 'q' \"", "key", &long] {
        let columns: Vec<String> = names
            .iter()
            .map(|name| format!("{} varchar(9)", in_postgres(name)))
            .collect();
        let source = in_postgres(table);
        let pair = Pair::postgres(&format!(
            r#"create table {source} (id int primary key, {}, updated_at timestamptz not null default now());
               insert into {source} (id, "a.b", "back`tick", "back\slash") values (1, 'x', 'y', 'z'), (2, null, null, null);
               analyze {source}"#,
            columns.join(", ")
        ));
        for step in 0..3 {
            let mut request = pair.request(table, &pair.place(), (step == 1).then_some("full"));
            request.spec.destination.table = pintail_model::TableName::bare(table);
            let report = pintail_sync::run(&request, &Unwatched, &StopSignal::new())
                .unwrap_or_else(|error| panic!("{table}: {}", crate::served::described(&error)));
            assert!(step == 2 || report.kind == "full", "{table}: {}", report.reason);
            pair.assert_tidy();
            let read = format!(
                "select group_concat(id, ifnull(`a.b`, '-'), ifnull(`back``tick`, '-'), ifnull(`back\\slash`, '-') order by id) from {}",
                quoted(table)
            );
            let expected = if step == 2 { "1xy2,2---,3aaa" } else { "1xyz,2---" };
            assert_eq!(pair.ask(&read), expected, "{table}");
            if step == 1 {
                pair.source.execute(&format!(
                    r#"update {source} set "back\slash" = '2', updated_at = now() where id = 1;
                       insert into {source} (id, "a.b", "back`tick", "back\slash") values (3, 'a', 'a', 'a')"#
                ));
            }
        }
    }
}

#[test]
fn names_that_mysql_does_not_take_are_refused_before_anything_is_read() {
    let pair = Pair::postgres(
        "create table orders (id int primary key, \"ends with a space \" int, \"🦆\" text); analyze orders",
    );
    insta::assert_snapshot!(pair.refused(None), @r#"Invalid: cannot read table "public.orders" as asked: column `ends with a space ` cannot be written: MySQL takes no name that is empty or ends with a space; column `🦆` cannot be written: MySQL takes no letters beyond U+FFFF in names"#);
    let pair = Pair::postgres("create table orders (id int primary key); analyze orders");
    let long = "n".repeat(65);
    let mut request = pair.request("orders", &pair.place(), None);
    request.spec.destination.table = pintail_model::TableName::bare(&long);
    let error = pintail_sync::run(&request, &Unwatched, &StopSignal::new()).expect_err("it is too long");
    insta::assert_snapshot!(pair.shown(&error).replace(&long, "n…"), @r#"Invalid: there can be no table "db.n…": MySQL takes names of 64 letters at most"#);
}

#[test]
fn tables_that_differ_in_case_are_not_taken_for_each_other() {
    let pair = Pair::mariadb("create table orders (id int primary key); insert into orders values (1)");
    execute(&pair.target, "create table Orders (id int primary key)");
    insta::assert_snapshot!(pair.refused(None), @r#"Invalid: cannot write to table "db.orders": its name differs from "db.Orders" only in case"#);
    assert_eq!(pair.ask("select count(*) from Orders"), "0");
}
