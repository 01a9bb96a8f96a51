//! What is taken, what it says of itself, and what is refused.

use insta::assert_snapshot;
use pintail_lake::{Access, Call};
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{CreateRequest, Proof, SnapshotType, Unwatched};
use serde_json::Value;

use crate::place::{NOW, Place, at, id, quoted, told};

const SHOP: &str = "
    create schema in_c_customers;
    create table in_c_customers.customers (id bigint primary key, name varchar, email varchar);
    insert into in_c_customers.customers select i, 'name ' || i, null from range(1000) as r (i);
    create schema in_c_orders;
    create table in_c_orders.orders (id bigint, amount decimal(10, 2), took interval);
    insert into in_c_orders.orders select i, i / 100, interval '1 month -3 days' from range(3000) as r (i);";

#[test]
fn metadata_has_the_fields_of_the_public_format() {
    let place = Place::new();
    place.execute("shop.duckdb", SHOP);
    let request = CreateRequest {
        description: Some("Before major refactoring".to_owned()),
        created_by: "user@example.com".to_owned(),
        ..CreateRequest::default()
    };
    let created = place.create_with("shop.duckdb", &request).expect("a snapshot");
    let file = place
        .snapshots
        .snapshot(&id("snap_20241211_143022"))
        .join("metadata.json");
    let text = std::fs::read_to_string(file).expect("the manifest");
    let metadata: Value = serde_json::from_str(&text).expect("JSON");
    for (key, expected) in [
        ("snapshot_id", "snap_20241211_143022"),
        ("project_id", "123"),
        ("branch", "main"),
        ("created_at", "2024-12-11T14:30:22Z"),
        ("created_by", "user@example.com"),
        ("type", "manual"),
        ("description", "Before major refactoring"),
        ("proof", "read_back"),
        ("manifest_sha256", created.manifest_sha256.as_str()),
    ] {
        assert_eq!(metadata[key], expected, "{key}");
    }
    let customers = &metadata["tables"][0];
    assert_eq!(customers["bucket"], "in_c_customers");
    assert_eq!(customers["table"], "customers");
    assert_eq!(customers["file"], "in_c_customers.customers.parquet");
    assert_eq!(customers["row_count"], 1000);
    assert_eq!(customers["schema"]["primary_key"], serde_json::json!(["id"]));
    assert_eq!(
        customers["schema"]["columns"][0],
        serde_json::json!({"name": "id", "type": "BIGINT"})
    );
    let orders = &metadata["tables"][1];
    assert_eq!(
        orders["schema"]["columns"][2],
        serde_json::json!({"name": "took", "type": "INTERVAL", "stored_as": "VARCHAR"})
    );
    for table in [customers, orders] {
        let file = place
            .snapshots
            .snapshot(&id("snap_20241211_143022"))
            .join(table["file"].as_str().expect("a name"));
        let bytes = std::fs::metadata(file).expect("the file").len();
        assert_eq!(table["size_bytes"], bytes);
    }
    assert_eq!(place.visible(), ["snap_20241211_143022"]);
}

#[test]
fn two_snapshots_of_one_second_have_two_names() {
    let place = Place::new();
    place.execute("shop.duckdb", SHOP);
    let request = CreateRequest::default();
    let ids: Vec<String> = (0..3)
        .map(|_| place.create_with("shop.duckdb", &request).expect("a snapshot"))
        .map(|created| created.manifest.snapshot_id.to_string())
        .collect();
    let first = "snap_20241211_143022";
    assert_eq!(
        ids,
        [first.to_owned(), format!("{first}_2"), format!("{first}_3")]
    );
    let parents: Vec<_> = place.snapshots.manifests().expect("manifests").0;
    assert_eq!(parents[2].parent.as_ref(), Some(&id("snap_20241211_143022_2")));
    let request = CreateRequest {
        snapshot_type: SnapshotType::PreDrop,
        ..CreateRequest::default()
    };
    let created = place.create_with("shop.duckdb", &request).expect("a snapshot");
    assert_eq!(
        created.manifest.snapshot_id.as_str(),
        "auto_predrop_20241211_143022"
    );
}

#[test]
fn hostile_names_have_files_of_their_own() {
    let place = Place::new();
    let names = [
        ("a.b", "c"),
        ("a", "b.c"),
        ("..", "x"),
        ("a/../b", "d"),
        ("with space", "quote \" and '"),
        ("české", "bašta 🦆"),
        ("%2E", "%"),
        ("[glob]*", "?"),
    ];
    let long = "x".repeat(200);
    let mut sql = String::new();
    for (number, (bucket, table)) in names
        .iter()
        .chain([&("main", long.as_str()), &("long", long.as_str())])
        .enumerate()
    {
        sql.push_str(&format!(
            "create schema if not exists {0}; create table {0}.{1} as select {number} as {1};",
            quoted(bucket),
            quoted(table)
        ));
    }
    place.execute("odd.duckdb", &sql);
    let manifest = place.create("odd.duckdb", "odd");
    let mut files: Vec<&str> = manifest.tables.iter().map(|table| table.file.as_str()).collect();
    assert_eq!(files.len(), names.len() + 2);
    assert!(
        files.contains(&"a%2Eb.c.parquet") && files.contains(&"a.b%2Ec.parquet"),
        "{files:?}"
    );
    assert!(files.iter().all(|file| file.len() <= 255 && !file.contains('/')));
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), names.len() + 2, "{files:?}");
    place.restore("copy.duckdb", "odd");
    for (number, (bucket, table)) in names.iter().enumerate() {
        let sql = format!("select {1} from {0}.{1}", quoted(bucket), quoted(table));
        assert_eq!(
            place.value("copy.duckdb", &sql),
            number.to_string(),
            "{bucket}.{table}"
        );
    }
}

#[test]
fn a_set_is_one_state_while_others_write() {
    let place = Place::new();
    place.execute(
        "bank.duckdb",
        "create table a (n bigint); create table b (n bigint); insert into a values (0); insert into b values (0)",
    );
    // The writer shares the engine: no other process may write while one reads.
    let file = place.database("bank.duckdb");
    file.attach(&place.engine, "bank", Access::ReadWrite, None)
        .expect("it is there");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let sets = std::thread::scope(|scope| {
        scope.spawn(|| {
            let session = place.engine.session().expect("a session");
            // Both tables always hold the same number in every committed state.
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let sql = "begin; update bank.a set n = n + 1; update bank.b set n = n + 1; commit";
                session
                    .batch(Call::new("write"), sql)
                    .expect("nobody else writes");
            }
        });
        let sets: Vec<_> = (0..10)
            .map(|number| {
                let request = CreateRequest {
                    id: Some(id(&format!("set-{number}"))),
                    ..CreateRequest::default()
                };
                place
                    .snapshots
                    .create_attached(&place.engine, "bank", &file, &request, at(NOW), &Unwatched)
                    .expect("a snapshot")
            })
            .collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        sets
    });
    file.detach(&place.engine, "bank").expect("nobody uses it");
    for set in &sets {
        let [a, b] = set.manifest.tables.as_slice() else {
            panic!("two tables")
        };
        assert_eq!(a.value_hash, b.value_hash, "{}", set.manifest.snapshot_id);
    }
    let different = sets.iter().map(|set| &set.manifest.tables[0].value_hash);
    assert!(
        different.collect::<std::collections::BTreeSet<_>>().len() > 1,
        "nobody wrote"
    );
}

#[test]
fn a_table_that_did_not_change_is_not_written_again() {
    let place = Place::new();
    place.execute("shop.duckdb", SHOP);
    place.create("shop.duckdb", "first");
    place.execute(
        "shop.duckdb",
        "update in_c_orders.orders set amount = amount + 1 where id = 7",
    );
    let second = place.create("shop.duckdb", "second");
    let [customers, orders] = second.tables.as_slice() else {
        panic!("two tables")
    };
    assert_eq!(customers.same_as, Some(id("first")));
    assert_eq!(
        orders.same_as, None,
        "the row count is the same, and the row is not"
    );
    let third = place.create("shop.duckdb", "third");
    assert_eq!(third.tables[0].same_as, Some(id("first")));
    assert_eq!(third.tables[1].same_as, Some(id("second")));
    // The earlier snapshots may go, and the later one has all it needs.
    std::fs::remove_dir_all(place.snapshots.snapshot(&id("first"))).expect("a folder");
    std::fs::remove_dir_all(place.snapshots.snapshot(&id("second"))).expect("a folder");
    assert_eq!(place.verify().findings, []);
    place.restore("copy.duckdb", "third");
    assert_eq!(
        place.value("copy.duckdb", "select count(*) from in_c_customers.customers"),
        "1000"
    );
}

#[test]
fn a_rotten_file_is_not_used_again() {
    let place = Place::new();
    place.execute("shop.duckdb", SHOP);
    place.create("shop.duckdb", "first");
    let file = &place.files("first")[0];
    let mut bytes = std::fs::read(file).expect("the file");
    bytes[100] ^= 1;
    std::fs::write(file, bytes).expect("the file");
    let second = place.create("shop.duckdb", "second");
    assert_eq!(second.tables[0].same_as, None);
    assert_eq!(second.tables[1].same_as, Some(id("first")));
}

#[test]
fn without_reading_back_it_says_so() {
    let place = Place::new();
    place.execute("shop.duckdb", SHOP);
    let request = CreateRequest {
        read_back: false,
        tables: vec![TableName::new("in_c_orders", "orders")],
        ..CreateRequest::default()
    };
    let created = place.create_with("shop.duckdb", &request).expect("a snapshot");
    assert_eq!(created.manifest.proof, Proof::Unproven);
    assert_eq!(created.manifest.tables.len(), 1);
    // An unproven file is not what a proven snapshot stands on.
    assert_eq!(place.create("shop.duckdb", "proven").tables[1].same_as, None);
}

#[test]
fn empty_tables_and_an_empty_database_are_kept() {
    let place = Place::new();
    place.execute(
        "empty.duckdb",
        "create table nothing (i integer, s struct(a hugeint))",
    );
    let manifest = place.create("empty.duckdb", "empty");
    assert_eq!(manifest.tables[0].row_count, 0);
    place.restore("copy.duckdb", "empty");
    assert_eq!(place.value("copy.duckdb", "select count(*) from nothing"), "0");
    place.execute("void.duckdb", "create table t (i integer); drop table t");
    assert_eq!(place.create("void.duckdb", "void").tables, []);
    place.restore("copy2.duckdb", "void");
}

#[test]
fn what_cannot_be_taken_is_told_and_leaves_nothing() {
    let place = Place::new();
    place.execute("shop.duckdb", SHOP);
    let of = |tables: &[TableName]| CreateRequest {
        tables: tables.to_vec(),
        ..CreateRequest::default()
    };
    let unknown = place
        .create_with("shop.duckdb", &of(&[TableName::new("in_c_orders", "oders")]))
        .expect_err("no such table");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert_snapshot!(told(&unknown), @r#"
    duckdb:shop.duckdb has no table "in_c_orders.oders"
    hint: Write `table` for one of schema `main`, or `schema.table`; a part with dots stands in double quotes.
    "#);
    let missing = place
        .create_with("nowhere.duckdb", &CreateRequest::default())
        .expect_err("no such file");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_snapshot!(told(&missing), @"
    cannot open duckdb:nowhere.duckdb: there is no such file
    hint: Check the path.
    ");
    assert!(!place.root().join("nowhere.duckdb").exists());
    place.execute("odd.duckdb", "create table t (s struct(v variant))");
    let homeless = place
        .create_with("odd.duckdb", &CreateRequest::default())
        .expect_err("a variant inside of a struct");
    assert_eq!(homeless.kind(), ErrorKind::Data);
    assert_snapshot!(told(&homeless), @r#"
    cannot keep table "main.t": column `s` of type STRUCT(v VARIANT) has no lossless home in a file
    hint: Give the column another type, or leave the table out by naming the others with `--table`.
    "#);
    place.create("shop.duckdb", "there");
    let taken = place
        .create_with(
            "shop.duckdb",
            &CreateRequest {
                id: Some(id("there")),
                ..CreateRequest::default()
            },
        )
        .expect_err("the id is taken");
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    assert_snapshot!(told(&taken), @"
    project `123` has a snapshot `there` already
    hint: Choose another `--id`, or none: one is made of the time then.
    ");
    assert_eq!(place.visible(), ["there"]);
    assert_eq!(place.verify().findings, []);
}

#[test]
fn of_two_creates_with_one_id_one_is_told() {
    let place = Place::new();
    place.execute("shop.duckdb", SHOP);
    place.execute("other.duckdb", SHOP);
    let start = |name: &'static str| {
        let other = Place::sharing(&place);
        let request = CreateRequest {
            id: Some(id("same")),
            ..CreateRequest::default()
        };
        other.create_with(name, &request).map(|created| created.manifest)
    };
    let results = std::thread::scope(|scope| {
        let first = scope.spawn(|| start("shop.duckdb"));
        let second = scope.spawn(|| start("other.duckdb"));
        [first.join().expect("no panic"), second.join().expect("no panic")]
    });
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(done, 1);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    assert_eq!(place.visible(), ["same"]);
    assert_eq!(place.verify().findings, []);
}

#[test]
fn ids_that_are_no_names_of_folders_are_refused() {
    let long = "x".repeat(300);
    let bad = [
        "", "..", ".", ".hidden", "-x", "a/b", "a\\b", "a..b", "it's", "a\"b", "🦆", "a b", "a\nb", &long,
    ];
    for text in bad {
        let error = pintail_snapshot::SnapshotId::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert!(error.to_string().len() < 120, "{error}");
        assert!(pintail_snapshot::ProjectId::parse(text).is_err(), "{text}");
    }
    for text in ["a", "snap_20241211_143022", "v1.0", "A-b_c", "_x"] {
        assert_eq!(id(text).as_str(), text);
    }
}
