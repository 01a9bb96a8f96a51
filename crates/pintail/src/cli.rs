//! What can be typed: the commands, and the texts of `--help`.

use clap::{Parser, Subcommand};

use crate::commands::{self, Outcome};

/// Keeps a DuckLake exactly in step with the databases that you already run, and proves it.
#[derive(Debug, Parser)]
#[command(name = "pintail", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
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
  NO_COLOR               no colours, also on a terminal";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(commands::init::Arguments),
    Run(commands::run::Arguments),
    Copy(commands::copy::Arguments),
    Verify(commands::verify::Arguments),
    Proof(commands::proof::Arguments),
    Config(commands::config::Arguments),
    State(commands::state::Arguments),
    Lake(commands::lake::Arguments),
    Snapshot(commands::snapshot::Arguments),
    Sql(commands::sql::Arguments),
    Doctor(commands::doctor::Arguments),
    Completions(commands::completions::Arguments),
    Demo(commands::demo::Arguments),
}

impl Command {
    pub(crate) fn run(&self) -> Outcome {
        match self {
            Self::Init(arguments) => commands::init::run(arguments),
            Self::Run(arguments) => commands::run::run(arguments),
            Self::Copy(arguments) => commands::copy::run(arguments),
            Self::Verify(arguments) => commands::verify::run(arguments),
            Self::Proof(arguments) => commands::proof::run(arguments),
            Self::Config(arguments) => commands::config::run(arguments),
            Self::State(arguments) => commands::state::run(arguments),
            Self::Lake(arguments) => commands::lake::run(arguments),
            Self::Snapshot(arguments) => commands::snapshot::run(arguments),
            Self::Sql(arguments) => commands::sql::run(arguments),
            Self::Doctor(arguments) => commands::doctor::run(arguments),
            Self::Completions(arguments) => commands::completions::run(arguments),
            Self::Demo(arguments) => commands::demo::run(arguments),
        }
    }

    /// Whether stdout was promised to be JSON, also when something goes wrong.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Init(arguments) => arguments.json,
            Self::Run(arguments) => arguments.options.json,
            Self::Copy(arguments) => arguments.options.json,
            Self::Verify(arguments) => arguments.json,
            Self::Proof(arguments) => arguments.json(),
            Self::Config(arguments) => arguments.json(),
            Self::Doctor(arguments) => arguments.json,
            Self::Lake(arguments) => arguments.json(),
            Self::Snapshot(arguments) => arguments.json(),
            Self::State(arguments) => arguments.json(),
            Self::Sql(_) | Self::Completions(_) | Self::Demo(_) => false,
        }
    }
}
