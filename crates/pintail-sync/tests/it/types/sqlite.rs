//! Numbers that a SQLite file would change in silence.

use insta::assert_snapshot;
use pintail_sync::report::Failure;
use pintail_testkit::PostgresServer;

use crate::journey::Journey;

/// What a number is refused with, by runs that compare nothing as well.
#[track_caller]
fn refused(declared: &str, value: &str) -> String {
    let (database, journey) = (PostgresServer::shared().fresh_database(), Journey::new());
    database.execute(&format!(
        "create table orders (id int primary key, v {declared}); insert into orders values (1, {value}), (2, 0), (3, null)"
    ));
    let mut request = journey.request(&database.url(), "sqlite:copy.sqlite?table=orders");
    request.parity = false;
    let run = pintail_sync::run(
        &request,
        &pintail_sync::Unwatched,
        &pintail_sync::StopSignal::new(),
    );
    let error = run.expect_err("it is refused");
    format!("{:?}: {}", error.kind(), Failure::of(&error).message)
}

#[test]
fn numbers_that_sqlite_would_change_are_refused() {
    assert_snapshot!(refused("float8", "'NaN'"), @r#"Data: cannot commit partition `all`: column `v` of table "orders" holds NaN, which SQLite cannot hold"#);
    assert_snapshot!(refused("float8", "'-0'"), @r#"Data: cannot commit partition `all`: column `v` of table "orders" holds -0.0, of which SQLite would make 0"#);
    assert_snapshot!(refused("real", "'-0'"), @r#"Data: cannot commit partition `all`: column `v` of table "orders" holds -0.0, of which SQLite would make 0"#);
}
