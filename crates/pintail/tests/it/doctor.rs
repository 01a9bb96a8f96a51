//! `pintail doctor`.

use crate::project::{Project, Seen};

#[test]
fn a_machine_that_was_set_up_is_healthy() {
    let project = Project::empty();
    let seen = project.succeed(&["doctor"]);
    for name in [
        "pintail",
        "duckdb",
        "temporary folder",
        "memory",
        "ducklake",
        "sqlite_scanner",
        "postgres_scanner",
        "mysql_scanner",
        "httpfs",
        "lake",
    ] {
        assert!(
            seen.stdout.contains(&format!("ok       {name}")),
            "{name} is not ok\n{seen}"
        );
    }
    assert!(
        seen.stdout.ends_with("everything that a sync needs is here\n"),
        "{seen}"
    );
}

#[test]
fn json_has_one_entry_a_check() {
    let report = Project::empty().succeed(&["doctor", "--json"]).json();
    assert_eq!(report["healthy"], true);
    assert_eq!(report["duckdb"], "1.5.5");
    let checks = report["checks"].as_array().expect("a list");
    assert!(checks.iter().all(|check| check["status"] == "ok"), "{checks:#?}");
}

#[test]
fn a_damaged_extension_fails_with_a_hint() {
    let project = Project::empty();
    project.write("ducklake.duckdb_extension", "this is no extension");
    let seen = Seen::of(
        project
            .command(&["doctor"])
            .env("PINTAIL_EXTENSION_DIR", project.path("")),
    );
    assert_eq!(seen.code, Some(5), "{seen}");
    assert!(seen.stdout.contains("failed   ducklake"), "{seen}");
    assert!(seen.stdout.contains("hint: Run `scripts/setup`"), "{seen}");
    assert!(seen.stdout.ends_with("2 checks failed\n"), "{seen}");
}

#[test]
fn a_temporary_folder_that_is_not_there_fails_with_a_hint() {
    let project = Project::empty();
    let seen = Seen::of(
        project
            .command(&["doctor"])
            .env("TMPDIR", project.path("missing")),
    );
    assert_eq!(seen.code, Some(5), "{seen}");
    assert!(seen.stdout.contains("hint: Set TMPDIR"), "{seen}");
}
