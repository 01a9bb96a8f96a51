//! `pintail state`.

use insta::assert_snapshot;

use crate::project::{LAKE, Project};

const RUN: [&str; 3] = ["run", "--config", "pipeline.yaml"];

#[test]
fn a_state_has_the_shape_that_monitoring_knows() {
    let project = Project::with_shop(2_000);
    project.succeed(&RUN);
    project.execute("update orders set change_number = 2000 + id where id <= 1500");
    project.succeed(&RUN);
    let show = [
        "state",
        "show",
        "--config",
        "pipeline.yaml",
        "--strategy",
        "changes",
    ];
    assert_snapshot!(project.pintail(&show), @r#"
    exit code 0
    --- stdout
    {
      "pipeline_id": "orders",
      "strategy": "changes",
      "run_id": "[RUN]",
      "status": "completed",
      "started_at": "[TIME]",
      "completed_at": "[TIME]",
      "last_completed_partition": {
        "partition_id": "change_number_3000_3501",
        "completed_at": "[TIME]"
      },
      "progress": {
        "total_partitions": 2,
        "completed_partitions": 2,
        "failed_partitions": 0,
        "rows_processed": 1500
      },
      "watermark": "3501"
    }
    "#);
    let all = project
        .succeed(&["state", "show", "--config", "pipeline.yaml"])
        .json();
    let strategies: Vec<_> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|state| state["strategy"].clone())
        .collect();
    assert_eq!(strategies, ["changes", "everything"]);
}

#[test]
fn a_state_is_shown_by_name_and_without_the_variables_of_a_run() {
    let project = Project::with_shop(10);
    project.succeed(&RUN);
    assert_eq!(
        project.succeed(&["state", "show", "orders"]).json()[0]["pipeline_id"],
        "orders"
    );
    assert_eq!(
        project.succeed(&["state", "show"]).json()[0]["status"],
        "completed"
    );
    project.change_pipeline("table: orders}\ndestination", "table: '${NOT_SET}'}\ndestination");
    assert_eq!(
        project
            .succeed(&["state", "show", "--config", "pipeline.yaml"])
            .json()[0]["status"],
        "completed"
    );
}

#[test]
fn the_state_of_a_copy_lies_in_the_users_own_folder() {
    let project = Project::with_shop(10);
    let report = project
        .succeed(&["copy", "sqlite:shop.db", "orders", LAKE, "--json"])
        .json();
    let name = report["pipeline"].as_str().expect("a name");
    assert_eq!(
        project.succeed(&["state", "show", name]).json()[0]["run_id"],
        report["run_id"]
    );
}

#[test]
fn an_unknown_state_names_the_nearest() {
    let project = Project::with_shop(10);
    assert_snapshot!(project.pintail(&["state", "show"]), @"
    exit code 3
    --- stderr
    error: there is no state in `data` or `[FOLDER]/state/pintail`
    hint: Name the pipeline file with `--config`, or the folder with `--state-dir`.
    ");
    project.succeed(&RUN);
    assert_snapshot!(project.pintail(&["state", "show", "order"]), @"
    exit code 3
    --- stderr
    error: pipeline `order` has no state in `data` or `[FOLDER]/state/pintail`
    hint: did you mean `orders`?
    ");
    assert_snapshot!(project.pintail(&["state", "show", "orders", "--strategy", "changes"]), @"
    exit code 3
    --- stderr
    error: pipeline `orders` has no run of strategy `changes`
    hint: only `everything` is known
    ");
}

#[test]
fn a_reset_asks_and_makes_the_next_run_a_full_load() {
    let project = Project::with_shop(10);
    project.succeed(&RUN);
    let reset = |strategy| project.pintail(&["state", "reset", "orders", "--yes", "--strategy", strategy]);
    assert_snapshot!(reset("evrything"), @"
    exit code 3
    --- stderr
    error: pipeline `orders` has no run of strategy `evrything`
    hint: did you mean `everything`?
    ");
    assert_eq!(
        project
            .succeed(&["state", "show", "orders", "--strategy", "full"])
            .json()["strategy"],
        "everything",
        "a type stands for its strategy"
    );
    assert_snapshot!(project.pintail(&["state", "reset", "--config", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: a reset has to be confirmed
    hint: Add `--yes`.
    ");
    assert_snapshot!(project.pintail(&["state", "reset", "--config", "pipeline.yaml", "--yes"]), @"
    exit code 0
    --- stdout
    reset pipeline `orders`  1 run forgotten; the next run is a full load
    ");
    let report = project.succeed(&[&RUN[..], &["--json"]].concat()).json();
    assert_eq!(
        (&report["kind"], &report["reason"]),
        (&"full".into(), &"the state was reset".into())
    );
}

#[test]
fn a_cleanup_forgets_what_is_old_and_keeps_what_the_next_run_needs() {
    let project = Project::with_shop(100);
    for change in 1..=3 {
        project.succeed(&RUN);
        project.execute(&format!(
            "update orders set change_number = {change} * 1000 + id where id <= 10"
        ));
    }
    let files = |kind: &str| {
        std::fs::read_dir(project.path(&format!("data/{kind}/orders")))
            .expect(kind)
            .count()
    };
    assert_eq!((files("metrics"), files("logs")), (4, 3));
    std::fs::create_dir_all(project.path("data/spill")).expect("a folder");
    project.write("data/spill/left.tmp", "spilled");
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[\d.]+ (KiB|B)\b", "[SIZE]");
    let _filters = settings.bind_to_scope();
    assert_snapshot!(project.pintail(&["state", "cleanup"]), @"
    exit code 0
    --- stdout
    cleaned up  0 runs · 0 files, [SIZE]
    ");
    assert_snapshot!(project.pintail(&["state", "cleanup", "--older-than", "0s", "--dry-run"]), @"
    exit code 0
    --- stdout
    would clean up  1 run · 3 files, [SIZE]
    ");
    assert_eq!((files("metrics"), files("logs")), (4, 3));
    assert_snapshot!(project.pintail(&["state", "cleanup", "--older-than", "0s"]), @"
    exit code 0
    --- stdout
    cleaned up  1 run · 3 files, [SIZE]
    ");
    // The newest of each strategy stays, and what a delta goes on from.
    assert_eq!((files("metrics"), files("logs")), (3, 2));
    assert!(!project.path("data/spill/left.tmp").exists());
    let seen = project.succeed(&RUN);
    assert!(seen.stdout.contains("10 rows"), "{seen}");
}

#[test]
fn a_pipeline_whose_file_is_gone_is_forgotten_on_request() {
    let project = Project::with_shop(10);
    project.succeed(&RUN);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[\d.]+ (KiB|B)\b", "[SIZE]");
    let _filters = settings.bind_to_scope();
    std::fs::create_dir(project.path("pipelines")).expect("a folder");
    assert_snapshot!(project.pintail(&["state", "cleanup", "--gone-from", "pipelines"]), @"
    exit code 2
    --- stderr
    error: forgetting pipelines has to be confirmed
    hint: Add `--yes`.
    ");
    assert_snapshot!(project.pintail(&["state", "cleanup", "--gone-from", "pipelines", "--yes"]), @"
    exit code 0
    --- stdout
    cleaned up  1 run · 3 files, [SIZE] · pipelines orders
    ");
    assert!(!project.path("data/metrics/orders").exists());
    assert_snapshot!(project.pintail(&["state", "cleanup", "--state-dir", "nowhere"]), @"
    exit code 3
    --- stderr
    error: there is no state in `nowhere`
    hint: Name the folder with `--state-dir`.
    ");
}
