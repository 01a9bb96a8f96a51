//! How rows travel.

use pintail_lake::Call;
use pintail_testkit::conformance::Attached;

use super::fixture::{MySqlFixture, connect};

const ASK: &str = "select answer from mysql_query('outside', 'select variable_value as answer from \
     information_schema.session_status where variable_name = ''COMPRESSION''')";

#[track_caller]
fn check(parameters: &str, expected: &str) {
    let fixture = MySqlFixture::new();
    let url = format!("{}{parameters}", fixture.database().url());
    let attached = Attached::new(connect(&url));
    let call = Call::new("ask for the compression of the session");
    let rows = attached.session().query(call, ASK).unwrap();
    assert_eq!(rows[0].text(0), Some(expected), "{parameters}");
}

#[test]
fn rows_travel_as_they_are_unless_compression_is_wanted() {
    check("", "OFF");
    check("?compression=preferred", "ON");
    check("?compression=disabled", "OFF");
}
