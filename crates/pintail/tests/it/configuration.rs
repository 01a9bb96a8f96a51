//! Mistakes in files: all at once, each at its place, with the way out.

use insta::assert_snapshot;

use crate::project::Project;

#[test]
fn a_valid_pipeline_says_what_it_is() {
    let project = Project::with_shop(0);
    assert_snapshot!(project.pintail(&["config", "validate", "pipeline.yaml"]), @"
    exit code 0
    --- stdout
    valid  pipeline `orders` in pipeline.yaml
      source       sqlite:shop.db, table orders
      destination  ducklake:sqlite:lake.sqlite?data_path=lake, table shop.orders
      columns      every column as it is
      strategies   changes (delta), everything (full)
    ");
    assert_snapshot!(project.pintail(&["config", "validate", "pipeline.yaml", "--json"]), @r#"
    exit code 0
    --- stdout
    {
      "columns": 0,
      "destination": {
        "address": "ducklake:sqlite:lake.sqlite?data_path=lake",
        "table": "shop.orders"
      },
      "not_built": [],
      "pipeline": "orders",
      "source": {
        "address": "sqlite:shop.db",
        "table": "orders"
      },
      "strategies": [
        {
          "enabled": true,
          "name": "changes",
          "type": "delta"
        },
        {
          "enabled": true,
          "name": "everything",
          "type": "full"
        }
      ],
      "valid": true
    }
    "#);
}

#[test]
fn datastores_are_checked_by_themselves() {
    let project = Project::with_shop(0);
    assert_snapshot!(project.pintail(&["config", "validate", "datastores.yaml"]), @"
    exit code 0
    --- stdout
    valid  datastores.yaml
      lake         ducklake:sqlite:lake.sqlite?data_path=lake
      shop         sqlite:shop.db
    ");
}

#[test]
fn a_misspelt_key_names_the_nearest() {
    let project = Project::with_shop(0);
    project.change_pipeline("strategies:", "max_concurrent_partition: 2\nstrategies:");
    assert_snapshot!(project.pintail(&["config", "validate", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:6:1: key `max_concurrent_partition` is not known
    hint: did you mean `max_concurrent_partitions`?
    ");
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    let project = Project::with_shop(0);
    project.change_pipeline("strategies:", "partition_step: ten\nstrategies:");
    assert_snapshot!(project.pintail(&["config", "validate", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:6:17: partition_step: expected a whole number, found the text `ten`
    ");
}

#[test]
fn a_missing_datastore_is_named() {
    let project = Project::with_shop(0);
    project.change_pipeline("datastore_name: shop", "datastore_name: shoop");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:3:48: source_provider.data_backend.datastore_name: expected a datastore of `datastores.yaml`, found the text `shoop`
    hint: did you mean `shop`?
    ");
}

#[test]
fn a_missing_variable_is_named() {
    let project = Project::with_shop(0);
    project.change_pipeline(
        "table: orders}\ndestination",
        "table: '${SHOP_TABLE}'}\ndestination",
    );
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:3:61: source_provider.data_backend.table: environment variable `SHOP_TABLE` is not set
    hint: set it, or write a default: `${SHOP_TABLE:-default}`
    ");
}

#[test]
fn several_mistakes_of_two_files_are_reported_at_once() {
    let project = Project::with_shop(0);
    project.change_pipeline("name: orders\n", "name: orders/2026\n");
    project.change_pipeline("type: full", "type: ful");
    project.change_pipeline("step: 1000", "step: many");
    project.write(
        "datastores.yaml",
        "datastores:\n  shop: {type: sqlite, connection: {paht: shop.db}}\n",
    );
    assert_snapshot!(project.pintail(&["config", "validate", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: found 4 problems in the configuration
      datastores.yaml:2:37: datastores.shop.connection: key `paht` is not known
        hint: did you mean `path`?
      pipeline.yaml:1:7: name: expected a name of letters, digits, `_`, `-` and `.`, found the text `orders/2026`
      pipeline.yaml:10:56: strategies[0].primary_partitions[0].step: expected a whole number, found the text `many`
      pipeline.yaml:11:30: strategies[1].type: expected a strategy type, found the text `ful`
        hint: did you mean `full`?
    ");
    assert_snapshot!(project.pintail(&["config", "validate", "pipeline.yaml", "--json"]), @r#"
    exit code 2
    --- stdout
    {
      "error": {
        "causes": [],
        "hint": null,
        "kind": "invalid",
        "message": "found 4 problems in the configuration",
        "problems": [
          {
            "column": 37,
            "file": "datastores.yaml",
            "hint": "did you mean `path`?",
            "line": 2,
            "message": "key `paht` is not known",
            "path": "datastores.shop.connection"
          },
          {
            "column": 7,
            "file": "pipeline.yaml",
            "hint": null,
            "line": 1,
            "message": "expected a name of letters, digits, `_`, `-` and `.`, found the text `orders/2026`",
            "path": "name"
          },
          {
            "column": 56,
            "file": "pipeline.yaml",
            "hint": null,
            "line": 10,
            "message": "expected a whole number, found the text `many`",
            "path": "strategies[0].primary_partitions[0].step"
          },
          {
            "column": 30,
            "file": "pipeline.yaml",
            "hint": "did you mean `full`?",
            "line": 11,
            "message": "expected a strategy type, found the text `ful`",
            "path": "strategies[1].type"
          }
        ]
      },
      "errors": 4,
      "status": "failed"
    }
    --- stderr
    error: found 4 problems in the configuration
      datastores.yaml:2:37: datastores.shop.connection: key `paht` is not known
        hint: did you mean `path`?
      pipeline.yaml:1:7: name: expected a name of letters, digits, `_`, `-` and `.`, found the text `orders/2026`
      pipeline.yaml:10:56: strategies[0].primary_partitions[0].step: expected a whole number, found the text `many`
      pipeline.yaml:11:30: strategies[1].type: expected a strategy type, found the text `ful`
        hint: did you mean `full`?
    "#);
}

#[test]
fn a_missing_file_is_one_problem() {
    let project = Project::empty();
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: pipeline.yaml: the file does not exist
    ");
}

#[test]
fn what_is_not_built_loads_and_is_refused_when_chosen() {
    let project = Project::with_shop(0);
    project.change_pipeline("strategies:", "enrichment: {enabled: true}\nstrategies:");
    assert_snapshot!(project.pintail(&["config", "validate", "pipeline.yaml"]), @"
    exit code 0
    --- stdout
    valid  pipeline `orders` in pipeline.yaml
      source       sqlite:shop.db, table orders
      destination  ducklake:sqlite:lake.sqlite?data_path=lake, table shop.orders
      columns      every column as it is
      strategies   changes (delta), everything (full)
      not built    this release does not support `enrichment` yet (line 6)
    ");
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml", "--strategy", "everything"]), @"
    exit code 2
    --- stderr
    error: pipeline.yaml:6:13: this release does not support `enrichment` yet
    hint: It loads and is checked, so that files can name it before it arrives.
    ");
}

#[test]
fn an_unknown_strategy_names_the_nearest() {
    let project = Project::with_shop(0);
    assert_snapshot!(project.pintail(&["run", "--config", "pipeline.yaml", "--strategy", "change"]), @"
    exit code 3
    --- stderr
    error: pipeline `orders` has no strategy `change`
    hint: did you mean `changes`?
    ");
}

#[test]
fn a_log_level_that_is_none_is_refused() {
    let project = Project::empty();
    let mut command = project.command(&["doctor"]);
    assert_snapshot!(crate::project::Seen::of(command.env("PINTAIL_LOG_LEVEL", "loud")), @"
    exit code 2
    --- stderr
    error: PINTAIL_LOG_LEVEL is `loud`, which is not a log level
    hint: Use `debug`, `info`, `warning` or `error`.
    ");
}
