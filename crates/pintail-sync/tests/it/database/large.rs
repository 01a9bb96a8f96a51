//! Large loads, whose rows are copied over several connections before the transaction that puts them in their place.

use pintail_model::ErrorKind;

use super::Pair;

/// So many rows that every session gets some of them.
const ROWS: u32 = 300_000;

fn orders(columns: &str, values: &str) -> String {
    format!(
        "create table orders (id int primary key, {columns});
         insert into orders select i, {values} from generate_series(1, {ROWS}) as i; analyze orders"
    )
}

#[test]
fn every_row_comes_in_once() {
    let pair = Pair::new(&orders("item text not null", "'item ' || i"));
    for _ in 0..2 {
        // Into a new table, and then into one like the table that is there.
        assert_eq!(pair.run(Some("full")).rows_inserted, u64::from(ROWS));
        pair.assert_equal();
    }
    let key = pair.ask("select string_agg(conname, ' ') from pg_constraint where conrelid = 'shop.orders'::regclass and contype = 'p'");
    assert_eq!(key, "orders_pkey");
    let comment = pair.ask("select coalesce(obj_description('shop.orders'::regclass, 'pg_class'), 'none')");
    assert_eq!(comment, "none");
}

#[test]
fn documents_and_what_travels_as_text_come_in_as_well() {
    let documents = "meta jsonb, note text";
    let pair = Pair::new(&orders(
        documents,
        "jsonb_build_object('n', i), nullif('note ' || i % 7, 'note 3')",
    ));
    pair.run(Some("full"));
    pair.assert_equal();
    let as_text = "meta jsonb, amount numeric, mood text, tags text[]";
    let values = "jsonb_build_object('n', i), i::numeric / 7, 'ok', array['a', null, 'tag ' || i % 5]";
    let pair = Pair::new(&orders(as_text, values));
    pair.run(Some("full"));
    pair.assert_equal();
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    let pair = Pair::new(&orders("item text", "'item ' || i"));
    pair.run(Some("full"));
    // The new table is like the one that is there, and takes the last share of the rows not.
    pair.target
        .execute("alter table shop.orders add constraint few check (id < 290000) not valid");
    let error = pair.try_run(Some("full")).expect_err("a row is refused");
    assert_eq!(error.kind(), ErrorKind::Data);
    let tables = pair.ask(
        "select string_agg(relname, ' ' order by relname) from pg_class \
         where relnamespace = 'pintail'::regnamespace and relkind in ('r', 'v')",
    );
    assert_eq!(tables, "ledger");
    assert_eq!(
        pair.ask("select count(*)::text from shop.orders"),
        ROWS.to_string()
    );
}

#[test]
fn what_a_killed_load_left_behind_goes_with_the_next_run() {
    let pair = Pair::new(&orders("item text", "'item ' || i"));
    pair.run(Some("full"));
    pair.target
        .execute("alter table shop.orders add constraint few check (id < 290000) not valid");
    pair.try_run(Some("full")).expect_err("a row is refused");
    let report = pair.folder.path().join("data/metrics/orders/latest_run.json");
    let report = std::fs::read_to_string(report).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let failed = report["run_id"].as_str().expect("a run");
    // As if it had been killed before it could clean up.
    let comment = |run: &str| format!("made by Pintail for run {run}, which fills it");
    pair.target.execute(&format!(
        "create table pintail.side_dead (id int); comment on table pintail.side_dead is '{}';
         create table pintail.side_living (id int); comment on table pintail.side_living is '{}';
         alter table shop.orders drop constraint few",
        comment(failed),
        comment("of-somebody-else")
    ));
    pair.run(Some("full"));
    // That of others is none of ours.
    pair.target.execute("drop table pintail.side_living");
    pair.assert_equal();
}
