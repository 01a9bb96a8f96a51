//! A snapshot is one state of the source, for every session that joined it and for every way to read.

use pintail_model::Range;

use super::attached::ALIAS;
use super::{Attached, Fixture};

const ROWS: u32 = 30_000;

const CHANGES: &str = "delete from orders where id % 3 = 0; update orders set note = 'late' where id % 3 = 1";

pub fn show_one_state_to_all_sessions(fixture: &dyn Fixture) {
    fixture.fill_orders(ROWS);
    let attached = Attached::new(fixture.connector());
    let whole = attached.request("orders", Range::Whole);
    let range = |low, high| Range::Key {
        column: "id".to_owned(),
        low,
        high,
        with_null: false,
    };
    let parts = [range(None, Some(10_000)), range(Some(10_000), None)];
    let parts = parts.map(|range| attached.request("orders", range));
    let before = attached.checksums_now(&whole);

    let first = attached.another_session();
    let id = attached
        .connector()
        .begin_snapshot(&first, ALIAS)
        .expect("a snapshot opens");
    assert_eq!(id.is_some(), attached.connector().capabilities().shared_snapshot);
    if !fixture.keeps_writers_out() {
        fixture.execute(CHANGES);
    }
    let mut sessions = vec![first];
    if let Some(id) = id {
        // Joined after the change, and still the state before it.
        for _ in 0..2 {
            let session = attached.another_session();
            attached
                .connector()
                .join_snapshot(&session, ALIAS, &id)
                .expect("an open snapshot is joined");
            sessions.push(session);
        }
    }
    for session in &sessions {
        assert_eq!(attached.checksums(session, &whole), before);
        assert_eq!(
            attached.count(session, &whole.relation, &Range::Whole),
            u64::from(ROWS)
        );
        let mut sum = attached.checksums(session, &parts[0]);
        sum.merge(&attached.checksums(session, &parts[1]));
        assert_eq!(sum, before);
    }
    sessions.iter().rev().for_each(pintail_lake::Session::rollback);
}

pub fn end_with_their_transaction(fixture: &dyn Fixture) {
    fixture.fill_orders(100);
    if fixture.keeps_writers_out() {
        return;
    }
    let attached = Attached::new(fixture.connector());
    let whole = attached.request("orders", Range::Whole);
    let session = attached.another_session();
    attached
        .connector()
        .begin_snapshot(&session, ALIAS)
        .expect("a snapshot opens");
    let before = attached.checksums(&session, &whole);
    fixture.execute(CHANGES);
    session.rollback();
    let after = attached.checksums_now(&whole);
    assert_ne!(after, before);
    assert_eq!(after.total().rows, 67);
}
