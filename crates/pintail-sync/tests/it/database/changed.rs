//! Destinations that do not keep rows as they are written: nothing of such a commit stays.

use insta::assert_snapshot;
use pintail_model::ErrorKind;

use super::Pair;
use crate::served::described;

const ORDERS: &str = "create table orders (id int primary key, item text, amount numeric(10,2), updated_at timestamptz not null);
    insert into orders values (1, 'pen', 1.50, now() - interval '1 hour'), (2, 'ink', 2.50, now() - interval '1 hour')";

/// Loads the table, lets the destination change what is written from now on, and tells how the next run of `strategy` ends.
fn refused(strategy: &str, change: &str) -> String {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    let kept =
        || pair.ask("select string_agg(concat_ws(' ', id, item, amount), ', ' order by id) from shop.orders");
    let ledger = || pair.ask("select string_agg(partition_key, ' ' order by 1) from pintail.ledger");
    let before = (kept(), ledger());
    pair.target.execute(&format!(
        "create function changed() returns trigger language plpgsql as $$ begin {change}; return new; end $$;
         create trigger changes before insert or update on shop.orders for each row execute function changed()"
    ));
    pair.source
        .execute("update orders set item = 'cup', amount = 7, updated_at = now() where id = 2");
    let error = pair
        .try_run(Some(strategy))
        .expect_err("the table does not keep what is written");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!((kept(), ledger()), before);
    // Once the table takes rows as they are, the run goes through.
    pair.target.execute("drop trigger changes on shop.orders");
    pair.run(Some(strategy));
    pair.assert_equal();
    let told = described(&error);
    // The name of a delta's partition has instants in it.
    told.split_once("`: ").expect("it names a partition").1.to_owned()
}

#[test]
fn a_trigger_that_changes_values_ends_a_commit() {
    let change = "new.item := upper(new.item)";
    assert_snapshot!(refused("delta", change), @r#"table "shop.orders" does not keep the values of `item` as they are: nothing was committed"#);
    assert_snapshot!(refused("full", change), @r#"table "shop.orders" does not keep the values of `item` as they are: nothing was committed"#);
    let both = "new.amount := new.amount + 1; new.item := upper(new.item)";
    assert_snapshot!(refused("delta", both), @r#"table "shop.orders" does not keep the values of `item`, `amount` as they are: nothing was committed"#);
}

#[test]
fn a_trigger_that_swallows_rows_ends_a_commit() {
    let change = "if new.id = 2 then return null; end if";
    assert_snapshot!(refused("delta", change), @r#"table "shop.orders" does not keep the values of `item`, `amount`, `updated_at` as they are: nothing was committed"#);
    assert_snapshot!(refused("full", change), @r#"table "shop.orders" has 1 rows of 2 that were written: nothing was committed"#);
}
