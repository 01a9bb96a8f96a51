//! Others that commit to a table while both of its sides are compared.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use insta::assert_snapshot;
use pintail_model::LogicalType;
use pintail_sync::report::ParityStatus;
use pintail_sync::state::RunStatus;
use pintail_sync::{DataFolders, Error, Phase, Progress};

use super::places::{Copied, Kind, counts};
use super::{compare, loaded};
use crate::shop::Shop;

const ORDERS: &str = "create table orders (id bigint primary key, item text);
     insert into orders select i, 'item ' || i from generate_series(1, 200) as i; analyze orders";

const COLUMNS: &[(&str, LogicalType)] = &[("id", LogicalType::Int64), ("item", LogicalType::Text)];

/// Does something whenever a run is about to commit, so many times.
struct Meanwhile<F> {
    left: AtomicU32,
    act: F,
}

impl<F: Fn() + Sync> Meanwhile<F> {
    fn new(times: u32, act: F) -> Self {
        Self {
            left: AtomicU32::new(times),
            act,
        }
    }
}

impl<F: Fn() + Sync> Progress for Meanwhile<F> {
    fn phase(&self, phase: Phase) {
        let once_less = |left: u32| left.checked_sub(1);
        let left = &self.left;
        if phase == Phase::Committing
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, once_less)
                .is_ok()
        {
            (self.act)();
        }
    }
}

/// Changes the source, and has another process bring that in: of the same pipeline, with a state of its own.
fn overtake(copied: &Copied, change: &str) {
    copied.source.execute(change);
    let mut other = copied.request(Some("compare"));
    other.data = DataFolders::below(copied.path("other"));
    copied.run(&other);
}

/// What the other brought in is newer than what was staged, and stays.
#[test]
fn a_comparison_that_was_overtaken_is_made_again() {
    for kind in [
        Kind::Lake,
        Kind::SharedLake,
        Kind::Files,
        Kind::Postgres,
        Kind::MariaDb,
        Kind::Sqlite,
    ] {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        copied
            .source
            .execute("update orders set item = 'old' where id in (3, 4); delete from orders where id = 9");
        let other = Meanwhile::new(1, || {
            overtake(
                &copied,
                "update orders set item = 'new' where id = 3; insert into orders values (9, 'back'); \
                 delete from orders where id = 5",
            );
            copied
                .source
                .execute("update orders set item = 'newest' where id = 4");
        });
        let report = copied.watched(&copied.request(Some("compare")), &other);
        assert_eq!(counts(&report), (0, 1, 0), "{kind:?}");
        assert!(
            report
                .notes
                .iter()
                .any(|note| note.starts_with("another run committed to the table")),
            "{:?}",
            report.notes
        );
        let rows = copied.rows(COLUMNS);
        let some: Vec<&str> = rows.iter().map(String::as_str).take(8).collect();
        let wanted = [
            "1 item 1", "2 item 2", "3 new", "4 newest", "6 item 6", "7 item 7", "8 item 8", "9 back",
        ];
        assert_eq!(
            (rows.len(), some.as_slice()),
            (199, wanted.as_slice()),
            "{kind:?}"
        );
    }
}

#[test]
fn a_comparison_that_is_overtaken_again_and_again_gives_up() {
    let copied = Copied::new(Kind::Postgres, ORDERS);
    copied.run(&copied.request(None));
    copied
        .source
        .execute("update orders set item = 'old' where id = 3");
    let times = AtomicU32::new(0);
    let others = Meanwhile::new(u32::MAX, || {
        let time = times.fetch_add(1, Ordering::SeqCst);
        overtake(
            &copied,
            &format!("update orders set item = 'by another {time}' where id = 4"),
        );
        copied
            .source
            .execute(&format!("update orders set item = 'mine {time}' where id = 3"));
    });
    let request = copied.request(Some("compare"));
    let run = pintail_sync::run(&request, &others, &pintail_sync::StopSignal::new());
    let error = run.expect_err("nobody lets it through");
    assert_eq!(times.load(Ordering::SeqCst), 4);
    assert_snapshot!(crate::served::described(&error), @r#"both sides of table "public.orders" were compared 4 times, and each time another run committed to it meanwhile: nothing was committed"#);
    let rows = copied.rows(COLUMNS);
    assert!(
        rows.contains(&"4 by another 3".to_owned()),
        "what others brought in stays"
    );
    // Left alone, it goes through.
    assert_eq!(counts(&copied.run(&request)), (0, 1, 0));
}

/// One lock for all processes that share a state.
#[test]
fn two_runs_of_one_state_do_not_meet() {
    let copied = Copied::new(Kind::Lake, ORDERS);
    copied.run(&copied.request(None));
    copied
        .source
        .execute("update orders set item = 'old' where id = 3");
    let other = Meanwhile::new(1, || {
        let error = copied.try_run(&copied.request(Some("compare")));
        assert!(matches!(error, Err(Error::AlreadyRunning { .. })), "{error:?}");
    });
    let report = copied.watched(&copied.request(Some("compare")), &other);
    assert_eq!(counts(&report), (0, 1, 0));
}

fn paused(shop: &mut Shop) {
    shop.partitions = Some(4);
    shop.spec.limits.run_for = Some(Duration::ZERO);
    let report = shop.run(Some("everything"));
    assert_eq!(report.status, RunStatus::Paused);
    shop.spec.limits.run_for = None;
}

/// What the load had staged is left behind, and goes.
#[test]
fn a_comparison_passes_a_full_load_that_paused() {
    let mut shop = loaded(1_000);
    shop.change("update orders set item = 'changed' where id < 10; delete from orders where id = 500");
    paused(&mut shop);
    assert!(shop.files() > 1, "something is staged");
    assert_eq!(counts(&compare(&shop)), (0, 9, 1));
    let report = shop.run(Some("everything"));
    assert_eq!((report.kind.as_str(), report.resumed), ("full", false));
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (999, ParityStatus::Ok)
    );
    assert_eq!(shop.differences(), "0");
    assert_eq!(counts(&compare(&shop)), (0, 0, 0));
}
