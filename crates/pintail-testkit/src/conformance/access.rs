//! The source is read and nothing else, with credentials that never show.

use pintail_lake::Call;
use pintail_lake::connector::{Connector, ScanRequest};
use pintail_model::{ErrorKind, Range, TableName};

use super::attached::{ALIAS, shown_text, whole_text};
use super::{Attached, Fixture};

pub fn is_read_only(fixture: &dyn Fixture) {
    fixture.fill_orders(50);
    let attached = Attached::new(fixture.connector());
    let request = attached.request("orders", Range::Whole);
    let before = attached.checksums_now(&request);
    for write in fixture.writes(ALIAS) {
        let written = attached.session().batch(Call::new("write to the source"), &write);
        assert!(written.is_err(), "{write}");
    }
    assert_eq!(attached.checksums_now(&request), before);
}

pub fn with_a_wrong_password_is_unauthorized(fixture: &dyn Fixture) {
    if let Some(connector) = fixture.wrong_password() {
        refused(connector, ErrorKind::Unauthorized, fixture);
    }
}

pub fn to_a_closed_port_is_unavailable(fixture: &dyn Fixture) {
    if let Some(connector) = fixture.closed_port() {
        refused(connector, ErrorKind::Unavailable, fixture);
    }
}

/// Attaching may not connect yet: then the first look at a table reports what is wrong.
fn refused(connector: Box<dyn Connector>, kind: ErrorKind, fixture: &dyn Fixture) {
    let error = match Attached::try_new(connector) {
        Err(error) => error,
        Ok(attached) => {
            let table = TableName::bare("orders");
            attached
                .connector()
                .describe(attached.session(), ALIAS, &table)
                .expect_err("it cannot be reached")
        }
    };
    assert_eq!(error.kind(), kind, "{}", whole_text(&error));
    assert_shows_no_password(&shown_text(&error), fixture);
}

pub fn leaves_no_secret_in_statements(fixture: &dyn Fixture) {
    fixture.fill_orders(5);
    let attached = Attached::new(fixture.connector());
    let connector = attached.connector();
    let key = Range::Key {
        column: "id".to_owned(),
        low: Some(1),
        high: None,
        with_null: false,
    };
    for range in [Range::Whole, key] {
        let request = attached.request("orders", range);
        let scan = connector.scan(ALIAS, &request);
        assert_eq!(
            scan,
            connector.scan(ALIAS, &request),
            "the same request is the same statement"
        );
        let ScanRequest { relation, range, .. } = &request;
        let count = connector.count(ALIAS, relation, range);
        let pushed_down = scan.pushed_down.unwrap_or_default();
        assert_shows_no_password(&format!("{} {pushed_down} {count}", scan.sql), fixture);
    }
    assert_shows_no_password(&connector.address(), fixture);
    assert_shows_no_password(&format!("{:?}", connector.attachment(ALIAS)), fixture);
    let databases = attached
        .session()
        .table(Call::new("list databases"), "from duckdb_databases()")
        .expect("the engine lists what it knows");
    assert_shows_no_password(&format!("{databases:?}"), fixture);
    let secrets = attached
        .session()
        .table(Call::new("list secrets"), "from duckdb_secrets()")
        .expect("the engine lists what it knows");
    assert_shows_no_password(&format!("{secrets:?}"), fixture);
}

fn assert_shows_no_password(text: &str, fixture: &dyn Fixture) {
    if let Some(password) = fixture.password() {
        assert!(!text.contains(&password), "{text}");
    }
}
