//! The S3 server of the tests, and what we ask of a server that speaks S3.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use pintail_model::ErrorKind;
use pintail_storage::{BucketSettings, Condition, Put, Store, UrlStyle};
use pintail_testkit::S3Server;

#[test]
fn objects_are_put_listed_read_and_deleted() {
    let bucket = S3Server::shared().fresh_bucket();
    for key in ["a/1", "a/b c/ü+%.txt", "b/1"] {
        bucket.put(key, key);
    }
    assert_eq!(bucket.keys("a/"), ["a/1", "a/b c/ü+%.txt"]);
    let inside = bucket.store().list_inside("a/").expect("listed");
    assert_eq!(
        inside
            .iter()
            .map(|object| object.key.as_str())
            .collect::<Vec<_>>(),
        ["a/1"]
    );
    assert_eq!(bucket.read("a/b c/ü+%.txt"), "a/b c/ü+%.txt".as_bytes());
    bucket.delete("a/1");
    bucket.delete("a/1");
    assert_eq!(bucket.keys("").len(), 2);
    let found = bucket.store().find("b/1").expect("asked").expect("there");
    assert_eq!((found.bytes, found.etag.is_empty()), (3, false));
    assert!(found.modified_at.is_some());
    assert_eq!(bucket.list("b/")[0].etag, found.etag);
    assert_eq!(bucket.store().find("nothing").expect("asked"), None);
    assert_eq!(bucket.store().get("nothing").expect("asked"), None);
}

#[test]
fn lists_go_over_many_pages() {
    let bucket = S3Server::shared().fresh_bucket();
    for number in 0..1_050 {
        bucket.put(&format!("{number:04}"), "x");
    }
    let keys = bucket.keys("");
    assert_eq!(keys.len(), 1_050);
    assert!(keys.is_sorted());
}

#[test]
fn objects_are_copied_under_odd_names() {
    let bucket = S3Server::shared().fresh_bucket();
    bucket.put("from/ü %+?.parquet", "content");
    let store = bucket.store();
    assert!(store.copy("from/ü %+?.parquet", "to/copy").expect("copied"));
    assert_eq!(bucket.read("to/copy"), b"content");
    assert!(!store.copy("from/nothing", "to/nothing").expect("asked"));
}

/// A server that says 200 to everybody, and one of `bodies` to one after the other.
fn says_200(bodies: &'static [&'static str]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = std::thread::spawn(move || {
        for body in bodies {
            let (mut client, _) = listener.accept().expect("a client");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("a request");
                head.push(byte[0]);
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            client.write_all(answer.as_bytes()).expect("a listener");
        }
    });
    (address, server)
}

#[test]
fn a_copy_is_done_when_the_body_says_so() {
    const ERROR: &str = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>";
    let (address, server) = says_200(&[ERROR, "", "<CopyObjectResult></CopyObjectResult>"]);
    assert!(behind(&address).copy("a", "b").expect("the third answer"));
    server.join().expect("three requests");

    let (address, server) = says_200(&[ERROR; 4]);
    let error = behind(&address).copy("a", "b").expect_err("no copy");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "cannot copy `s3://lake/a`: the server began, and then gave up: InternalError"
    );
    server.join().expect("four requests");
}

/// The bucket `lake` of a server that asks for no keys.
fn behind(address: &str) -> Store {
    Store::new(&BucketSettings {
        name: "lake".to_owned(),
        endpoint: Some(address.to_owned()),
        region: "eu-north-1".to_owned(),
        url_style: UrlStyle::Path,
        tls: false,
        keys: None,
    })
    .expect("settings")
}

#[test]
fn of_two_conditional_puts_one_wins() {
    let store = S3Server::shared().fresh_bucket().store();
    let put = |content: &str, condition| {
        store
            .put("pointer", content.as_bytes(), condition)
            .expect("asked")
    };
    let Put::Done(first) = put("1", Condition::Absent) else {
        panic!("nothing was there");
    };
    assert_eq!(put("2", Condition::Absent), Put::Refused);
    let Put::Done(second) = put("2", Condition::Unchanged(&first)) else {
        panic!("nobody changed it");
    };
    assert_ne!(first, second);
    assert_eq!(put("3", Condition::Unchanged(&first)), Put::Refused);
    assert_eq!(store.get("pointer").expect("asked").expect("there").0, b"2");
    store.delete("pointer").expect("deleted");
    assert_eq!(put("4", Condition::Unchanged(&second)), Put::Refused);
}

#[test]
fn a_bucket_that_does_not_exist_is_named() {
    let mut settings = S3Server::shared().fresh_bucket().settings().clone();
    settings.name = "nowhere".to_owned();
    let error = Store::new(&settings)
        .and_then(|store| store.list("a/"))
        .expect_err("no bucket");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "cannot list `s3://nowhere/a/`: the server answers 404 (NoSuchBucket)"
    );
}

#[test]
fn a_corrupt_object_keeps_its_size() {
    let bucket = S3Server::shared().fresh_bucket();
    bucket.put("a", "0123456789");
    bucket.corrupt("a");
    assert_eq!(bucket.list("")[0].bytes, 10);
    assert_ne!(bucket.read("a"), b"0123456789");
}

#[test]
fn a_stopped_server_answers_no_more() {
    let server = S3Server::start();
    let bucket = server.fresh_bucket();
    server.stop();
    let error = bucket.store().find("a").expect_err("stopped");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
