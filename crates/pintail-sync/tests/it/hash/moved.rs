//! Values that only one row can have, and that move from one row to another.

use insta::assert_snapshot;
use pintail_model::{ErrorKind, LogicalType};
use pintail_sync::{StopSignal, Unwatched};

use super::places::{Copied, Kind, counts};
use crate::served::described;

const ORDERS: &str = "create table orders (id bigint primary key, code int not null, item text);
     insert into orders select i, i, 'item ' || i from generate_series(1, 100) as i; analyze orders";

const COLUMNS: &[(&str, LogicalType)] = &[("id", LogicalType::Int64), ("code", LogicalType::Int32)];

/// The row that has the code of one that went comes in after that one is gone.
#[test]
fn a_unique_value_moves_from_a_deleted_row_to_another() {
    for kind in Kind::UNIQUE {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        copied.execute("create unique index codes on orders (code)");
        // One value goes to a row that is new, and one to a row that is there.
        copied.source.execute(
            "delete from orders where id in (7, 8);
             insert into orders values (107, 7, 'new'); update orders set code = 8 where id = 50",
        );
        let report = copied.run(&copied.request(Some("compare")));
        assert_eq!(counts(&report), (1, 1, 2), "{kind:?}");
        let rows = copied.rows(COLUMNS);
        assert_eq!(rows.len(), 99, "{kind:?}");
        for row in ["107 7", "50 8", "9 9"] {
            assert!(rows.iter().any(|found| found == row), "{kind:?}: {row}");
        }
    }
}

/// Rows that come in one by one would meet those that have their values still.
#[test]
fn unique_values_are_exchanged() {
    for kind in Kind::UNIQUE {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        copied.execute("create unique index codes on orders (code)");
        // Two rows exchange their values, three pass theirs on in a circle, and the value of a row that goes comes to another
        // one, whose own comes to one that is new.
        copied.source.execute(
            "update orders set code = case id when 1 then 2 else 1 end where id in (1, 2);
             update orders set code = case id when 11 then 12 when 12 then 13 else 11 end where id in (11, 12, 13);
             delete from orders where id = 21; update orders set code = 21 where id = 22;
             insert into orders values (122, 22, 'new')",
        );
        let report = copied.run(&copied.request(Some("compare")));
        assert_eq!(counts(&report), (1, 6, 1), "{kind:?}");
        let rows = copied.rows(COLUMNS);
        assert_eq!(rows.len(), 100, "{kind:?}");
        for row in ["1 2", "2 1", "11 12", "12 13", "13 11", "22 21", "122 22", "3 3"] {
            assert!(rows.iter().any(|found| found == row), "{kind:?}: {row}");
        }
        assert_eq!(counts(&copied.run(&copied.request(Some("compare")))), (0, 0, 0));
    }
}

#[test]
fn columns_that_are_not_copied_stay_with_rows_that_exchange_values() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        copied.execute("create unique index codes on orders (code)");
        copied.execute("alter table orders add column seen int default 7");
        copied.execute("alter table orders add column twice int generated always as (seen * 2) stored");
        copied.execute("update orders set seen = id + 1000 where id < 50");
        copied.source.execute(
            "update orders set code = case id when 1 then 2 else 1 end where id in (1, 2);
             insert into orders values (200, 200, 'new')",
        );
        let report = copied.run(&copied.request(Some("compare")));
        assert_eq!(counts(&report), (1, 2, 0), "{kind:?}");
        let rows = copied.rows(&[
            ("id", LogicalType::Int64),
            ("code", LogicalType::Int32),
            ("seen", LogicalType::Int32),
            ("twice", LogicalType::Int32),
        ]);
        for row in ["1 2 1001 2002", "2 1 1002 2004", "3 3 1003 2006", "200 200 7 14"] {
            assert!(rows.iter().any(|found| found == row), "{kind:?}: {row}");
        }
    }
}

#[test]
fn values_that_are_unique_in_part_or_in_an_expression_are_exchanged() {
    let copied = Copied::new(Kind::Postgres, ORDERS);
    copied.run(&copied.request(None));
    copied.execute(
        "create unique index codes on orders (code) where code < 50;
         create unique index items on orders (lower(item));
         alter table orders add constraint apart exclude using btree (code with =)",
    );
    copied.source.execute(
        "update orders set code = case id when 1 then 2 else 1 end, item = case id when 1 then 'ITEM 2' else 'Item 1' end
         where id in (1, 2)",
    );
    let report = copied.run(&copied.request(Some("compare")));
    assert_eq!(counts(&report), (0, 2, 0));
    assert_eq!(copied.rows(COLUMNS)[..2], ["1 2", "2 1"]);
}

/// The rows are away for no longer than a statement.
#[test]
fn rows_that_others_refer_to_exchange_values_in_postgres() {
    let copied = Copied::new(Kind::Postgres, ORDERS);
    copied.run(&copied.request(None));
    copied.execute(
        "create unique index codes on orders (code);
         create table notes (id bigint references orders); insert into notes values (1), (2)",
    );
    copied
        .source
        .execute("update orders set code = case id when 1 then 2 else 1 end where id in (1, 2)");
    let report = copied.run(&copied.request(Some("compare")));
    assert_eq!(counts(&report), (0, 2, 0));
    assert_eq!(copied.rows(COLUMNS)[..2], ["1 2", "2 1"]);
}

#[test]
fn a_foreign_key_that_acts_keeps_rows_where_they_are() {
    let swap = "update orders set code = case id when 1 then 2 else 1 end where id in (1, 2)";
    for (kind, references) in [
        (
            Kind::Postgres,
            "create table notes (id bigint constraint of_order references orders on delete cascade)",
        ),
        (
            Kind::MariaDb,
            "create table notes (id bigint, constraint of_order foreign key (id) references orders (id))",
        ),
    ] {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        copied.execute("create unique index codes on orders (code)");
        copied.execute(references);
        copied.execute("insert into notes values (1), (2)");
        copied.source.execute(swap);
        let request = copied.request(Some("compare"));
        let error = pintail_sync::run(&request, &Unwatched, &StopSignal::new());
        let error = error.expect_err("there is no room");
        assert_eq!(error.kind(), ErrorKind::Data, "{kind:?}");
        let message = described(&error);
        let (_, why) = message.split_once(".orders\": ").expect("it names the table");
        insta::allow_duplicates! {
            assert_snapshot!(why, @r#"a row breaks a constraint of the table, and rows cannot make room for each other, because the foreign key `of_order` of table "notes" refers to them"#);
        }
        assert_eq!(copied.rows(COLUMNS)[..2], ["1 1", "2 2"], "{kind:?}");
        let left = copied.rows_of("notes", &[("id", LogicalType::Int64)]);
        assert_eq!(left, ["1", "2"], "{kind:?}");
        // A change that exchanges nothing comes in as ever.
        copied
            .source
            .execute("update orders set code = id; update orders set code = 1000 where id = 1");
        assert_eq!(counts(&copied.run(&request)), (0, 1, 0), "{kind:?}");
    }
}
