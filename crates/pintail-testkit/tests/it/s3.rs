//! The S3 server of the tests, and what we ask of a server that speaks S3.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use pintail_model::ErrorKind;
use pintail_storage::{BucketSettings, Condition, Outgoing, Put, Store, UrlStyle};
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

/// Bytes that are sent.
struct Bytes {
    left: Vec<u8>,
    uploads: Vec<String>,
    fails: bool,
}

impl Bytes {
    fn new(bytes: usize) -> Self {
        Self {
            left: (0..bytes)
                .map(|number| (number * 31 + number / 997) as u8)
                .collect(),
            uploads: Vec::new(),
            fails: false,
        }
    }
}

impl Outgoing for Bytes {
    type Error = pintail_storage::Error;

    fn next(&mut self, bytes: u64) -> Result<Vec<u8>, Self::Error> {
        let rest = self.left.split_off(usize::try_from(bytes).expect("few"));
        if self.fails && rest.is_empty() {
            return Err(pintail_storage::Error::Key {
                object: "the last piece".to_owned(),
            });
        }
        Ok(std::mem::replace(&mut self.left, rest))
    }

    fn begun(&mut self, upload: &str) -> Result<(), Self::Error> {
        self.uploads.push(upload.to_owned());
        Ok(())
    }
}

fn download(store: &Store, key: &str) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let bytes = store.download(key, |piece: &[u8]| {
        content.extend_from_slice(piece);
        Ok::<(), pintail_storage::Error>(())
    });
    let bytes = bytes.expect("asked")?;
    assert_eq!(bytes, content.len() as u64);
    Some(content)
}

#[test]
fn objects_of_any_size_go_there_and_back() {
    let store = S3Server::shared().fresh_bucket().store();
    for bytes in [0, 1, 8 << 20, (8 << 20) + 1, 20_000_000] {
        let key = format!("sizes/{bytes}");
        let mut sent = Bytes::new(bytes);
        let content = sent.left.clone();
        let put = store.upload(&key, bytes as u64, Condition::Absent, &mut sent);
        assert!(matches!(put, Ok(Put::Done(_))), "{put:?}");
        assert_eq!(sent.uploads.len(), usize::from(bytes > 8 << 20), "{bytes}");
        assert!(
            download(&store, &key).as_ref() == Some(&content),
            "{bytes} came back as others"
        );
        let again = store.upload(&key, bytes as u64, Condition::Absent, &mut Bytes::new(bytes));
        assert_eq!(again.expect("asked"), Put::Refused, "{bytes}");
        let over = store.upload(&key, bytes as u64, Condition::Always, &mut Bytes::new(bytes));
        assert!(matches!(over, Ok(Put::Done(_))), "{over:?}");
    }
    assert_eq!(download(&store, "sizes/none"), None);
}

#[test]
fn an_upload_that_fails_in_the_middle_leaves_nothing() {
    let bucket = S3Server::shared().fresh_bucket();
    let mut sent = Bytes {
        fails: true,
        ..Bytes::new(20_000_000)
    };
    bucket
        .store()
        .upload("a", 20_000_000, Condition::Absent, &mut sent)
        .expect_err("the last piece fails");
    assert_eq!(sent.uploads.len(), 1);
    assert_eq!(bucket.keys(""), [""; 0]);
    // Who gives it up once more does no harm.
    bucket
        .store()
        .give_up_upload("a", &sent.uploads[0])
        .expect("given up");
}

#[test]
fn of_changes_at_once_none_is_lost() {
    let bucket = S3Server::shared().fresh_bucket();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    bucket
                        .store()
                        .change("number", &mut |content| {
                            let number = content.map_or(0, |content| {
                                String::from_utf8_lossy(content).parse::<u32>().expect("a number")
                            });
                            Ok::<_, pintail_storage::Error>(Some((number + 1).to_string().into_bytes()))
                        })
                        .expect("changed");
                }
            });
        }
    });
    assert_eq!(bucket.read("number"), b"40");
    assert!(bucket.store().age("number").expect("asked").is_some());
    assert_eq!(bucket.store().age("nothing").expect("asked"), None);
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
