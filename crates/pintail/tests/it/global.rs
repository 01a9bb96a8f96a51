//! `global_config.yaml`.

use insta::assert_snapshot;

use crate::project::Project;

/// As the original shows it.
const GLOBAL: &str = r#"redis:
  url: "redis://localhost:6379"
  db: 0

scheduler:
  enabled: true
  http_port: 8001
  check_interval: 60
  slot_definitions:
    high_priority: 5
    normal: 10
    low_priority: 3

worker:
  max_jobs: 4
  health_check_interval: 30

storage:
  state_dir: "./data/pipeline_states"
  logs_dir: "./data/logs"
  metrics_dir: "./data/metrics"

build_system:
  user_config_dir: "./examples/configs/pipelines"
  built_config_dir: "./examples/configs/built"
  datastores_path: "./examples/configs/datastores.yaml"
  auto_build_on_startup: true
  ddl_check_on_build: "required"  # Options: required, optional, skip
  on_build_failure: "keep_old"    # Options: keep_old, remove
"#;

#[test]
fn the_file_of_the_original_is_valid_and_says_what_is_not_used() {
    let project = Project::empty();
    project.write("global_config.yaml", GLOBAL);
    assert_snapshot!(project.pintail(&["config", "validate", "global_config.yaml"]), @"
    exit code 0
    --- stdout
    valid  global_config.yaml
      not used     this release does not use `redis` yet (line 2)
      not used     this release does not use `scheduler` yet (line 6)
      not used     this release does not use `worker` yet (line 15)
      not used     this release does not use `build_system.built_config_dir` yet (line 25)
      not used     this release does not use `build_system.auto_build_on_startup` yet (line 27)
      not used     this release does not use `build_system.ddl_check_on_build` yet (line 28)
      not used     this release does not use `build_system.on_build_failure` yet (line 29)
    ");
}

#[test]
fn its_mistakes_are_reported_at_once() {
    let project = Project::with_shop(0);
    let wrong = GLOBAL
        .replace("redis://localhost", "http://:canary-1@localhost")
        .replace("http_port: 8001", "http_port: 80010")
        .replace("high_priority: 5", "high_priority: 0")
        .replace("check_interval: 60", "check_interval: 0")
        .replace("max_jobs: 4", "max_job: 4")
        .replace("./data/logs", "s3://logs")
        .replace("\"required\"", "\"always\"");
    project.write("global_config.yaml", &wrong);
    let seen = project.pintail(&["run", "--config", "pipeline.yaml"]);
    assert!(!seen.to_string().contains("canary"), "{seen}");
    assert_snapshot!(seen, @"
    exit code 2
    --- stderr
    error: found 7 problems in the configuration
      global_config.yaml:2:8: redis.url: expected an address like `redis://localhost:6379`
      global_config.yaml:7:14: scheduler.http_port: expected a whole number that fits 16 bits, found the number `80010`
      global_config.yaml:8:19: scheduler.check_interval: expected a duration above 0, found the number `0`
      global_config.yaml:10:20: scheduler.slot_definitions.high_priority: expected a whole number of at least 1, found the number `0`
      global_config.yaml:15:3: worker: key `max_job` is not known
        hint: did you mean `max_jobs`?
      global_config.yaml:20:13: storage.logs_dir: expected a path of this machine, found the text `s3://logs`
      global_config.yaml:28:23: build_system.ddl_check_on_build: expected a check, found the text `always`
        hint: known are `required`, `optional` and `skip`
    ");
}

#[test]
fn folders_and_files_are_where_it_says() {
    let project = Project::with_shop(10);
    std::fs::create_dir_all(project.path("examples/configs/pipelines")).expect("folders");
    let datastores = std::fs::read_to_string(project.path("datastores.yaml")).expect("datastores");
    project.write(
        "examples/configs/datastores.yaml",
        &datastores.replace("shop.db", "../../shop.db"),
    );
    std::fs::rename(
        project.path("pipeline.yaml"),
        project.path("examples/configs/pipelines/orders.yaml"),
    )
    .expect("a move");
    std::fs::remove_file(project.path("datastores.yaml")).expect("a file");
    project.write("global_config.yaml", GLOBAL);
    let run = [
        "run",
        "--config",
        "examples/configs/pipelines/orders.yaml",
        "--global-config",
        "global_config.yaml",
    ];
    project.succeed(&run);
    assert!(project.path("data/pipeline_states/state.db").is_file());
    assert!(project.path("data/metrics/orders/latest_run.json").is_file());
    assert!(project.path("data/logs/orders").is_dir());
    assert!(!project.path("examples/configs/pipelines/data").exists());
    assert_eq!(
        project.succeed(&["state", "show"]).json()[0]["pipeline_id"],
        "orders"
    );
    assert_snapshot!(project.pintail(&["config", "list"]), @"
    exit code 0
    --- stdout
     NAME    FILE                                    STRATEGIES         CRON  ENABLED  VALID
     orders  examples/configs/pipelines/orders.yaml  changes (delta)    -     yes      yes
                                                     everything (full)  -
    ");
    let shown = project.succeed(&["config", "show", "orders", "--json"]).json();
    assert_eq!(shown["name"], "orders");
}
