//! Buckets and files from the command line.

use pintail_testkit::{S3Bucket, S3Server, assert_no_canary, assert_no_canary_in_folder};

use crate::project::{Project, Seen};

/// The datastores of a project whose lake has its files in a bucket, which the environment opens.
fn datastores(bucket: &S3Bucket) -> String {
    format!(
        "datastores:\n  \
           shop: {{type: sqlite, connection: {{path: shop.db}}}}\n  \
           lake: {{type: ducklake, connection: {{catalog: 'sqlite:lake.sqlite', data_path: '{}'}}}}\n",
        bucket.url("lake/")
    )
}

#[test]
fn a_lake_in_a_bucket_is_loaded_and_followed() {
    let project = Project::with_shop(2_000);
    let bucket = S3Server::shared().fresh_bucket();
    project.write("datastores.yaml", &datastores(&bucket));
    let run = || {
        let mut command = project.command(&["run", "--config", "pipeline.yaml"]);
        let endpoint = bucket.settings().endpoint.clone().unwrap_or_default();
        command
            .env("AWS_ENDPOINT_URL", format!("http://{endpoint}"))
            .env("AWS_ACCESS_KEY_ID", S3Server::KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", S3Server::SECRET);
        let seen = Seen::of(&mut command);
        assert_eq!(seen.code, Some(0), "{seen}");
        assert!(seen.stdout.contains("parity ok"), "{seen}");
        assert_no_canary(&seen.to_string(), &[S3Server::KEY_ID, S3Server::SECRET]);
        seen
    };
    let full = run();
    assert!(full.stdout.contains("2,000 rows"), "{full}");
    project.execute("update orders set status = 'sent', change_number = 2000 + id where id <= 300");
    project.execute("insert into orders values (2001, 'new', 1.5, null, '2026-02-01', 2301)");
    let delta = run();
    assert!(delta.stdout.contains("1 new, 300 changed"), "{delta}");

    let lake = format!(
        "ducklake:sqlite:lake.sqlite?data_path={}&{}",
        bucket.url("lake/"),
        bucket.parameters("s3_")
    );
    let query = "select count(*), count(*) filter (status = 'sent') from shop.orders";
    let asked = project.succeed(&["sql", &lake, query, "--format", "csv"]);
    assert!(asked.stdout.ends_with("2001,300\n"), "{asked}");
    // All data is in the bucket, and nothing else of these runs is.
    assert!(!project.path("lake").exists());
    let keys = bucket.keys("lake/");
    assert!(
        keys.iter().all(|key| key.starts_with("lake/shop/orders/")),
        "{keys:?}"
    );
    assert!(!keys.iter().any(|key| key.contains("pintail-guard")), "{keys:?}");
    assert_no_canary_in_folder(&project.path(""), &[S3Server::KEY_ID, S3Server::SECRET]);
}

#[test]
fn files_of_a_bucket_and_of_a_folder_are_copied_into_a_lake() {
    let project = Project::with_shop(10);
    let bucket = S3Server::shared().fresh_bucket();
    bucket.put("raw/orders/a.csv", "id,note\n1,007\n2,\"\"\n");
    bucket.put("raw/orders/b.csv", "id,note\n3,\n");
    let from = format!("{}?{}", bucket.url("raw/"), bucket.parameters(""));
    let lake = "ducklake:sqlite:lake.sqlite?data_path=lake";
    let copied = project.succeed(&["copy", &from, "orders", lake]);
    assert!(copied.stdout.contains("3 rows"), "{copied}");
    assert!(copied.stdout.contains("parity ok"), "{copied}");
    assert_eq!(
        project.ask("select string_agg(id || coalesce(note, '-'), ' ' order by id) from orders"),
        "1007 2 3-"
    );
    std::fs::create_dir(project.path("exports")).unwrap();
    project.write(
        "exports/people.jsonl",
        "{\"id\": 1, \"name\": \"Ada\"}\n{\"id\": 2}\n",
    );
    let copied = project.succeed(&["copy", "files:exports/", "people", lake]);
    assert!(copied.stdout.contains("2 rows"), "{copied}");
    assert_eq!(project.ask("select count(name) from people"), "1");
}

#[test]
fn a_bucket_that_cannot_be_reached_is_said_without_its_keys() {
    let project = Project::with_shop(10);
    let lake = "ducklake:sqlite:lake.sqlite?data_path=s3://bucket/lake&s3_endpoint=http://127.0.0.1:1\
                &s3_access_key_id=canary-id&s3_secret_access_key=canary-key";
    let seen = project.pintail(&["copy", "sqlite:shop.db", "orders", lake]);
    assert_eq!(seen.code, Some(5), "{seen}");
    assert_no_canary(&seen.to_string(), &["canary-id", "canary-key"]);
}

#[test]
fn a_table_becomes_a_folder_of_files_and_comes_back() {
    let project = Project::with_shop(2_000);
    let bucket = S3Server::shared().fresh_bucket();
    let in_bucket = format!("{}?{}", bucket.url("out/"), bucket.parameters(""));
    for (place, name) in [("files:out/", "a"), (in_bucket.as_str(), "b")] {
        let copy = ["copy", "sqlite:shop.db", "orders", place];
        let full = project.succeed(&copy);
        assert!(full.stdout.contains("2,000 rows"), "{full}");
        assert!(full.stdout.contains("parity ok"), "{full}");
        let again = project.succeed(&copy);
        assert!(!again.stdout.contains("2,000 rows"), "{again}");

        let lake = format!("ducklake:sqlite:lake.sqlite?data_path=lake&table={name}");
        let back = project.succeed(&["copy", place, "orders", &lake]);
        assert!(back.stdout.contains("2,000 rows"), "{back}");
        assert!(back.stdout.contains("parity ok"), "{back}");
        assert_eq!(
            project.ask(&format!(
                "select count(*), count(distinct id), count(note) from {name}"
            )),
            "2000,2000,285"
        );
    }
    assert!(bucket.keys("out/orders/_pintail/manifest").len() == 1);
}

#[test]
fn a_lake_in_a_bucket_is_pinned_by_a_snapshot_in_a_bucket() {
    let project = Project::with_shop(500);
    let bucket = S3Server::shared().fresh_bucket();
    project.write("datastores.yaml", &datastores(&bucket));
    let dir = bucket.url("kept");
    let endpoint = bucket.settings().endpoint.clone().unwrap_or_default();
    let pintail = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command
            .env("AWS_ENDPOINT_URL", format!("http://{endpoint}"))
            .env("AWS_ACCESS_KEY_ID", S3Server::KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", S3Server::SECRET);
        let seen = Seen::of(&mut command);
        assert_no_canary(&seen.to_string(), &[S3Server::KEY_ID, S3Server::SECRET]);
        seen
    };
    let snapshot = |arguments: &[&str]| {
        pintail(&[&["snapshot"], arguments, &["--project", "123", "--dir", &dir]].concat())
    };
    let run = || assert_eq!(pintail(&["run", "--config", "pipeline.yaml"]).code, Some(0));
    run();
    let created = snapshot(&["create", "--id", "before", "--database", "lake"]);
    assert!(created.stdout.contains("500 rows · pinned"), "{created}");
    let pinned = bucket.keys("lake/shop/orders/");
    project.execute("update orders set status = 'sent', change_number = 500 + id where id <= 300");
    run();

    let sound = snapshot(&["verify", "--all"]);
    assert_eq!(sound.code, Some(0), "{sound}");
    let proven = snapshot(&["drill"]);
    assert!(proven.stdout.contains("proven  before"), "{proven}");
    let restored = snapshot(&["restore", "before", "--database", "lake", "--yes"]);
    assert_eq!(restored.code, Some(0), "{restored}");
    let lake = format!(
        "ducklake:sqlite:lake.sqlite?data_path={}&{}",
        bucket.url("lake/"),
        bucket.parameters("s3_")
    );
    let query = "select count(*), count(*) filter (status = 'sent') from shop.orders";
    let asked = project.succeed(&["sql", &lake, query, "--format", "csv"]);
    assert!(asked.stdout.ends_with("500,0\n"), "{asked}");
    // The tables of a lake stay where they are: beside its files, a manifest is all that a snapshot takes.
    let kept = bucket.keys("kept/123/before/");
    assert_eq!(kept, ["kept/123/before/metadata.json"]);
    assert_no_canary(
        &String::from_utf8_lossy(&bucket.read(&kept[0])),
        &[S3Server::KEY_ID, S3Server::SECRET],
    );

    bucket.delete(&pinned[0]);
    let broken = snapshot(&["verify", "before"]);
    assert_eq!(broken.code, Some(7), "{broken}");
    let name = pinned[0].rsplit('/').next().unwrap_or_default();
    assert!(broken.stdout.contains(name), "{broken}");
}
