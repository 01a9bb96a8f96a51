//! Datastores find their connectors, and lakes their place.

use std::path::{Path, PathBuf};

use pintail_config::{Datastore, Datastores, Location};
use pintail_connectors::registry::{destination, lake_location, source};
use pintail_lake::location::Catalogue;
use pintail_model::{ErrorKind, Secret};

fn datastore(url: &str) -> Datastore {
    Location::parse(url, Path::new("/work")).unwrap().datastore
}

#[test]
fn built_systems_have_a_connector() {
    for (url, system) in [
        ("postgres://db/shop", "postgres"),
        ("mysql://db/shop", "mysql"),
        ("sqlite:shop.db", "sqlite"),
        ("duckdb:shop.duckdb", "duckdb"),
        ("ducklake:sqlite:lake.sqlite", "ducklake"),
        ("files:exports/", "files"),
        ("s3://exports/", "s3"),
        ("minio://exports/?endpoint=minio:9000", "minio"),
    ] {
        let connector = source(&datastore(url)).unwrap();
        assert_eq!(connector.system(), system);
    }
    let postgres = source(&datastore("postgres://sync:hunter2@db:5433/shop")).unwrap();
    assert_eq!(postgres.address(), "postgres://sync@db:5433/shop");
}

#[test]
fn systems_that_can_be_written_have_a_place() {
    for (url, noun) in [
        ("postgres://db/shop", "database"),
        ("mysql://db/shop", "database"),
        ("sqlite:shop.db", "database"),
        ("duckdb:shop.duckdb", "database"),
        ("ducklake:sqlite:lake.sqlite", "lake"),
        ("files:exports/", "folder"),
    ] {
        let place = destination(&datastore(url), Path::new("stage")).unwrap();
        assert_eq!(place.noun(), noun, "{url}");
    }
    let error = destination(&datastore("mysql://db"), Path::new("stage"))
        .err()
        .unwrap();
    insta::assert_snapshot!(error, @"cannot write to mysql://db: it names no database");
}

#[test]
fn other_systems_are_refused_by_name() {
    let text = "datastores:\n  warehouse:\n    type: clickhouse\n    connection: { host: ch }\n";
    let loaded = Datastores::parse(Path::new("datastores.yaml"), text, &|_| None).unwrap();
    let error = source(loaded.get("warehouse").unwrap()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    insta::assert_snapshot!(error, @"cannot read from datastore `warehouse`: a source of type `clickhouse` is not built yet");
    assert_eq!(
        error.hint().as_deref(),
        Some(
            "Tables can be read from `postgres`, `mysql`, `sqlite`, `duckdb`, `ducklake`, `files`, `s3` and `minio`."
        )
    );
    let error = lake_location(loaded.get("warehouse").unwrap()).unwrap_err();
    insta::assert_snapshot!(error, @"cannot write to datastore `warehouse`: a destination of type `clickhouse` is not built yet");
}

#[test]
fn lakes_lie_where_their_address_says() {
    let lake = lake_location(&datastore("ducklake:sqlite:lake.sqlite?data_path=files/")).unwrap();
    assert_eq!(
        lake.catalogue,
        Catalogue::Sqlite(PathBuf::from("/work/lake.sqlite"))
    );
    assert_eq!(lake.data_path, PathBuf::from("/work/files/"));
}

#[test]
fn the_password_of_a_catalogue_travels_apart_from_its_address() {
    let lake = lake_location(&datastore(
        "ducklake:postgres://sync:hunter2@db/lakes?data_path=/files",
    ))
    .unwrap();
    assert!(!format!("{lake:?} {}", lake.address()).contains("hunter2"));
    let Catalogue::Postgres {
        connection,
        options,
        password,
        secrets,
        ..
    } = lake.catalogue
    else {
        panic!("a Postgres catalogue")
    };
    let connection = connection.expose();
    assert!(!connection.contains("hunter2"), "{connection}");
    for part in ["host='db'", "connect_timeout='10'", "client_encoding='UTF8'"] {
        assert!(connection.contains(part), "{connection}");
    }
    assert_eq!(options, "");
    assert_eq!(password.as_ref().map(Secret::expose), Some("hunter2"));
    assert_eq!(
        secrets.iter().map(Secret::expose).collect::<Vec<_>>(),
        ["hunter2"]
    );
}

#[test]
fn settings_of_a_catalogue_are_kept_for_the_lake_to_add_to() {
    let text = "datastores:
  lake:
    type: ducklake
    connection:
      catalog: postgres://db/lakes?options=-c%20statement_timeout%3D7s&connect_timeout=3
      data_path: /files
";
    let loaded = Datastores::parse(Path::new("datastores.yaml"), text, &|_| None).unwrap();
    let Catalogue::Postgres {
        connection, options, ..
    } = lake_location(loaded.get("lake").unwrap()).unwrap().catalogue
    else {
        panic!("a Postgres catalogue")
    };
    assert_eq!(options, "-c statement_timeout=7s");
    let connection = connection.expose();
    assert!(!connection.contains("statement_timeout"), "{connection}");
    assert!(connection.contains("connect_timeout='3'"), "{connection}");
}

#[test]
fn a_lake_may_have_its_files_in_a_bucket() {
    let url = "ducklake:sqlite:lake.sqlite?data_path=s3://bucket/files/&s3_endpoint=http://minio:9000\
               &s3_access_key_id=hunter2&s3_secret_access_key=hunter2";
    let lake = lake_location(&datastore(url)).unwrap();
    assert_eq!(lake.data_path, PathBuf::from("s3://bucket/files"));
    assert_eq!(
        lake.address(),
        "ducklake:sqlite:/work/lake.sqlite?data_path=s3://bucket/files"
    );
    let bucket = lake.bucket.as_ref().unwrap();
    assert_eq!(
        (bucket.endpoint.as_deref(), bucket.tls),
        (Some("minio:9000"), false)
    );
    assert!(!format!("{lake:?}").contains("hunter2"));
}
