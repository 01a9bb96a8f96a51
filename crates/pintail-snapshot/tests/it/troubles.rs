//! Places that cannot be used, and object stores in bad weather.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use insta::assert_snapshot;
use pintail_lake::Stopper;
use pintail_model::{ErrorKind, Secret};
use pintail_snapshot::{CreateRequest, Hold, ProjectFolder, ProjectId, Scope, SettingKey, Unwatched};
use pintail_storage::{BucketSettings, Keys};
use pintail_testkit::S3Server;

use crate::place::{NOW, Place, at, id, told};
use crate::relay::{Asked, Relay, Weather};

/// A shop whose snapshots lie behind a relay.
fn behind(weather: impl Fn(&Asked) -> Weather + Send + Sync + 'static) -> (Place, Relay) {
    let bucket = S3Server::shared().fresh_bucket();
    let relay = Relay::start(bucket.settings(), weather);
    let place = Place::new().in_bucket(&relay.settings(bucket.settings()));
    place.execute(
        "shop.duckdb",
        "create table orders as select i as id, hash(i) as noise from range(1000) as r (i);
         create table notes as select i as id from range(10) as r (i)",
    );
    (place, relay)
}

fn refused(place: &Place) -> (ErrorKind, String) {
    let request = CreateRequest {
        id: Some(id("one")),
        ..CreateRequest::default()
    };
    let error = place.create_with("shop.duckdb", &request).expect_err("it cannot");
    (error.kind(), told(&error))
}

/// Everything that is done with snapshots, where some requests fail.
fn round_trip(place: &Place) {
    let first = place.create("shop.duckdb", "first");
    place.execute("shop.duckdb", "update orders set noise = 7");
    place.create("shop.duckdb", "second");
    assert_eq!(place.snapshots.manifest(&id("first")).expect("a manifest"), first);
    place.restore("copy.duckdb", "first");
    assert_eq!(
        place.value("copy.duckdb", "select count(*) from orders where noise <> 7"),
        "1000"
    );
    let hold = Hold {
        since: at(NOW),
        by: "ada".to_owned(),
        reason: None,
    };
    place.snapshots.hold(&id("first"), hold.clone()).expect("held");
    assert_eq!(
        place.snapshots.record(&id("first")).expect("a record").hold,
        Some(hold)
    );
    place.snapshots.release(&id("first")).expect("released");
    place
        .snapshots
        .set(&Scope::System, SettingKey::KeepLast, None)
        .expect("set");
    assert_eq!(place.verify().findings, []);
    // Nothing was written twice.
    let keys = place.keys();
    let of_second = keys.iter().filter(|key| key.starts_with("second/")).count();
    assert_eq!(of_second, 2, "{keys:?}");
}

#[test]
fn a_store_that_is_busy_at_first_is_asked_again() {
    let (place, relay) = behind(|asked| match asked.times % 4 {
        0 => Weather::Says(503, "SlowDown"),
        _ => Weather::Fine,
    });
    round_trip(&place);
    assert!(relay.asked().len() > 50);
}

#[test]
fn answers_that_are_cut_are_asked_for_again() {
    let (place, _relay) = behind(|asked| match (asked.method.as_str(), asked.times % 2) {
        ("GET", 0) => Weather::Cut,
        _ => Weather::Fine,
    });
    round_trip(&place);
}

#[test]
fn what_was_done_when_the_answer_is_lost_is_found_out() {
    let (place, _relay) = behind(|asked| match (asked.method.as_str(), asked.times % 3) {
        ("PUT" | "DELETE", 0) => Weather::Lost,
        _ => Weather::Fine,
    });
    round_trip(&place);
}

#[test]
fn a_store_that_is_gone_in_the_middle_leaves_nothing_that_anybody_sees() {
    let gone = Arc::new(AtomicBool::new(false));
    let is_gone = Arc::clone(&gone);
    let (place, _relay) = behind(move |asked| {
        // With the first file of a table it goes.
        if asked.method == "GET" && asked.path.ends_with("main.notes.parquet") {
            is_gone.store(true, Ordering::SeqCst);
        }
        match is_gone.load(Ordering::SeqCst) {
            true => Weather::Says(503, "ServiceUnavailable"),
            false => Weather::Fine,
        }
    });
    let (kind, told) = refused(&place);
    assert_eq!(kind, ErrorKind::Unavailable);
    assert_snapshot!(told.replace(place.bucket().name(), "[BUCKET]"), @"
    cannot read `s3://[BUCKET]/kept/snapshots/123/one/main.notes.parquet`: the server answers 503 (ServiceUnavailable)
    hint: Check `endpoint`, `region` and `use_ssl`, and that the server can be reached.
    ");
    gone.store(false, Ordering::SeqCst);
    assert_eq!(place.snapshots.ids().expect("something lies there"), []);
}

#[test]
fn one_that_is_stopped_while_a_file_is_sent_leaves_nothing() {
    let stopper: Arc<OnceLock<Stopper>> = Arc::default();
    let known = Arc::clone(&stopper);
    let (place, _relay) = behind(move |asked| {
        if asked.method == "PUT" && asked.path.ends_with("main.orders.parquet") {
            known.get().expect("there is an engine").stop();
        }
        Weather::Fine
    });
    assert!(stopper.set(place.engine.stopper()).is_ok());
    let (kind, told) = refused(&place);
    assert_eq!(kind, ErrorKind::Cancelled);
    assert_snapshot!(told, @r#"stopped on request while trying to keep table "main.orders""#);
    assert_eq!(place.keys(), [""; 0]);
}

#[test]
fn a_store_that_does_not_look_at_conditions_is_told() {
    let (place, _relay) = behind(|_| Weather::Careless);
    let (kind, told) = refused(&place);
    assert_eq!(kind, ErrorKind::Invalid);
    assert_snapshot!(told.replace(place.bucket().name(), "[BUCKET]"), @"
    cannot keep snapshots in `s3://[BUCKET]/`: the server does not know conditional puts
    hint: It has to look at `If-None-Match` and `If-Match` of PUT, as Amazon S3, MinIO and Cloudflare R2 do today.
    ");
    assert_eq!(place.keys(), [""; 0]);

    let (place, _relay) = behind(|asked| match asked.method.as_str() {
        "PUT" => Weather::Says(501, "NotImplemented"),
        _ => Weather::Fine,
    });
    let (kind, told) = refused(&place);
    assert_eq!(kind, ErrorKind::Invalid);
    assert_snapshot!(told.replace(place.bucket().name(), "[BUCKET]"), @"
    cannot keep snapshots in `s3://[BUCKET]/`: the server does not know conditional puts
    hint: It has to look at `If-None-Match` and `If-Match` of PUT, as Amazon S3, MinIO and Cloudflare R2 do today.
    ");
}

#[test]
fn wrong_keys_and_a_bucket_that_is_not_there_are_told_without_the_keys() {
    let (place, _relay) = behind(|_| Weather::Says(403, "SignatureDoesNotMatch"));
    let (kind, told) = refused(&place);
    assert_eq!(kind, ErrorKind::Unauthorized);
    assert_snapshot!(told.replace(place.bucket().name(), "[BUCKET]"), @"
    cannot look up `s3://[BUCKET]/kept/snapshots/123/one/metadata.json`: the server answers 403
    hint: Check the keys, and that they may read, write, list and delete here.
    ");
    assert!(!told.contains(S3Server::KEY_ID) && !told.contains(S3Server::SECRET));

    let settings = BucketSettings {
        name: "nowhere".to_owned(),
        keys: Some(Keys {
            id: Secret::new("canary-id"),
            secret: Secret::new("canary-key"),
            token: None,
        }),
        ..place.bucket().settings().clone()
    };
    let there = S3Server::shared().fresh_bucket();
    let nowhere = place.in_bucket(&BucketSettings {
        endpoint: there.settings().endpoint.clone(),
        ..settings
    });
    let (kind, message) = refused(&nowhere);
    assert_eq!(kind, ErrorKind::NotFound);
    assert_snapshot!(message, @"
    cannot write `s3://nowhere/kept/snapshots/123/.work/one.json`: the server answers 404 (NoSuchBucket)
    hint: Check the name of the bucket, `region` and `endpoint`.
    ");
    let error = nowhere.snapshots.ids().expect_err("no bucket");
    assert_snapshot!(crate::place::told(&error), @"
    cannot list `s3://nowhere/kept/snapshots/123/`: the server answers 404 (NoSuchBucket)
    hint: Check the name of the bucket, `region` and `endpoint`.
    ");
    let shown = format!("{:?} {error:?}", nowhere.snapshots);
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    let place = Place::new();
    place.execute("shop.duckdb", "create table orders as select 1 as id");
    place.create("shop.duckdb", "one");
    let at_place = |root: &Path| {
        let project = ProjectId::parse("123").expect("an id");
        let snapshots = ProjectFolder::new(root, project);
        let database = place.database("shop.duckdb");
        let request = CreateRequest::default();
        let error = snapshots
            .create(&place.engine, &database, &request, at(NOW), &Unwatched)
            .expect_err("no room for files");
        let settings = snapshots
            .set(&Scope::Project, SettingKey::KeepLast, None)
            .expect_err("no room for files");
        assert_eq!(error.kind(), settings.kind(), "{settings}");
        let told = told(&error).replace(&*place.root().to_string_lossy(), "[FOLDER]");
        (error.kind(), told)
    };
    // Nobody makes folders there, whoever he is.
    let (kind, told) = at_place(Path::new("/sys/pintail"));
    assert_eq!(kind, ErrorKind::Unauthorized, "{told}");
    let refusals = [
        "Operation not permitted (os error 1)",
        "Permission denied (os error 13)",
        "Read-only file system (os error 30)",
    ];
    let told = refusals
        .iter()
        .fold(told, |told, refusal| told.replace(refusal, "[REFUSED]"));
    assert_snapshot!(told, @"
    cannot create folder `/sys/pintail/123/.work`
      caused by: [REFUSED]
    hint: Snapshots lie below `--dir`; that folder has to be one that can be written to.
    ");
    std::fs::write(place.root().join("file"), "no folder").expect("a file");
    let (kind, told) = at_place(&place.root().join("file"));
    assert_eq!(kind, ErrorKind::Unavailable, "{told}");
    assert_snapshot!(told, @"
    cannot create folder `[FOLDER]/file/123/.work`
      caused by: Not a directory (os error 20)
    hint: A part of the path is a file. Snapshots lie below `--dir`, which is a folder.
    ");
    // Of what is there, nothing is disturbed.
    assert_eq!(place.verify().findings, []);
}
