//! The answer to COMMIT is lost between a run and the database: nothing is lost, nothing is doubled.

use std::time::Duration;

use pintail_sync::{StopSignal, SyncReport, Unwatched};
use pintail_testkit::{Fault, PostgresServer, TcpProxy, Trap};

use super::Pair;

const LIMIT: Duration = Duration::from_secs(60);

const ORDERS: &str = "create table orders (id bigint primary key, item text, updated_at timestamptz not null);
     insert into orders select id, 'item-' || id, now() - interval '1 day' from generate_series(1, 500) as ids (id);
     analyze orders";

/// What a run writes last before COMMIT.
const LEDGER: &str = r#"COPY "pintail"."ledger""#;

/// A run that reaches the destination through a proxy.
fn run_into(pair: &Pair, trap: Trap, strategy: Option<&str>) -> SyncReport {
    let proxy = TcpProxy::start(PostgresServer::shared().address());
    let name = pair.target.name();
    let request = pair.request(
        &format!("postgres://postgres@127.0.0.1:{}/{name}", proxy.port()),
        strategy,
    );
    proxy.arm(trap);
    let report = pintail_sync::run(&request, &Unwatched, &StopSignal::new())
        .unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
    assert!(proxy.wait_fired(LIMIT), "the trap was not sprung");
    report
}

fn change(pair: &Pair) {
    pair.source.execute(
        "update orders set item = 'changed', updated_at = now() where id % 3 = 0;
         insert into orders values (1000, 'new', now())",
    );
}

#[test]
fn a_full_load_whose_answer_is_lost_is_in_once() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    change(&pair);
    let report = run_into(
        &pair,
        Trap::new(Fault::SwallowCommitAnswer).after_query(LEDGER),
        Some("full"),
    );
    assert_eq!((report.commits.count, report.commits.asked), (1, 1));
    pair.assert_equal();
}

#[test]
fn a_delta_whose_answer_is_lost_is_in_once() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    change(&pair);
    let report = run_into(
        &pair,
        Trap::new(Fault::SwallowCommitAnswer).after_query(LEDGER),
        None,
    );
    assert_eq!((report.kind.as_str(), report.commits.asked), ("delta", 1));
    assert_eq!((report.rows_updated, report.rows_inserted), (166, 1));
    pair.assert_equal();
    assert_eq!(pair.ask("select count(*)::text from pintail.ledger"), "2");
}

#[test]
fn a_commit_that_did_not_arrive_is_made_again() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    change(&pair);
    let report = run_into(&pair, Trap::new(Fault::CutBeforeCommit).after_query(LEDGER), None);
    assert_eq!((report.kind.as_str(), report.commits.asked), ("delta", 1));
    pair.assert_equal();
}

#[test]
fn a_commit_that_was_sent_when_the_connection_broke_is_in_once() {
    for strategy in [Some("full"), None] {
        let pair = Pair::new(ORDERS);
        pair.run(None);
        change(&pair);
        let report = run_into(
            &pair,
            Trap::new(Fault::CutAfterCommit).after_query(LEDGER),
            strategy,
        );
        assert_eq!((report.commits.count, report.commits.asked), (1, 1));
        pair.assert_equal();
        assert_eq!(pair.ask("select count(*)::text from pintail.ledger"), "2");
    }
}

#[test]
fn an_answer_is_not_final_while_the_database_still_commits() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    change(&pair);
    let proxy = TcpProxy::start(PostgresServer::shared().address());
    let request = pair.request(&proxy.url(pair.target.name()), None);
    proxy.arm(Trap::new(Fault::HoldAndCut).after_query(LEDGER));
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| pintail_sync::run(&request, &Unwatched, &StopSignal::new()));
        assert!(proxy.wait_fired(LIMIT));
        // The run asks on a fresh connection, and waits for the transaction that it lost.
        pair.target.execute(
            "do $$
             begin
                 for attempt in 1..6000 loop
                     if exists (select 1 from pg_locks where locktype = 'advisory' and not granted
                                and database = (select oid from pg_database where datname = current_database())) then
                         return;
                     end if;
                     perform pg_sleep(0.01);
                 end loop;
                 raise exception 'nobody waits for the undecided commit';
             end $$",
        );
        proxy.release();
        run.join().expect("a run")
    });
    let report = report.unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
    assert_eq!((report.commits.count, report.commits.asked), (1, 1));
    assert_eq!((report.rows_updated, report.rows_inserted), (166, 1));
    pair.assert_equal();
    assert_eq!(pair.ask("select count(*)::text from pintail.ledger"), "2");
}
