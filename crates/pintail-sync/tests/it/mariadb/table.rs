//! What becomes of the table that is there.

use std::sync::atomic::{AtomicBool, Ordering};

use insta::assert_snapshot;
use mysql::prelude::Queryable;
use pintail_model::checksum::bytes_word;
use pintail_sync::spec::{HashSpec, StrategyKind, StrategySpec};
use pintail_sync::{StopSignal, Unwatched};

use super::{Pair, ask, execute, types};

const ORDERS: &str = "create table orders (id bigint primary key, item varchar(40), updated_at timestamp(6) not null default now(6));
     insert into orders select seq, concat('item ', seq), now(6) - interval 1 day from seq_1_to_500";

/// Rows that a delta follows: their server's transactions are nobody else's.
const FOLLOWED: &str = "create table orders (id bigint primary key, item varchar(40), updated_at timestamptz not null default now());
     insert into orders select id, 'item ' || id, now() - interval '1 day' from generate_series(1, 500) as ids (id);
     analyze orders";

#[test]
fn a_table_that_is_absent_is_made_with_the_types_of_the_source() {
    let pair = Pair::mariadb(ORDERS);
    let report = pair.run(None);
    assert_eq!((report.kind.as_str(), report.rows_inserted), ("full", 500));
    pair.assert_equal();
    assert_snapshot!(types(&pair.target), @"id bigint(20)!, item varchar(40), updated_at timestamp(6)!");
    let key = "select group_concat(column_name) from information_schema.statistics
               where table_schema = database() and table_name = 'orders' and index_name = 'PRIMARY'";
    assert_eq!(pair.ask(key), "id");
}

#[test]
fn texts_of_a_new_key_are_compared_by_their_bytes() {
    let pair = Pair::postgres(
        "create table orders (name text, blob bytea, n int, primary key (name, blob));
         insert into orders values ('a', '', 1), ('A', '', 2), ('a ', '', 3), ('ä', '', 4), ('a', '\\x00', 5); analyze orders",
    );
    pair.run(None);
    assert_eq!(pair.ask("select count(*) from orders"), "5");
    assert_snapshot!(types(&pair.target), @"name varchar(384)!, blob varbinary(1536)!, n int(11)");
}

#[test]
fn a_delta_replaces_by_key_and_leaves_other_columns_alone() {
    let pair = Pair::postgres(FOLLOWED);
    pair.run(None);
    execute(
        &pair.target,
        "alter table orders add remark varchar(9) default 'ours'; update orders set remark = 'seen' where id = 7",
    );
    pair.source.execute(
        "update orders set item = 'changed', updated_at = now() where id % 50 = 7; insert into orders values (1000, null, now())",
    );
    let report = pair.run(None);
    assert_eq!(
        (report.kind.as_str(), report.rows_updated, report.rows_inserted),
        ("delta", 10, 1)
    );
    assert_eq!(
        pair.ask("select concat(item, ' ', remark) from orders where id = 7"),
        "changed seen"
    );
    assert_eq!(pair.ask("select remark from orders where id = 1000"), "ours");
    assert_eq!(pair.ask("select count(*) from pintail_ledger"), "2");
}

#[test]
fn a_delta_keeps_rows_that_are_newer() {
    let pair = Pair::postgres(FOLLOWED);
    pair.run(None);
    execute(
        &pair.target,
        "update orders set item = 'ours', updated_at = now(6) + interval 1 hour where id = 3",
    );
    pair.source
        .execute("update orders set item = 'theirs', updated_at = now() where id in (3, 4)");
    let report = pair.run(None);
    assert_eq!((report.kind.as_str(), report.rows_updated), ("delta", 1));
    assert_eq!(
        pair.ask("select group_concat(item order by id) from orders where id in (3, 4)"),
        "ours,theirs"
    );
}

#[test]
fn a_delta_works_without_a_unique_index() {
    let pair = Pair::postgres(FOLLOWED);
    pair.run(None);
    execute(&pair.target, "alter table orders drop primary key");
    pair.source.execute(
        "update orders set item = 'changed', updated_at = now() where id <= 3; insert into orders values (1000, 'new', now())",
    );
    let report = pair.run(None);
    assert_eq!((report.rows_updated, report.rows_inserted), (3, 1));
    assert_eq!(
        pair.ask("select concat(count(*), ' ', sum(item = 'changed')) from orders"),
        "501 3"
    );
}

#[test]
fn another_unique_index_never_chooses_the_row_that_is_replaced() {
    let pair = Pair::postgres(FOLLOWED);
    pair.run(None);
    execute(&pair.target, "create unique index items on orders (item)");
    // Row 1001 has the item of row 5, which must stay as it is.
    pair.source.execute(
        "update orders set item = 'changed', updated_at = now() where id = 3; insert into orders values (1001, 'item 5', now())",
    );
    assert_snapshot!(pair.refused(None), @r#"Data: cannot commit partition `updated_at`: cannot write to table "db.orders": a row breaks a constraint of the table: a key that stands twice or is missing, a check, a reference"#);
    assert_eq!(
        pair.ask("select group_concat(id, ' ', item order by id) from orders where id in (3, 5, 1001)"),
        "3 item 3,5 item 5"
    );
    pair.source
        .execute("update orders set item = 'other' where id = 1001");
    let report = pair.run(None);
    assert_eq!((report.rows_updated, report.rows_inserted), (1, 1));
}

#[test]
fn a_delta_exchanges_unique_values() {
    let pair = Pair::postgres(FOLLOWED);
    pair.run(None);
    execute(&pair.target, "create unique index items on orders (item(20))");
    pair.source.execute(
        "update orders set item = case id when 1 then 'item 2' else 'item 1' end, updated_at = now() where id in (1, 2)",
    );
    let report = pair.run(None);
    assert_eq!((report.kind.as_str(), report.rows_updated), ("delta", 2));
    assert_eq!(
        pair.ask("select group_concat(item order by id) from orders where id in (1, 2, 3)"),
        "item 2,item 1,item 3"
    );
    pair.assert_tidy();
}

#[test]
fn a_comparison_brings_in_what_differs_and_takes_away_what_is_gone() {
    let pair = Pair::postgres(FOLLOWED);
    pair.run(None);
    execute(
        &pair.target,
        "update orders set item = 'somebody' where id = 3; insert into orders values (9999, 'strange', now(6))",
    );
    pair.source
        .execute("delete from orders where id between 10 and 12; insert into orders values (1000, 'new')");
    let mut request = pair.request("orders", &pair.place(), Some("compare"));
    let hash = StrategyKind::Hash(HashSpec::default());
    request.spec.strategies.push(StrategySpec::new("compare", hash));
    let report = pintail_sync::run(&request, &Unwatched, &StopSignal::new())
        .unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
    assert_eq!(
        (report.rows_inserted, report.rows_updated, report.rows_deleted),
        (1, 1, 4)
    );
    pair.assert_tidy();
    assert_eq!(
        pair.ask("select concat(count(*), ' ', sum(id), ' ', max(id)) from orders"),
        format!("498 {} 1000", 500 * 501 / 2 - 33 + 1000)
    );
}

#[test]
fn a_full_load_keeps_what_belongs_to_the_table() {
    let pair = Pair::mariadb(ORDERS);
    pair.run(None);
    execute(
        &pair.target,
        "create index items on orders (item); alter table orders add constraint positive check (id > 0), alter item set default 'none'",
    );
    pair.source
        .execute("update orders set item = 'x' where id > 400; delete from orders where id = 9");
    let report = pair.run(Some("full"));
    assert_eq!((report.rows_deleted, report.rows_inserted), (500, 499));
    pair.assert_equal();
    let made = pair.ask("select concat((select count(*) from information_schema.statistics where table_schema = database() and table_name = 'orders'), ' ',
            (select count(*) from information_schema.check_constraints where constraint_schema = database() and constraint_name = 'positive'), ' ',
            (select column_default from information_schema.columns where table_schema = database() and column_name = 'item' and table_name = 'orders'))");
    assert_eq!(made, "2 1 'none'");
}

#[test]
fn a_table_whose_columns_changed_is_made_anew_by_a_full_load() {
    let pair = Pair::mariadb(ORDERS);
    pair.run(None);
    pair.source.execute(
        "alter table orders add price decimal(12,2) not null default 1.5, drop item, add item int unsigned",
    );
    let report = pair.run(None);
    assert_eq!((report.kind.as_str(), report.rows_deleted), ("full", 500));
    pair.assert_equal();
    assert_snapshot!(types(&pair.target), @"id bigint(20)!, updated_at timestamp(6)!, price decimal(12,2)!, item int(10) unsigned");
}

#[test]
fn a_table_may_lie_in_another_database_of_the_server() {
    let pair = Pair::mariadb(ORDERS);
    let other = format!("{}_other", pair.target.name());
    let request = pair.request(
        "orders",
        &format!("{}?table={other}.orders", pair.target.url()),
        None,
    );
    for _ in 0..2 {
        pintail_sync::run(
            &request,
            &pintail_sync::Unwatched,
            &pintail_sync::StopSignal::new(),
        )
        .unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
    }
    assert_eq!(pair.ask(&format!("select count(*) from {other}.orders")), "500");
    assert_eq!(
        pair.ask("select min(target) from pintail_ledger"),
        format!("{other}.orders")
    );
    pair.assert_tidy();
}

#[test]
fn readers_never_see_half_of_a_load() {
    let pair = Pair::mariadb(ORDERS);
    pair.run(None);
    let (over, seen) = (AtomicBool::new(false), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut client = pair.target.client();
            let mut states = std::collections::BTreeSet::new();
            let mut look = || -> u64 { client.query_first("select sum(id) from orders").unwrap().unwrap() };
            states.insert(look());
            seen.wait();
            while !over.load(Ordering::Acquire) {
                states.insert(look());
            }
            states.insert(look());
            states
        });
        seen.wait();
        pair.source.execute("delete from orders where id > 250");
        pair.run(Some("full"));
        pair.source
            .execute("insert into orders select seq, 'new', now(6) from seq_1001_to_1100");
        pair.run(None);
        over.store(true, Ordering::Release);
        let states: Vec<u64> = reader.join().expect("a reader").into_iter().collect();
        let whole = [250 * 251 / 2, 500 * 501 / 2, 250 * 251 / 2 + 105_050];
        assert!(states.iter().all(|state| whole.contains(state)), "{states:?}");
        assert!(states.len() >= 2, "{states:?}");
    });
}

#[test]
fn two_runs_into_one_table_take_turns() {
    let pair = Pair::mariadb(ORDERS);
    let place = pair.place();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|number| {
                let mut request = pair.request("orders", &place, Some("full"));
                request.data =
                    pintail_sync::DataFolders::below(pair.folder.path().join(format!("data {number}")));
                scope.spawn(move || {
                    pintail_sync::run(
                        &request,
                        &pintail_sync::Unwatched,
                        &pintail_sync::StopSignal::new(),
                    )
                })
            })
            .collect();
        for run in runs {
            run.join()
                .expect("no panic")
                .unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
        }
    });
    pair.assert_tidy();
    pair.assert_equal();
    assert_eq!(ask(&pair.target, "select max(fence) from pintail_ledger"), "3");
}

#[test]
fn a_table_that_changes_while_its_lock_is_waited_for_is_looked_at_again() {
    let pair = Pair::mariadb(ORDERS);
    pair.run(None);
    let name = format!("{}\0orders", pair.target.name());
    let lock = format!("pintail {:016x}", bytes_word(name.as_bytes()));
    let meanwhile = |change: &str| {
        let mut holder = pair.target.client();
        let got: Option<u8> = holder
            .query_first(format!("select get_lock('{lock}', 0)"))
            .expect("a server");
        assert_eq!(got, Some(1));
        let request = pair.request("orders", &pair.place(), Some("full"));
        std::thread::scope(|scope| {
            let run = scope.spawn(|| pintail_sync::run(&request, &Unwatched, &StopSignal::new()));
            execute(&pair.target, WAITS_FOR_LOCK);
            holder.query_drop(change).expect("a change");
            drop(holder);
            run.join().expect("a run")
        })
    };
    for change in [
        "alter table orders modify updated_at datetime not null",
        "alter table orders drop column item",
        "drop table orders",
    ] {
        let report = meanwhile(change);
        let report = report.unwrap_or_else(|error| panic!("{change}: {}", crate::served::described(&error)));
        assert_eq!(report.rows_inserted, 500, "{change}");
        pair.assert_tidy();
        pair.assert_equal();
    }
}

/// Comes back when somebody waits for a lock in the database.
const WAITS_FOR_LOCK: &str = "begin not atomic
     declare attempt int default 0;
     while (select count(*) from information_schema.processlist where db = database() and state = 'User lock') = 0 do
         set attempt = attempt + 1;
         if attempt > 6000 then
             signal sqlstate '45000' set message_text = 'nobody waits for the lock';
         end if;
         do sleep(0.01);
     end while;
 end";
