//! Addresses of the command line.

use std::path::Path;

use insta::assert_snapshot;
use pintail_config::Location;
use pintail_model::TableName;

/// What the address became: the address without secrets, then what it holds.
fn check(address: &str) -> String {
    match Location::parse(address, Path::new("")) {
        Ok(location) => {
            let table = location
                .table
                .as_ref()
                .map(|table| format!(" table={table}"))
                .unwrap_or_default();
            let schema = location
                .schema()
                .map(|schema| format!(" schema={schema}"))
                .unwrap_or_default();
            let options = location
                .datastore
                .options()
                .map(|options| format!(" [{}]", options.conninfo().expose()))
                .unwrap_or_default();
            format!("{location}{table}{schema}{options}")
        }
        Err(error) => match &error.hint {
            Some(hint) => format!("{error}\n  hint: {hint}"),
            None => error.to_string(),
        },
    }
}

#[test]
fn postgres_addresses_are_those_of_libpq() {
    assert_snapshot!(check("postgres://sync:pw@db:5433/shop"), @"postgres://sync@db:5433/shop [dbname='shop' host='db' password='pw' port='5433' user='sync']");
    assert_snapshot!(check("postgresql://db/shop?table=public.orders&sslmode=require"), @"postgres://db/shop table=public.orders [dbname='shop' host='db' sslmode='require']");
    assert_snapshot!(check("postgres://db/shop?table=orders&schema=sales"), @"postgres://db/shop table=sales.orders schema=sales [dbname='shop' host='db']");
    assert_snapshot!(check("postgres://"), @"postgres:// []");
    assert_snapshot!(check("postgres://sync@/shop?host=/var/run/postgresql&port=5433"), @"postgres://sync@/shop?host=/var/run/postgresql&port=5433 [dbname='shop' host='/var/run/postgresql' port='5433' user='sync']");
    assert_snapshot!(check("postgres://sync:pw@[2001:db8::1]:5433/shop"), @"postgres://sync@[2001:db8::1]:5433/shop [dbname='shop' host='2001:db8::1' password='pw' port='5433' user='sync']");
    assert_snapshot!(check("postgres://a:5432,b:5433/shop?target_session_attrs=read-write"), @"postgres://a:5432,b:5433/shop [dbname='shop' host='a,b' port='5432,5433' target_session_attrs='read-write']");
    assert_snapshot!(check("postgres://%2Fvar%2Frun/shop"), @"postgres:///shop?host=/var/run [dbname='shop' host='/var/run']");
}

#[test]
fn passwords_may_hold_any_character() {
    assert_snapshot!(check("postgres://u:p%40%2F%3F%23%25%3A%20%27@db/shop"), @r#"postgres://u@db/shop [dbname='shop' host='db' password='p@/?#%: \'' user='u']"#);
    assert_snapshot!(check("postgres://u:p@ss:w#rd!@db/shop"), @"postgres://u@db/shop [dbname='shop' host='db' password='p@ss:w#rd!' user='u']");
    assert_snapshot!(check("postgres://u%40corp:@db/sh%2Fop"), @"postgres://u%40corp@db/sh%2Fop [dbname='sh/op' host='db' user='u@corp']");
}

#[test]
fn sqlite_addresses_name_a_file() {
    assert_snapshot!(check("sqlite:shop.db"), @"sqlite:shop.db");
    assert_snapshot!(check("sqlite:/var/lib/shop.db?table=orders"), @"sqlite:/var/lib/shop.db table=orders");
    assert_snapshot!(check("sqlite:///var/lib/shop.db"), @"sqlite:/var/lib/shop.db");
    assert_snapshot!(check("sqlite:a%20b%3F/größe 100%.db"), @"sqlite:a%20b%3F/größe%20100%25.db");
    assert_snapshot!(check("sqlite:x.db?table=%22odd.name%22"), @"sqlite:x.db table=odd.name");
}

#[test]
fn lakes_have_a_catalogue_and_a_folder() {
    assert_snapshot!(check("ducklake:sqlite:lake.sqlite?data_path=files/"), @"ducklake:sqlite:lake.sqlite?data_path=files/");
    assert_snapshot!(check("ducklake:sqlite:dir/lake.sqlite"), @"ducklake:sqlite:dir/lake.sqlite?data_path=dir/lake.files");
    assert_snapshot!(check("ducklake:duckdb:/srv/lake.ducklake?schema=sales&table=orders"), @"ducklake:duckdb:/srv/lake.ducklake?data_path=/srv/lake.files table=sales.orders schema=sales");
    assert_snapshot!(
        check("ducklake:postgres://u:pw@db/lake?data_path=/srv/lake&sslmode=require&metadata_schema=m"), @"ducklake:postgres://u@db/lake?data_path=/srv/lake");
}

#[test]
fn mysql_addresses_name_one_server() {
    assert_snapshot!(check("mysql://sync:pw@db:3307/shop"), @"mysql://sync@db:3307/shop [database='shop' host='db' password='pw' port='3307' user='sync']");
    assert_snapshot!(check("mariadb://db/shop?table=orders&ssl_mode=required&ssl_ca=ca.pem"), @"mysql://db/shop table=orders [database='shop' host='db' ssl_ca='ca.pem' ssl_mode='required']");
    assert_snapshot!(check("mysql://sync@/shop?socket=/run/mysqld/mysqld.sock"), @"mysql://sync@/shop?socket=/run/mysqld/mysqld.sock [database='shop' socket='/run/mysqld/mysqld.sock' user='sync']");
    assert_snapshot!(check("mysql://a:3306,b:3307/shop"), @"cannot read the location `mysql://a:3306,b:3307/shop`: an address of this system names one host");
    assert_snapshot!(check("mysql://db/shop?sslmode=require"), @r"
    cannot read the location `mysql://db/shop?sslmode=require`: parameter `sslmode` is not known
      hint: did you mean `ssl_mode`?
    ");
    assert_snapshot!(check("mysql:db/shop"), @r"
    cannot read the location `mysql:db/shop`: `//` is missing behind `mysql:`
      hint: the form is `mysql://user:password@host:port/dbname`
    ");
}

#[test]
fn duckdb_addresses_name_a_file_and_a_schema() {
    assert_snapshot!(check("duckdb:shop.duckdb?table=orders&schema=sales"), @"duckdb:shop.duckdb table=sales.orders schema=sales");
    assert_snapshot!(check("duckdb:///var/lib/shop.duckdb"), @"duckdb:/var/lib/shop.duckdb");
}

#[test]
fn files_lie_in_folders_and_buckets() {
    assert_snapshot!(check("files:export/"), @"files:export/");
    assert_snapshot!(check("files:export/*.csv.gz?format=csv&table=orders"), @"files:export/*.csv.gz?format=csv table=orders");
    assert_snapshot!(check("files:export/orders.csv?delimiter=;"), @"files:export/orders.csv?delimiter=;");
    assert_snapshot!(check("files:out/?partition_by=day,größe&format=json"), @"files:out/?format=json&partition_by=day,größe");
    assert_snapshot!(check("files:///srv/export/2026-*/part-%3F.parquet"), @"files:/srv/export/2026-*/part-%3F.parquet");
    assert_snapshot!(check("s3://bucket"), @"s3://bucket/");
    assert_snapshot!(check("s3://bucket/a b/**/*.parquet?region=eu-north-1&access_key_id=hunter2&secret_access_key=hunter2"), @"s3://bucket/a%20b/**/*.parquet?region=eu-north-1");
    assert_snapshot!(check("s3://bucket/p/?endpoint=https://storage.example.com&url_style=vhost"), @"s3://bucket/p/?endpoint=storage.example.com&url_style=vhost&use_ssl=true");
    assert_snapshot!(check("minio://bucket/p/?endpoint=http://minio:9000&access_key=hunter2&secret_key=hunter2"), @"minio://bucket/p/?endpoint=minio:9000&use_ssl=false");
}

#[test]
fn mistakes_in_addresses_of_files_are_named() {
    assert_snapshot!(check("files:"), @"cannot read the location `files:`: the path is empty");
    assert_snapshot!(check("files:x?format=cvs"), @r"
    cannot read the location `files:x?format=cvs`: `format` is none of `parquet`, `csv` and `json`
      hint: did you mean `csv`?
    ");
    assert_snapshot!(check("files:x?partition_by=a,,b"), @"cannot read the location `files:x?partition_by=a,,b`: `partition_by` names a column without a name");
    assert_snapshot!(check("s3://b/x?partition_by=a,b,a"), @"cannot read the location `s3://b/x?partition_by=a,b,a`: `partition_by` names `a` twice");
    assert_snapshot!(check("files:x?delimiter=%3B%3B"), @"cannot read the location `files:x?delimiter=%3B%3B`: `delimiter` is neither one letter of ASCII nor `tab`");
    assert_snapshot!(check("files:x?region=eu"), @"cannot read the location `files:x?region=eu`: parameter `region` is not known");
    assert_snapshot!(check("s3:bucket/x"), @r"
    cannot read the location `s3:bucket/x`: `//` is missing before the bucket
      hint: the form is `s3://bucket/prefix`
    ");
    assert_snapshot!(check("s3:///x"), @r"
    cannot read the location `s3:///x`: the name of the bucket is not one: letters, digits, `.`, `-` and `_`
      hint: the form is `s3://bucket/prefix`
    ");
    assert_snapshot!(check("s3://user:hunter2@bucket/x"), @r"
    cannot read the location `s3://user:***@bucket/x`: the name of the bucket is not one: letters, digits, `.`, `-` and `_`
      hint: the form is `s3://bucket/prefix`
    ");
    assert_snapshot!(check("s3://bucket/x?endpoint=ftp://minio"), @"cannot read the location `s3://bucket/x?endpoint=ftp://minio`: `endpoint` begins with neither `http://` nor `https://`");
    assert_snapshot!(check("s3://bucket/x?endpoint=http://"), @r"
    cannot read the location `s3://bucket/x?endpoint=http://`: `endpoint` is not the address of a server
      hint: the forms are `host:port` and `http://host:port`
    ");
    assert_snapshot!(check("s3://bucket/x?url_style=host"), @"cannot read the location `s3://bucket/x?url_style=host`: `url_style` is neither `path` nor `vhost`");
    assert_snapshot!(check("s3://bucket/x?use_ssl=no"), @"cannot read the location `s3://bucket/x?use_ssl=no`: `use_ssl` is neither `true` nor `false`");
    assert_snapshot!(check("s3://bucket/x?regoin=eu"), @r"
    cannot read the location `s3://bucket/x?regoin=eu`: parameter `regoin` is not known
      hint: did you mean `region`?
    ");
    assert_snapshot!(check("minio://bucket/x"), @r"
    cannot read the location `minio://bucket/x`: `endpoint` is missing: MinIO has no address of its own
      hint: add `?endpoint=http://host:9000`
    ");
    assert_snapshot!(check("ducklake:sqlite:x?data_path=gs://bucket/x"), @r"
    cannot read the location `ducklake:sqlite:x?data_path=gs://bucket/x`: `gs` is not an object store
      hint: files lie in a folder, or in a bucket as `s3://bucket/prefix`
    ");
    assert_snapshot!(check("ducklake:sqlite:x?data_path=files&s3_region=eu"), @"cannot read the location `ducklake:sqlite:x?data_path=files&s3_region=eu`: parameter `s3_region` belongs to a `data_path` in a bucket");
}

#[test]
fn a_lake_may_have_its_files_in_a_bucket() {
    assert_snapshot!(check("ducklake:sqlite:lake.sqlite?data_path=s3://bucket/lake&s3_region=eu-north-1&s3_secret_access_key=hunter2"), @"ducklake:sqlite:lake.sqlite?data_path=s3://bucket/lake&s3_region=eu-north-1");
    assert_snapshot!(check("ducklake:postgres://u@db/lake?s3_endpoint=http://minio:9000&data_path=s3://bucket"), @"ducklake:postgres://u@db/lake?data_path=s3://bucket/&s3_endpoint=minio:9000&s3_use_ssl=false");
}

#[test]
fn paths_are_relative_to_the_given_folder() {
    let parse = |address| {
        Location::parse(address, Path::new("/work"))
            .expect(address)
            .to_string()
    };
    assert_snapshot!(parse("sqlite:shop.db"), @"sqlite:/work/shop.db");
    assert_snapshot!(parse("ducklake:sqlite:lake.sqlite?data_path=files"), @"ducklake:sqlite:/work/lake.sqlite?data_path=/work/files");
    assert_snapshot!(parse("ducklake:sqlite:/a/lake.sqlite"), @"ducklake:sqlite:/a/lake.sqlite?data_path=/a/lake.files");
}

#[test]
fn malformed_addresses_say_what_is_wrong() {
    assert_snapshot!(check("shop.db"), @r"
    cannot read the location `shop.db`: it does not begin with a system
      hint: a SQLite file is written as `sqlite:<path>`
    ");
    assert_snapshot!(check("orders"), @r"
    cannot read the location `orders`: it does not begin with a system
      hint: the forms are `postgres://…`, `mysql://…`, `sqlite:<path>`, `duckdb:<path>`, `ducklake:<catalogue>`, `files:<path>` and `s3://<bucket>/…`
    ");
    assert_snapshot!(check(""), @r"
    cannot read the location ``: it does not begin with a system
      hint: the forms are `postgres://…`, `mysql://…`, `sqlite:<path>`, `duckdb:<path>`, `ducklake:<catalogue>`, `files:<path>` and `s3://<bucket>/…`
    ");
    assert_snapshot!(check("postgre://db/shop"), @r"
    cannot read the location `postgre://db/shop`: `postgre` is not a system
      hint: did you mean `postgres`?
    ");
    assert_snapshot!(check("clickhouse://db/shop"), @r"
    cannot read the location `clickhouse://db/shop`: `clickhouse` is not built yet
      hint: this release reads from `postgres`, `mysql`, `sqlite`, `duckdb`, `ducklake`, `files`, `s3` and `minio` and writes to `postgres`, `mysql`, `sqlite`, `duckdb`, `ducklake`, `files`, `s3` and `minio`
    ");
    assert_snapshot!(check("oracle://db/shop"), @r"
    cannot read the location `oracle://db/shop`: `oracle` is not a system
      hint: the forms are `postgres://…`, `mysql://…`, `sqlite:<path>`, `duckdb:<path>`, `ducklake:<catalogue>`, `files:<path>` and `s3://<bucket>/…`
    ");
    assert_snapshot!(check("postgres:db/shop"), @r"
    cannot read the location `postgres:db/shop`: `//` is missing behind `postgres:`
      hint: the form is `postgres://user:password@host:port/dbname`
    ");
    assert_snapshot!(check("postgres://db:fivefourthreetwo/shop"), @r"
    cannot read the location `postgres://db:***/shop`: the port is not a number from 1 to 65535
      hint: an IPv6 address stands in brackets; in a password `/` is written as `%2F` and `@` as `%40`
    ");
    assert_snapshot!(check("postgres://::1/shop"), @r"
    cannot read the location `postgres://::1/shop`: the port is not a number from 1 to 65535
      hint: an IPv6 address stands in brackets; in a password `/` is written as `%2F` and `@` as `%40`
    ");
    assert_snapshot!(check("postgres://[::1/shop"), @"cannot read the location `postgres://[::1/shop`: a `[` of an IPv6 address is not closed");
    assert_snapshot!(check("postgres://[::1]5432/shop"), @"cannot read the location `postgres://[::1]5432/shop`: an IPv6 address is followed by something else than a port");
    assert_snapshot!(check("postgres://db/shop?slmode=require"), @r"
    cannot read the location `postgres://db/shop?slmode=require`: parameter `slmode` is not known
      hint: did you mean `sslmode`?
    ");
    assert_snapshot!(check("postgres://db/shop?data_path=x"), @"cannot read the location `postgres://db/shop?data_path=x`: parameter `data_path` is not known");
    assert_snapshot!(check("postgres://db/shop?table="), @"cannot read the location `postgres://db/shop?table=`: parameter `table` is empty");
    assert_snapshot!(check("postgres://db/shop?table=a&table=b"), @"cannot read the location `postgres://db/shop?table=a&table=b`: parameter `table` stands there twice");
    assert_snapshot!(check("postgres://db/shop?table=a.b.c"), @r#"
    cannot read the location `postgres://db/shop?table=a.b.c`: `table` is not a table name
      hint: the forms are `table`, `schema.table` and `"odd.name"`
    "#);
    assert_snapshot!(check("sqlite:"), @"cannot read the location `sqlite:`: the path is empty");
    assert_snapshot!(check("sqlite://shop.db"), @r"
    cannot read the location `sqlite://shop.db`: a path after `//` has to be absolute
      hint: write `folder/file` or `///folder/file` behind the colon
    ");
    assert_snapshot!(check("sqlite:what?.db"), @r"
    cannot read the location `sqlite:what?.db`: a parameter behind the `?` has no value
      hint: parameters are `key=value`; a `?` in a path or password is written as `%3F`
    ");
    assert_snapshot!(check("sqlite:x.db?mode=ro"), @"cannot read the location `sqlite:x.db?mode=ro`: parameter `mode` is not known");
    assert_snapshot!(check("sqlite:%ff"), @"cannot read the location `sqlite:%ff`: a percent-escape is not UTF-8");
    assert_snapshot!(check("ducklake:lake.sqlite"), @"cannot read the location `ducklake:lake.sqlite`: the catalogue of a lake is `sqlite:<path>`, `duckdb:<path>` or `postgres://…`");
    assert_snapshot!(check("ducklake:sqlite:lake.sqlite?datapath=x"), @r"
    cannot read the location `ducklake:sqlite:lake.sqlite?datapath=x`: parameter `datapath` is not known
      hint: did you mean `data_path`?
    ");
    assert_snapshot!(check("ducklake:postgres://db/lake"), @r"
    cannot read the location `ducklake:postgres://db/lake`: `data_path` is missing: a catalogue in Postgres has no folder beside it
      hint: add `?data_path=<folder>`
    ");
}

#[test]
fn no_malformed_address_shows_its_password() {
    for address in [
        "postgres://sync:hunter2@db:hunter2/shop",
        "postgres://sync:x/hunter2@db/shop",
        "postgres://sync:x?hunter2@db/shop",
        "postgres://sync:x?hunter2=@db/shop",
        "postgres://sync:x@y/hunter2@db/shop",
        "postgres://sync:hunter2",
        "postgres://sync:hunter2/shop",
        "postgres://sync:hunter2@[db/shop",
        "postgres://sync:hunter2@db/shop?slmode=x",
        "postgres://db/shop?pasword=x&password=hunter2",
        "postgres://sync:%ffhunter2@db/shop",
        "oracle://sync:hunter2@db/shop",
        "ducklake:postgres://sync:hunter2@db/lake",
        "ducklake:mysql://sync:hunter2@db/lake",
        "mysql://sync:x/hunter2@db/shop",
        "s3://id:hunter2@bucket/x",
        "s3://bucket/x?secret_access_key=hunter2&regoin=x",
        "s3://bucket/x?secret_acces_key=hunter2",
        "minio://bucket/x?secret_key=hunter2",
        "ducklake:sqlite:x?s3_secret_access_key=hunter2&data_path=gs://bucket",
    ] {
        let error = Location::parse(address, Path::new("")).expect_err(address);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_good_address_does_not_show_its_password_either() {
    for address in [
        "postgres://sync:hunter2@db/shop?sslpassword=hunter2",
        "postgres://db/shop?password=hunter2",
        "ducklake:postgres://sync:hunter2@db/lake?data_path=x",
        "mysql://sync:hunter2@db/shop",
        "s3://bucket/x?access_key_id=hunter2&secret_access_key=hunter2&session_token=hunter2",
        "ducklake:sqlite:x?data_path=s3://bucket/x&s3_access_key_id=hunter2&s3_secret_access_key=hunter2",
    ] {
        let location = Location::parse(address, Path::new("")).expect(address);
        let shown = format!("{location} {location:?} {}", location.datastore.identity());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn one_place_has_one_identity() {
    let identity = |address| {
        Location::parse(address, Path::new("/work"))
            .expect(address)
            .datastore
            .identity()
    };
    assert_eq!(
        identity("postgres://u:a@db/shop"),
        identity("postgresql://u:b@db:5432/shop?sslmode=require")
    );
    assert_eq!(
        identity("sqlite:shop.db"),
        identity("sqlite:///work/shop.db?table=orders")
    );
    assert_ne!(
        identity("postgres://u@db/shop"),
        identity("postgres://u@db/other")
    );
    assert_ne!(identity("ducklake:sqlite:a"), identity("ducklake:duckdb:a"));
    assert_eq!(
        identity("mariadb://u@db/shop"),
        identity("mysql://u:pw@db:3306/shop?ssl_mode=required")
    );
    assert_eq!(
        identity("s3://bucket/x?endpoint=http://minio:9000"),
        identity("minio://bucket/x?endpoint=minio:9000&region=eu&use_ssl=false")
    );
    assert_ne!(identity("s3://bucket/x"), identity("s3://bucket/y"));
}

#[test]
fn tables_without_a_schema_take_the_one_of_the_location() {
    let location = Location::parse("postgres://db/shop?schema=sales", Path::new("")).expect("valid");
    assert_eq!(
        location.qualify(TableName::bare("orders")),
        TableName::new("sales", "orders")
    );
    assert_eq!(
        location.qualify(TableName::new("hr", "staff")),
        TableName::new("hr", "staff")
    );
}
