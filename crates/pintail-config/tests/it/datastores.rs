//! `datastores.yaml`.

use std::path::Path;

use insta::{assert_debug_snapshot, assert_snapshot};
use pintail_config::Datastores;

use crate::environment;

/// Every datastore as an address, or the problems.
fn check(yaml: &str) -> String {
    match Datastores::parse(Path::new("conf/datastores.yaml"), yaml, &environment) {
        Ok(datastores) => {
            let lines: Vec<String> = datastores
                .names()
                .map(|name| format!("{name} = {}", datastores.get(name).expect("a name from the list")))
                .collect();
            lines.join("\n")
        }
        Err(problems) => problems.to_string(),
    }
}

const SEED: &str = "\
datastores:
  source_db:
    type: 'postgres'
    connection:
      host: 'localhost'
      port: 5432
      user: 'your_user'
      password: 'your_password'
      dbname: 'source_database'
      schema: 'public'
  
  dest_db:
    type: 'postgres'
    connection:
      host: 'localhost'
      port: 5432
      user: 'your_user'
      password: 'your_password'
      dbname: 'dest_database'
      schema: 'public'
";

#[test]
fn the_seed_file_loads() {
    assert_snapshot!(check(SEED), @r"
    dest_db = postgres://your_user@localhost:5432/dest_database
    source_db = postgres://your_user@localhost:5432/source_database
    ");
    let datastores = Datastores::parse(Path::new("datastores.yaml"), SEED, &environment).expect("valid");
    assert_debug_snapshot!(datastores.get("source_db"), @r#"
    Some(
        Datastore {
            name: "source_db",
            system: "postgres",
            schema: Some(
                "public",
            ),
            connection: Server(
                Options(
                    {
                        "dbname": Text(
                            "source_database",
                        ),
                        "host": Text(
                            "localhost",
                        ),
                        "password": Secret(
                            ***,
                        ),
                        "port": Text(
                            "5432",
                        ),
                        "user": Text(
                            "your_user",
                        ),
                    },
                ),
            ),
            base: "",
        },
    )
    "#);
}

#[test]
fn files_and_lakes_are_relative_to_the_file() {
    assert_snapshot!(check("\
datastores:
  shop: {type: sqlite, connection: {path: shop.db}}
  absolute: {type: sqlite, connection: {path: /var/shop.db}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite', data_path: files/}}
  short: {type: ducklake, connection: {catalog: 'duckdb:lake.ducklake'}}
  shared:
    type: ducklake
    connection:
      catalog: postgres://pintail:${DB_PASSWORD}@${DB_HOST}/lake?sslmode=require
      data_path: /srv/lake
      metadata_schema: meta
      schema: analytics
"), @r"
    absolute = sqlite:/var/shop.db
    lake = ducklake:sqlite:conf/lake.sqlite?data_path=conf/files/
    shared = ducklake:postgres://pintail@db.internal/lake?data_path=/srv/lake
    shop = sqlite:conf/shop.db
    short = ducklake:duckdb:conf/lake.ducklake?data_path=conf/lake.files
    ");
}

#[test]
fn systems_of_later_releases_load() {
    assert_snapshot!(check("\
datastores:
  a: {type: clickhouse, connection: {host: x, port: 9000, password: y, anything: 1}}
  b: {type: starrocks, connection: {host: x}}
"), @r"
    a = clickhouse://x:9000
    b = starrocks://x
    ");
}

#[test]
fn servers_files_and_buckets_load() {
    assert_snapshot!(check("\
datastores:
  shop: {type: mysql, connection: {host: x, port: 3306, user: u, password: y, dbname: shop, ssl_ca: ca.pem}}
  local: {type: mysql, connection: {socket: /run/mysqld.sock, user: u, database: shop, schema: shop}}
  mart: {type: duckdb, connection: {path: mart.duckdb, schema: marts}}
  exports: {type: files, connection: {path: exports/, delimiter: ';', partition_by: [day, region]}}
  lines: {type: files, connection: {path: '/srv/logs/*.log', format: json}}
  amazon: {type: s3, connection: {bucket: x, prefix: /raw/, region: eu-north-1, aws_secret_access_key: y}}
  minio: {type: minio, connection: {bucket: x, endpoint: 'http://minio:9000', access_key: a, secret_key: b}}
  lake:
    type: ducklake
    connection: {catalog: 'sqlite:x', data_path: 's3://bucket/lake', s3_endpoint: minio:9000, s3_use_ssl: false}
"), @r"
    amazon = s3://x/raw/?region=eu-north-1
    exports = files:conf/exports/?delimiter=;&partition_by=day,region
    lake = ducklake:sqlite:conf/x?data_path=s3://bucket/lake&s3_endpoint=minio:9000&s3_use_ssl=false
    lines = files:/srv/logs/*.log?format=json
    local = mysql://u@/shop?socket=/run/mysqld.sock
    mart = duckdb:conf/mart.duckdb
    minio = minio://x/?endpoint=minio:9000&use_ssl=false
    shop = mysql://u@x:3306/shop
    ");
}

#[test]
fn mistakes_about_files_are_reported() {
    assert_snapshot!(check("\
datastores:
  a: {type: files, connection: {path: x, format: exel}}
  b: {type: s3, connection: {bucket: a/b, secret_key: [x]}}
  c: {type: minio, connection: {bucket: x, use_ssl: maybe}}
  d: {type: ducklake, connection: {catalog: 'sqlite:x', s3_region: eu}}
  e: {type: ducklake, connection: {catalog: 'sqlite:x', data_path: 'gs://x/y'}}
  f: {type: mysql, connection: {host: x, sslmode: require}}
"), @r"
    found 8 problems in conf/datastores.yaml
    conf/datastores.yaml:2:50: datastores.a.connection.format: expected a format, found the text `exel`
      hint: known are `parquet`, `csv` and `json`
    conf/datastores.yaml:3:38: datastores.b.connection.bucket: the name of the bucket is not one: letters, digits, `.`, `-` and `_`
    conf/datastores.yaml:3:55: datastores.b.connection.secret_key: expected a single value, found a list
    conf/datastores.yaml:4:32: datastores.c.connection: key `endpoint` is missing
    conf/datastores.yaml:4:53: datastores.c.connection.use_ssl: `use_ssl` is neither `true` nor `false`
    conf/datastores.yaml:5:57: datastores.d.connection: key `s3_region` belongs to a `data_path` in a bucket
    conf/datastores.yaml:6:68: datastores.e.connection.data_path: `gs` is not an object store
      hint: files lie in a folder, or in a bucket as `s3://bucket/prefix`
    conf/datastores.yaml:7:42: datastores.f.connection: key `sslmode` is not known
      hint: did you mean `ssl_mode`?
    ");
}

#[test]
fn what_is_not_built_is_said_in_words() {
    let yaml = "\
datastores:
  pg: {type: postgres, connection: {host: x}}
  file: {type: sqlite, connection: {path: x.db}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:x'}}
  bucket: {type: ducklake, connection: {catalog: 'sqlite:x', data_path: 's3://bucket/lake'}}
  my: {type: mysql, connection: {}}
  click: {type: clickhouse, connection: {}}
";
    let datastores = Datastores::parse(Path::new("datastores.yaml"), yaml, &environment).expect("valid");
    let lines: Vec<String> = datastores
        .names()
        .filter_map(|name| datastores.get(name))
        .map(|store| {
            let (source, destination) = (store.not_built_as_source(), store.not_built_as_destination());
            format!("{}: {source:?} {destination:?}", store.name)
        })
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    bucket: None None
    click: Some("reading from `clickhouse`") Some("writing to `clickhouse`")
    file: None None
    lake: None None
    my: None None
    pg: None None
    "#);
}

#[test]
fn all_mistakes_are_reported() {
    assert_snapshot!(check("\
datastore: {}
datastores:
  a:
    type: postgresql
    connection: {host: x}
  b:
    type: postgres
    connection: {hots: x, port: many, database: shop, username: me, password: [hunter2]}
  c:
    type: sqlite
    conection: {path: x}
  d:
    type: sqlite
    connection: {file: x}
  e:
    type: ducklake
    connection: {catalog: 'mysql:x', data_path: y}
  f:
    type: ducklake
    connection: {catalog: 'postgres://a:hunter2@b:hunter2/c'}
  g:
    type: ducklake
    connection: {catalog: 'postgres://a:hunter2@b/c'}
  h:
    type: postgres
    connection: {port: 0, password: '${NOT_SET}'}
"), @r"
    found 14 problems in conf/datastores.yaml
    conf/datastores.yaml:1:1: key `datastore` is not known
    conf/datastores.yaml:4:11: datastores.a.type: expected a system, found the text `postgresql`
      hint: did you mean `postgres`?
    conf/datastores.yaml:8:18: datastores.b.connection: key `hots` is not known
      hint: did you mean `host`?
    conf/datastores.yaml:8:33: datastores.b.connection.port: expected a port from 1 to 65535, found the text `many`
    conf/datastores.yaml:8:39: datastores.b.connection: key `database` is not known
      hint: did you mean `dbname`?
    conf/datastores.yaml:8:55: datastores.b.connection: key `username` is not known
      hint: did you mean `user`?
    conf/datastores.yaml:8:79: datastores.b.connection.password: expected a single value, found a list
    conf/datastores.yaml:11:5: datastores.c: key `conection` is not known
      hint: did you mean `connection`?
    conf/datastores.yaml:14:18: datastores.d.connection: key `file` is not known
      hint: did you mean `path`?
    conf/datastores.yaml:17:27: datastores.e.connection.catalog: the catalogue of a lake is `sqlite:<path>`, `duckdb:<path>` or `postgres://…`
    conf/datastores.yaml:20:27: datastores.f.connection.catalog: the port is not a number from 1 to 65535
      hint: an IPv6 address stands in brackets; in a password `/` is written as `%2F` and `@` as `%40`
    conf/datastores.yaml:23:17: datastores.g.connection: key `data_path` is missing: a catalogue in Postgres has no folder beside it
    conf/datastores.yaml:26:24: datastores.h.connection.port: expected a port from 1 to 65535, found the number `0`
    conf/datastores.yaml:26:37: datastores.h.connection.password: environment variable `NOT_SET` is not set
      hint: set it, or write a default: `${NOT_SET:-default}`
    ");
}

#[test]
fn passwords_do_not_show() {
    let yaml = "\
datastores:
  a: {type: postgres, connection: {password: hunter2, sslpassword: hunter2, sslrootcert: ca.pem}}
  b: {type: ducklake, connection: {catalog: 'postgres://u:hunter2@h/d?sslpassword=hunter2', data_path: x}}
  c: {type: clickhouse, connection: {pwd: hunter2, url: 'clickhouse://u:hunter2@h/d'}}
  d: {type: s3, connection: {bucket: b, access_key: hunter2, secret_key: hunter2, session_token: hunter2}}
  e: {type: ducklake, connection: {catalog: 'sqlite:x', data_path: 's3://b/p', s3_secret_access_key: hunter2}}
";
    let datastores = Datastores::parse(Path::new("conf/datastores.yaml"), yaml, &environment).expect("valid");
    let shown = format!("{datastores:?} {}", check(yaml));
    assert!(!shown.contains("hunter2"), "{shown}");
    let options = datastores
        .get("a")
        .and_then(|store| store.options())
        .expect("a server");
    assert_eq!(
        options.conninfo().expose(),
        "password='hunter2' sslpassword='hunter2' sslrootcert='conf/ca.pem'"
    );
}
