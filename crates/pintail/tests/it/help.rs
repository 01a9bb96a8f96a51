//! What `--help` says: each text ends with an example.

use insta::assert_snapshot;

use crate::project::Project;

#[test]
fn the_overview_lists_commands_and_exit_codes() {
    assert_snapshot!(Project::empty().pintail(&["--help"]), @"
    exit code 0
    --- stdout
    Keeps a DuckLake exactly in step with the databases that you already run, and proves it

    Usage: pintail <COMMAND>

    Commands:
      init         Write a project for a database: `datastores.yaml`, and a pipeline for each of its tables
      run          Run a pipeline once: bring its table in the lake up to date
      copy         Copy a table from one place to another, and follow it with every further call
      verify       Compare both sides of a pipeline, row by row, and change neither
      proof        Show what a comparison of both sides came to
      config       Check, show and list configuration files
      state        Show what a pipeline remembers between runs, or make it forget
      lake         Look after a lake, or after tables in files
      snapshot     Keep the state of tables in files that are proven when they are written and when they are restored
      sql          Run one query against a lake, a Postgres database or a SQLite file, which it cannot change
      doctor       Show what was found on this machine, where, and what to do about the rest
      completions  Print the completions of a shell
      demo         See it work on a sample shop: full load, delta, a worker that is killed and resumed, and both sides compared
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Examples:
      pintail demo
      pintail copy 'postgres://sync@db:5432/shop?table=public.orders' 'ducklake:sqlite:lake.sqlite?data_path=lake'
      pintail run --config pipeline.yaml
      pintail sql 'ducklake:sqlite:lake.sqlite?data_path=lake' 'select count(*) from orders'

    Exit codes:
      0    done, or nothing to do, or paused because its time was up
      1    a fault of Pintail
      2    the configuration or the command line is wrong
      3    something that was named does not exist
      4    credentials or permissions were refused
      5    a system cannot be reached, or is short of a resource
      6    the data cannot be carried as asked
      7    the two sides differ
      8    already running
      9    changed or held by somebody else
      130  interrupted

    Environment:
      PINTAIL_LOG_LEVEL      debug, info, warning or error: what is logged to stderr, and to the log of each run
      PINTAIL_EXTENSION_DIR  where DuckDB's extensions are looked for first
      XDG_CACHE_HOME         where it is recorded which of them were checked
      NO_COLOR               no colours, also on a terminal
    ");
}

#[test]
fn the_commands_of_a_sync_explain_themselves() {
    let project = Project::empty();
    assert_snapshot!(project.pintail(&["run", "--help"]), @"
    exit code 0
    --- stdout
    Run a pipeline once: bring its table in the lake up to date

    Without `--strategy`, a delta runs where an earlier run left a watermark, and a full load otherwise; the report
    says why. A run that was cut off goes on where it was.

    Usage: pintail run [OPTIONS] --config <FILE>

    Options:
          --config <FILE>
              The pipeline file; state, metrics and logs lie in `data/` beside it, or where `global_config.yaml` says

          --datastores <FILE>
              The datastores that pipelines name [default: `datastores.yaml` beside them or in the folder above]

          --global-config <FILE>
              The settings of the project [default: `global_config.yaml` beside the pipeline or in the folder above]

          --strategy <NAME>
              The strategy to run, by its name or type [default: chosen, and the report says why]

          --deletes
              Only take rows away that are gone from the source: both sides are compared by their keys

          --plan
              Print what would be done, statement by statement, and change nothing

          --partitions <N>
              Read a full load in that many partitions [default: chosen from the source's statistics]

          --retries <N>
              Try again that often what a broken connection ended; 0 fails at once [default: 5, or what the pipeline says]

          --for <TIME>
              Begin no new partition after that time, as `30m`: the run pauses, and the next one goes on

          --no-parity
              Do not compare the two sides; the report then says `unproven`

          --allow-deletes
              Delete what is gone from the source, however much it is: for once, after a look at it

          --json
              Print the report (or the plan) as one JSON object

      -h, --help
              Print help (see a summary with '-h')

    Example:
      pintail run --config pipeline.yaml --strategy full --plan
    ");
    assert_snapshot!(project.pintail(&["copy", "--help"]), @"
    exit code 0
    --- stdout
    Copy a table from one place to another, and follow it with every further call

    The first call reads the whole table. A second one resumes what was cut off, or reads what changed since, if the
    table has a key and a column like `updated_at` that is never NULL.

    Usage: pintail copy [OPTIONS] <FROM_URL> [TABLE] <TO_URL>

    Arguments:
      <FROM_URL>
              Where the table is; `?table=` says which one it is

      [TABLE]
              The table, with its schema if it needs one, where the first address names none

      <TO_URL>
              Where it goes; a lake, a file or a folder is made if it does not exist. `?table=` gives the copy another name

    Options:
          --type <COLUMN=TYPE>
              Read a column as `text`, `decimal(12,2)` or another type that loses nothing; may be given more than once

          --skip <COLUMN>
              Leave a column out; may be given more than once

          --state-dir <FOLDER>
              Where state, metrics and logs lie [default: $XDG_STATE_HOME/pintail or ~/.local/state/pintail]

          --plan
              Print what would be done, statement by statement, and change nothing

          --partitions <N>
              Read a full load in that many partitions [default: chosen from the source's statistics]

          --retries <N>
              Try again that often what a broken connection ended; 0 fails at once [default: 5, or what the pipeline says]

          --for <TIME>
              Begin no new partition after that time, as `30m`: the run pauses, and the next one goes on

          --no-parity
              Do not compare the two sides; the report then says `unproven`

          --allow-deletes
              Delete what is gone from the source, however much it is: for once, after a look at it

          --json
              Print the report (or the plan) as one JSON object

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      pintail copy 'postgres://sync:secret@db:5432/shop?table=public.orders' 'ducklake:sqlite:lake.sqlite?data_path=lake'
      pintail copy 'sqlite:shop.db?table=orders' 'postgres://sync:secret@db:5432/mart?table=shop.orders'
      pintail copy sqlite:shop.db orders ducklake:sqlite:lake.sqlite

    Addresses, each with `?table=name` or `?table=schema.name` if it is to name a table:
      postgres://user:password@host:port/dbname?sslmode=require    also postgresql://
      mysql://user:password@host:port/database                     also mariadb://
      sqlite:path
      duckdb:path
      ducklake:sqlite:path?data_path=folder                        also duckdb:path, postgres://…
      files:folder/                                                also files:folder/*.csv
      s3://bucket/prefix/?region=…                                 also minio://…?endpoint=…
    ");
    assert_snapshot!(project.pintail(&["sql", "--help"]), @"
    exit code 0
    --- stdout
    Run one query against a lake, a Postgres database or a SQLite file, which it cannot change

    A lake's earlier states are read with `at (version => n)`; `from lake.snapshots()` lists them.

    The place is attached read-only. Files that a query names with `copy … to` or `attach` are written.

    With `--write`, statements may change a DuckDB file or a lake. Before one that drops or replaces a table, drops a column or
    deletes all rows, the table is kept in a snapshot of `--project`; if that fails, the statement is refused.

    Usage: pintail sql [OPTIONS] <URL> <QUERY>

    Arguments:
      <URL>
              Where to ask

      <QUERY>
              What to ask, in DuckDB's SQL

    Options:
          --format <FORMAT>
              How to print the answer

              Possible values:
              - table: A table for people
              - csv:   Comma-separated values with a header; NULL is empty, an empty text is quoted
              - json:  A list of objects
              
              [default: table]

          --json
              The same as `--format json`

          --write
              Let statements change the DuckDB file or the lake, and keep what they take away first

          --project <PROJECT>
              The project whose snapshots keep it

          --dir <FOLDER>
              Where the snapshots of all projects lie: a folder, or a bucket as `s3://bucket/prefix`
              
              [default: snapshots]

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      pintail sql 'ducklake:sqlite:lake.sqlite?data_path=lake' 'select count(*) from shop.orders'
      pintail sql sqlite:shop.db 'select status, count(*) from orders group by all' --format csv
      pintail sql duckdb:shop.duckdb 'drop table in_c_orders.orders' --write --project 123
    ");
}

#[test]
fn every_command_has_an_example() {
    let project = Project::empty();
    for command in [
        &["run"][..],
        &["copy"],
        &["config", "validate"],
        &["state", "show"],
        &["state", "reset"],
        &["sql"],
        &["doctor"],
        &["demo"],
    ] {
        let seen = project.succeed(&[command, &["--help"]].concat());
        let example = format!("  pintail {}", command.join(" "));
        let examples = seen
            .stdout
            .split_once("Example")
            .map_or("", |(_, examples)| examples);
        assert!(examples.contains(&example), "{command:?} has no example\n{seen}");
    }
}

#[test]
fn bad_usage_is_invalid() {
    assert_snapshot!(Project::empty().pintail(&["run", "--cofnig", "pipeline.yaml"]), @"
    exit code 2
    --- stderr
    error: unexpected argument '--cofnig' found

      tip: a similar argument exists: '--config'

    Usage: pintail run --config <FILE>

    For more information, try '--help'.
    ");
}

#[test]
fn the_version_is_one_line() {
    let seen = Project::empty().succeed(&["--version"]);
    assert_eq!(seen.stdout, format!("pintail {}\n", env!("CARGO_PKG_VERSION")));
}
