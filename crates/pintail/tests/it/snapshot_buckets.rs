//! `pintail snapshot` and `pintail sql --write` with snapshots in a bucket.

use insta::assert_snapshot;
use pintail_testkit::{S3Bucket, S3Server, assert_no_canary, assert_no_canary_in_folder};

use crate::project::{Project, Seen};
use crate::snapshots::{execute, shop, value};

const SECRETS: [&str; 2] = [S3Server::KEY_ID, S3Server::SECRET];

/// A shop, and a bucket for its snapshots.
struct Shop {
    project: Project,
    bucket: S3Bucket,
    _filters: [insta::internals::SettingsBindDropGuard; 2],
}

impl Shop {
    fn new() -> Self {
        let (project, filters) = shop();
        let bucket = S3Server::shared().fresh_bucket();
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(&format!(r"\b{}\b", bucket.name()), "[BUCKET]");
        Self {
            project,
            bucket,
            _filters: [filters, settings.bind_to_scope()],
        }
    }

    /// A command of snapshots, with the keys in the environment.
    fn snapshot(&self, arguments: &[&str]) -> Seen {
        let dir = self.bucket.url("kept/snapshots");
        let arguments = [&["snapshot"], arguments, &["--project", "123", "--dir", &dir]].concat();
        self.run(&arguments)
    }

    fn run(&self, arguments: &[&str]) -> Seen {
        let endpoint = self.bucket.settings().endpoint.clone().unwrap_or_default();
        let mut command = self.project.command(arguments);
        command
            .env("AWS_ENDPOINT_URL", format!("http://{endpoint}"))
            .env("AWS_ACCESS_KEY_ID", S3Server::KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", S3Server::SECRET);
        let seen = Seen::of(&mut command);
        assert_no_canary(&seen.to_string(), &SECRETS);
        seen
    }

    fn create(&self, id: &str) -> Seen {
        self.snapshot(&[
            "create",
            "--id",
            id,
            "--created-by",
            "ada",
            "--database",
            "shop.duckdb",
        ])
    }

    fn key(&self, name: &str) -> String {
        format!("kept/snapshots/123/{name}")
    }
}

#[test]
fn a_snapshot_in_a_bucket_is_taken_shown_and_restored() {
    let shop = Shop::new();
    assert_snapshot!(shop.create("before"), @"
    exit code 0
    --- stdout
    took snapshot before  2 tables · 1,800 rows · [SIZE] · [DURATION] · read back
      in_c_customers.customers  1,500 rows · [SIZE]
      in_c_orders.orders  300 rows · [SIZE]
    ");
    execute(
        &shop.project,
        "update in_c_orders.orders set took = null where id = 7",
    );
    assert_snapshot!(shop.create("after"), @"
    exit code 0
    --- stdout
    took snapshot after  2 tables · 1,800 rows · [SIZE] · [DURATION] · read back
      in_c_customers.customers  1,500 rows · unchanged since before
      in_c_orders.orders  300 rows · [SIZE]
    ");
    assert_snapshot!(shop.snapshot(&["list"]), @"
    exit code 0
    --- stdout
    ────
    │ snapshot ┆ taken                ┆ type   ┆ tables ┆  rows ┆     size ┆ proof     ┆ description │
    ────
    │ before   ┆ [TIME] ┆ manual ┆      2 ┆ 1,800 ┆ [SIZE] ┆ read back ┆             │
    │ after    ┆ [TIME] ┆ manual ┆      2 ┆ 1,800 ┆ [SIZE] ┆ read back ┆             │
    ────
    2 snapshots
    ");
    assert_snapshot!(shop.snapshot(&["show", "after"]), @"
    exit code 0
    --- stdout
    after of project 123
      taken        [TIME] by ada, manual
      of           duckdb:[FOLDER]/shop.duckdb, branch main
      proof        read back
      after        before
      in_c_customers.customers  1,500 rows · [SIZE] · before/in_c_customers.customers.parquet
        id BIGINT, key
        name VARCHAR
        email VARCHAR
      in_c_orders.orders  300 rows · [SIZE] · in_c_orders.orders.parquet
        id BIGINT
        took INTERVAL, stored as VARCHAR
      view in_c_orders.long_ones
    ");
    let diff = ["diff", "before", "--database", "shop.duckdb", "--rows", "5"];
    assert_snapshot!(shop.snapshot(&diff), @"
    exit code 0
    --- stdout
    before of [TIME], and since then in duckdb:shop.duckdb
      in_c_customers.customers  same
      in_c_orders.orders  1 added · 1 removed · 0 changed
        added  7, NULL
        removed  7, 7 days
    ");
    assert_snapshot!(shop.snapshot(&["diff", "before", "--against", "after"]), @"
    exit code 0
    --- stdout
    before of [TIME], and since then in after
      in_c_customers.customers  same
      in_c_orders.orders  1 added · 1 removed · 0 changed
    ");
    assert_snapshot!(shop.snapshot(&["verify", "--all"]), @"
    exit code 0
    --- stdout
    sound  2 snapshots · 4 files · [SIZE] read · [DURATION]
    ");
    let restore = ["restore", "before", "--database", "shop.duckdb", "--yes"];
    assert_snapshot!(shop.snapshot(&restore), @"
    exit code 0
    --- stdout
    restored before into duckdb:shop.duckdb  2 tables · 1,800 rows · [DURATION] · verified
      in_c_customers.customers  1,500 rows, replaces what is there
      in_c_orders.orders  300 rows, replaces what is there
      what was replaced is kept in auto_predrop_[SECOND]
    ");
    assert_eq!(
        value(&shop.project, "select count(took) from in_c_orders.orders"),
        "300"
    );
    let drilled = shop.snapshot(&["drill", "--count", "5", "--json"]);
    assert_eq!(
        (drilled.code, drilled.json()["proven"].as_bool()),
        (Some(0), Some(true)),
        "{drilled}"
    );
    assert_eq!(
        shop.bucket.keys("kept/snapshots/123/before/"),
        [
            "in_c_customers.customers.parquet",
            "in_c_orders.orders.parquet",
            "metadata.json"
        ]
        .map(|name| shop.key(&format!("before/{name}")))
    );
    // Nothing of it lies on this machine, and nothing of the keys lies in the bucket.
    assert!(!shop.project.path("snapshots").exists());
    assert_no_canary_in_folder(&shop.project.path(""), &SECRETS);
    for key in shop.bucket.keys("") {
        assert_no_canary(&String::from_utf8_lossy(&shop.bucket.read(&key)), &SECRETS);
    }
}

#[test]
fn what_is_decided_about_one_in_a_bucket_is_told_and_done() {
    let shop = Shop::new();
    shop.create("before");
    shop.create("after");
    assert_snapshot!(shop.snapshot(&["explain", "before"]), @"
    exit code 0
    --- stdout
    before
      kept until [TIME]: manual_days is 90 (default)
      goes with the first `prune` after [TIME]
      shares files with after
      followed by after
    ");
    let hold = ["hold", "before", "--by", "ada", "--reason", "audit"];
    assert_snapshot!(shop.snapshot(&hold), @"
    exit code 0
    --- stdout
    held  before
    ");
    assert_snapshot!(shop.snapshot(&["delete", "before", "--yes"]), @"
    exit code 9
    --- stderr
    error: snapshot `before` is held by ada since [TIME]
    hint: `pintail snapshot release before --project 123` lets go of it.
    ");
    assert_snapshot!(shop.snapshot(&["release", "before"]), @"
    exit code 0
    --- stdout
    released  before
    ");
    assert_snapshot!(shop.snapshot(&["delete", "before", "--yes"]), @"
    exit code 0
    --- stdout
    marked to go  before
    ");
    assert_snapshot!(shop.snapshot(&["prune", "--grace", "0s", "--dry-run"]), @"
    exit code 0
    --- stdout
    would prune  0 marked · 1 removed · 1 kept
      removed  before
    ");
    assert_snapshot!(shop.snapshot(&["prune", "--grace", "0s", "--yes"]), @"
    exit code 0
    --- stdout
    pruned  0 marked · 1 removed · 1 kept
      removed  before
    ");
    assert_snapshot!(shop.snapshot(&["show", "before"]), @"
    exit code 3
    --- stderr
    error: project `123` has no snapshot `before`
    hint: `pintail snapshot list --project 123` shows them.
    ");
    // The files that the other one uses are there.
    assert_snapshot!(shop.snapshot(&["verify", "--all"]), @"
    exit code 0
    --- stdout
    sound  1 snapshot · 2 files · [SIZE] read · [DURATION]
    ");
    shop.bucket.delete(&shop.key("before/in_c_orders.orders.parquet"));
    assert_snapshot!(shop.snapshot(&["verify", "after"]), @"
    exit code 7
    --- stdout
    1 finding  1 snapshot · 2 files · [SIZE] read · [DURATION]
      after/in_c_orders.orders.parquet  missing, in the folder of before
    ");
    let set = ["settings", "set", "--bucket", "in_c_orders", "manual_days", "30"];
    assert_eq!(shop.snapshot(&set).code, Some(0));
    let get = shop.snapshot(&["settings", "get", "--table", "in_c_orders.orders", "--json"]);
    assert_eq!(get.json()["settings"][0]["value"], 30, "{get}");
    assert!(shop.bucket.keys("").contains(&shop.key(".settings.json")));
}

#[test]
fn what_a_statement_takes_away_is_kept_in_a_bucket() {
    let shop = Shop::new();
    let dir = format!(
        "{}?{}",
        shop.bucket.url("kept/snapshots"),
        shop.bucket.parameters("")
    );
    let sql = |query: &str, dir: &str| {
        let place = ["--write", "--project", "123", "--dir", dir];
        let seen = shop
            .project
            .pintail(&[&["sql", "duckdb:shop.duckdb", query][..], &place].concat());
        assert_no_canary(&seen.to_string(), &SECRETS);
        seen
    };
    assert_snapshot!(sql("drop table in_c_orders.orders", &dir), @"
    exit code 0
    --- stderr
    kept in_c_orders.orders in auto_predrop_[SECOND]
    ");
    let listed = shop.snapshot(&["list", "--json"]).json();
    assert_eq!(listed["snapshots"][0]["type"], "pre_drop");
    // If it cannot be kept, it is not done.
    let nowhere = format!("s3://nowhere/kept?{}", shop.bucket.parameters(""));
    assert_snapshot!(sql("drop table in_c_customers.customers", &nowhere), @r#"
    exit code 3
    --- stderr
    error: drop of table "in_c_customers.customers" was not done: what it would take away could not be kept in a snapshot first
      caused by: cannot write `s3://nowhere/kept/123/.work/auto_predrop_[SECOND].json`: the server answers 404 (NoSuchBucket)
    hint: Check the name of the bucket, `region` and `endpoint`.
    "#);
    assert_eq!(
        value(&shop.project, "select count(*) from in_c_customers.customers"),
        "1500"
    );
}

#[test]
fn what_is_wrong_in_a_bucket_is_named() {
    let shop = Shop::new();
    assert_snapshot!(shop.snapshot(&["list"]), @"
    exit code 3
    --- stderr
    error: there is no project `123` in `s3://[BUCKET]/kept/snapshots`
    hint: `pintail snapshot create` makes it; `--dir` says where snapshots lie.
    ");
    shop.create("before");
    assert_snapshot!(shop.create("before"), @"
    exit code 9
    --- stderr
    error: project `123` has a snapshot `before` already
    hint: Choose another `--id`, or none: one is made of the time then.
    ");
    assert_snapshot!(shop.snapshot(&["show", "befroe"]), @"
    exit code 3
    --- stderr
    error: project `123` has no snapshot `befroe`
    hint: `pintail snapshot list --project 123` shows them.
    ");
    shop.bucket
        .corrupt(&shop.key("before/in_c_orders.orders.parquet"));
    shop.bucket
        .delete(&shop.key("before/in_c_customers.customers.parquet"));
    shop.bucket.put(&shop.key("before/stranger.parquet"), "?");
    assert_snapshot!(shop.snapshot(&["verify", "before"]), @"
    exit code 7
    --- stdout
    3 findings  1 snapshot · 2 files · [SIZE] read · [DURATION]
      before/in_c_customers.customers.parquet  missing
      before/in_c_orders.orders.parquet  changed after it was written
      before/stranger.parquet  does not belong there
    ");
    let restore = ["restore", "before", "--database", "copy.duckdb"];
    let one = |table: &'static str| [&restore[..], &["--table", table]].concat();
    assert_snapshot!(shop.snapshot(&one("in_c_orders.orders")), @"
    exit code 6
    --- stderr
    error: cannot use `s3://[BUCKET]/kept/snapshots/123/before/in_c_orders.orders.parquet`: it is not what was written when the snapshot was taken
    hint: `pintail snapshot verify --all` says which snapshots are sound; `list --table` which have the table.
    ");
    assert_snapshot!(shop.snapshot(&one("in_c_customers.customers")), @"
    exit code 3
    --- stderr
    error: cannot read `s3://[BUCKET]/kept/snapshots/123/before/in_c_customers.customers.parquet`: it is not there
    hint: `pintail snapshot verify --all` says which snapshots are sound; `list --table` which have the table.
    ");
    assert!(!shop.project.path("copy.duckdb").exists());
}

#[test]
fn a_bucket_that_cannot_be_used_is_told_without_its_keys() {
    let shop = Shop::new();
    let list = |dir: &str| {
        let seen = shop
            .project
            .pintail(&["snapshot", "list", "--project", "123", "--dir", dir]);
        assert_no_canary(&seen.to_string(), &SECRETS);
        seen
    };
    let parameters = shop.bucket.parameters("");
    assert_snapshot!(list(&format!("s3://nowhere/kept?{parameters}")), @"
    exit code 3
    --- stderr
    error: cannot list `s3://nowhere/kept/123/`: the server answers 404 (NoSuchBucket)
    hint: Check the name of the bucket, `region` and `endpoint`.
    ");
    let unreachable = parameters.replace(
        &*shop.bucket.settings().endpoint.clone().unwrap_or_default(),
        "127.0.0.1:1",
    );
    assert_snapshot!(list(&format!("s3://bucket/kept?{unreachable}")), @"
    exit code 5
    --- stderr
    error: cannot list `s3://bucket/kept/123/`: Connection refused (os error 111)
    hint: Check `endpoint`, `region` and `use_ssl`, and that the server can be reached.
    ");
    assert_snapshot!(list("gs://bucket/kept"), @"
    exit code 2
    --- stderr
    error: cannot read the location `gs://bucket/kept`: `gs` is not a system
    hint: the forms are `postgres://…`, `mysql://…`, `sqlite:<path>`, `duckdb:<path>`, `ducklake:<catalogue>`, `files:<path>` and `s3://<bucket>/…`
    ");
    assert_snapshot!(list("s3://bucket/kept?secret_acess_key=canary-s3/secret+key="), @"
    exit code 2
    --- stderr
    error: cannot read the location `s3://bucket/kept?secret_acess_key=***`: parameter `secret_acess_key` is not known
    hint: did you mean `secret_access_key`?
    ");
    assert_snapshot!(list("s3://bucket/kept/*.parquet"), @"
    exit code 2
    --- stderr
    error: `s3://bucket/kept/*.parquet` is a pattern, and no folder of a bucket
    hint: Write the path of a folder, or `s3://bucket/prefix`.
    ");
    assert_snapshot!(list("s3://bucket/kept?format=csv"), @"
    exit code 2
    --- stderr
    error: `s3://bucket/kept?format=csv` says how tables are read, and names none
    hint: Leave `format`, `delimiter` and `partition_by` out.
    ");
    assert_snapshot!(list("postgres://ada:canary-s3%2Fsecret%2Bkey%3D@localhost/shop"), @"
    exit code 2
    --- stderr
    error: `postgres://ada@localhost/shop` is no place for files
    hint: Write the path of a folder, or `s3://bucket/prefix`.
    ");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    let (project, _filters) = shop();
    let create = |dir: &str| {
        project.pintail(&[
            "snapshot",
            "create",
            "--database",
            "shop.duckdb",
            "--project",
            "123",
            "--dir",
            dir,
        ])
    };
    project.write("file", "no folder");
    assert_snapshot!(create("file"), @"
    exit code 5
    --- stderr
    error: cannot create folder `file/123/.work`
      caused by: Not a directory (os error 20)
    hint: A part of the path is a file. Snapshots lie below `--dir`, which is a folder.
    ");
    // Nobody makes folders there, whoever he is.
    let seen = create("/sys/pintail").to_string();
    assert_snapshot!(seen.replace("Read-only file system (os error 30)", "[REFUSED]"), @"
    exit code 4
    --- stderr
    error: cannot create folder `/sys/pintail/123/.work`
      caused by: [REFUSED]
    hint: Snapshots lie below `--dir`; that folder has to be one that can be written to.
    ");
    let sql = [
        "sql",
        "duckdb:shop.duckdb",
        "drop table in_c_orders.orders",
        "--write",
    ];
    let kept = project.pintail(&[&sql[..], &["--project", "123", "--dir", "file"]].concat());
    assert_snapshot!(kept, @r#"
    exit code 5
    --- stderr
    error: drop of table "in_c_orders.orders" was not done: what it would take away could not be kept in a snapshot first
      caused by: cannot create folder `file/123/.work`
      caused by: Not a directory (os error 20)
    hint: A part of the path is a file. Snapshots lie below `--dir`, which is a folder.
    "#);
    assert_eq!(value(&project, "select count(*) from in_c_orders.orders"), "300");
}
