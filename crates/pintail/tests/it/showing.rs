//! `pintail config show` and `pintail config list`.

use insta::assert_snapshot;

use crate::project::{Project, Seen};

#[test]
fn a_pipeline_is_shown_as_it_is_run() {
    let project = Project::with_shop(0);
    project.write(
        "datastores.yaml",
        "datastores:
  shop: {type: postgres, connection: {host: '${SHOP_HOST:-db}', user: sync, password: '${SHOP_PASSWORD}', dbname: shop}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite', data_path: lake}}
",
    );
    project.change_pipeline("type: sqlite", "type: postgres");
    project.change_pipeline(
        "table: orders}\ndestination",
        "table: '${SHOP_TABLE}'}\ndestination",
    );
    let show = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        Seen::of(
            command
                .env("SHOP_PASSWORD", "canary-9")
                .env("SHOP_TABLE", "orders"),
        )
    };
    let seen = show(&["config", "show", "pipeline.yaml"]);
    assert!(!seen.to_string().contains("canary"), "{seen}");
    assert_snapshot!(seen, @r#"
    exit code 0
    --- stdout
    name: orders
    source_provider:
      data_backend:
        type: postgres
        datastore_name: shop
        table: orders
        connection:
          dbname: shop
          host: db
          password: "***"
          user: sync
    destination_provider:
      data_backend:
        type: ducklake
        datastore_name: lake
        schema: shop
        table: orders
        connection:
          catalog: "sqlite:lake.sqlite"
          data_path: lake
    strategies:
      - name: changes
        type: delta
        column: change_number
        primary_partitions:
          - column: change_number
            step: 1000
        enabled: true
        null_cursor: fail
        margin: "1ms"
        lookback: "2s"
      - name: everything
        type: full
        enabled: true
    enabled: true
    sync_type: row-level
    parity: true
    limits:
      memory: "256 MiB"
    "#);
    let json = show(&["config", "show", "pipeline.yaml", "--json"]).json();
    assert_eq!(
        json["source_provider"]["data_backend"]["connection"]["password"],
        "***"
    );
    assert_eq!(json["source_provider"]["data_backend"]["table"], "orders");
}

#[test]
fn the_pipelines_of_a_folder_are_listed_with_those_that_are_wrong() {
    let project = Project::with_shop(0);
    std::fs::create_dir(project.path("pipelines")).expect("a folder");
    let pipeline = std::fs::read_to_string(project.path("pipeline.yaml")).expect("a pipeline");
    let scheduled = pipeline.replace("type: full}", "type: full, cron: '0 3 * * 0', enabled: false}");
    project.write("pipelines/a.yaml", &scheduled);
    project.write(
        "pipelines/b.yaml",
        &pipeline
            .replace("type: full", "type: ful")
            .replace("name: orders", "name: broken"),
    );
    project.write("pipelines/notes.txt", "nothing");
    assert_snapshot!(project.pintail(&["config", "list", "--config-dir", "pipelines"]), @"
    exit code 0
    --- stdout
     NAME    FILE              STRATEGIES                      CRON       ENABLED  VALID
     orders  pipelines/a.yaml  changes (delta)                 -          yes      yes
                               everything (full, not enabled)  0 3 * * 0
     broken  pipelines/b.yaml  ?                               ?          ?        no, 1 problem
    --- stderr
    1 file not valid: `pintail config validate pipelines/b.yaml` shows what is wrong
    ");
    assert_snapshot!(project.pintail(&["config", "list", "--config-dir", "pipelines", "--json"]), @r#"
    exit code 0
    --- stdout
    [
      {
        "enabled": true,
        "file": "pipelines/a.yaml",
        "name": "orders",
        "not_built": [],
        "strategies": [
          {
            "cron": null,
            "enabled": true,
            "name": "changes",
            "type": "delta"
          },
          {
            "cron": "0 3 * * 0",
            "enabled": false,
            "name": "everything",
            "type": "full"
          }
        ],
        "valid": true
      },
      {
        "file": "pipelines/b.yaml",
        "name": "broken",
        "problems": [
          "pipelines/b.yaml:11:30: strategies[1].type: expected a strategy type, found the text `ful`\n  hint: did you mean `full`?"
        ],
        "valid": false
      }
    ]
    "#);
    assert_snapshot!(project.pintail(&["config", "list", "--config-dir", "nowhere"]), @"
    exit code 3
    --- stderr
    error: cannot list folder `nowhere`
      caused by: No such file or directory (os error 2)
    hint: Name the folder of the pipeline files with `--config-dir`.
    ");
}
