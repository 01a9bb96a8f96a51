//! Files in a bucket, on a real server that speaks S3.

use pintail_model::{ErrorKind, Range, TableName};
use pintail_testkit::conformance::{self, Attached, Fixture};
use pintail_testkit::{S3Server, assert_no_canary};

use super::fixture::{FilesFixture, connect};

#[test]
fn rows_of_a_bucket_are_covered_once() {
    conformance::ranges::cover_every_row_once(&FilesFixture::in_bucket());
}

#[test]
fn keys_leave_no_trace() {
    conformance::access::leaves_no_secret_in_statements(&FilesFixture::in_bucket());
}

#[test]
fn a_server_that_does_not_listen_is_unavailable() {
    conformance::access::to_a_closed_port_is_unavailable(&FilesFixture::in_bucket());
}

#[test]
fn objects_match_patterns() {
    let files = FilesFixture::in_bucket();
    files.fill_orders(10);
    let bucket = files.bucket();
    let content = bucket.read("shop/orders.parquet");
    bucket.put("shop/2026/orders it's.parquet", content);
    let names = Attached::new(files.connector()).tables();
    let names: Vec<String> = names.into_iter().map(|table| table.name.table).collect();
    assert_eq!(names, ["2026", "orders"]);
    for (inside, rows) in [("shop/*.parquet", 10), ("shop/**", 20), ("shop/2026/", 10)] {
        let address = format!("{}?{}", bucket.url(inside), bucket.parameters(""));
        let attached = Attached::new(connect(&address));
        let name = if inside.ends_with('/') {
            "orders it's"
        } else {
            "orders"
        };
        let request = attached.request(name, Range::Whole);
        assert_eq!(attached.rows(&request).len(), rows, "{inside}");
        assert_eq!(attached.count_now(&request.relation, &Range::Whole), rows as u64);
    }
}

#[test]
fn objects_that_change_while_they_are_read_fail_the_read() {
    let files = FilesFixture::in_bucket();
    files.fill_orders(10);
    let attached = Attached::new(files.connector());
    let request = attached.request("orders", Range::Whole);
    let session = attached.another_session();
    attached.connector().begin_snapshot(&session, "outside").unwrap();
    attached.checksums(&session, &request);
    attached.connector().snapshot_held(&session, "outside").unwrap();
    files.bucket().corrupt("shop/orders.parquet");
    let error = attached
        .connector()
        .snapshot_held(&session, "outside")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[test]
fn a_damaged_object_fails_without_a_secret() {
    let files = FilesFixture::in_bucket();
    files
        .bucket()
        .put("shop/orders.parquet", "PAR1 this is no table PAR1");
    let attached = Attached::new(files.connector());
    let error = attached
        .connector()
        .describe(attached.session(), "outside", &TableName::bare("orders"))
        .unwrap_err();
    let mut shown = format!("{error} {error:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        shown.push_str(&error.to_string());
        cause = error.source();
    }
    assert_no_canary(&shown, &[S3Server::SECRET, S3Server::KEY_ID]);
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let server = S3Server::shared();
    let address = format!(
        "s3://not-there/x/?endpoint=http://{}&access_key=a&secret_key=b",
        server.endpoint()
    );
    let attached = Attached::new(connect(&address));
    let error = attached
        .connector()
        .describe(attached.session(), "outside", &TableName::bare("orders"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
