//! `pintail copy`: a table from one place to another, without any file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_model::{ErrorKind, TableName};
use pintail_sync::DataFolders;
use pintail_sync::plan::Task;
use pintail_sync::spec::{ColumnChoice, copy_spec};

use super::Outcome;
use crate::diagnostics::Diagnostic;
use crate::execution::{Execution, Options};

/// Copy a table from one place to another, and follow it with every further call
///
/// The first call reads the whole table. A second one resumes what was cut off, or reads what changed since, if the
/// table has a key and a column like `updated_at` that is never NULL.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    allow_missing_positional = true,
    override_usage = "pintail copy [OPTIONS] <FROM_URL> [TABLE] <TO_URL>",
    after_help = "\
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
  s3://bucket/prefix/?region=…                                 also minio://…?endpoint=…"
)]
pub(crate) struct Arguments {
    /// Where the table is; `?table=` says which one it is
    #[arg(value_name = "FROM_URL")]
    from: String,
    /// The table, with its schema if it needs one, where the first address names none
    #[arg(value_name = "TABLE")]
    table: Option<String>,
    /// Where it goes; a lake, a file or a folder is made if it does not exist. `?table=` gives the copy another name
    #[arg(value_name = "TO_URL")]
    to: String,
    /// Read a column as `text`, `decimal(12,2)` or another type that loses nothing; may be given more than once
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = ColumnChoice::parse_type)]
    types: Vec<ColumnChoice>,
    /// Leave a column out; may be given more than once
    #[arg(long, value_name = "COLUMN")]
    skip: Vec<String>,
    /// Where state, metrics and logs lie [default: $XDG_STATE_HOME/pintail or ~/.local/state/pintail]
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: Options,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let here = Path::new("");
    let from = Location::parse(&arguments.from, here)?;
    let to = Location::parse(&arguments.to, here)?;
    let table = table(arguments.table.as_deref(), &from)?;
    let data_dir = match &arguments.state_dir {
        Some(folder) => folder.clone(),
        None => state_home()?,
    };
    let mut spec = copy_spec(&from, &table, &to);
    spec.choices = arguments.choices()?;
    let execution = Execution {
        label: table.to_string(),
        spec,
        source: from.datastore,
        destination: to.datastore,
        data: DataFolders::below(data_dir),
        strategy: None,
        task: Task::Sync,
    };
    execution.perform(&arguments.options)
}

/// The table that is copied: the one that is named between the addresses, or in the first, or the only one that there is.
fn table(between: Option<&str>, from: &Location) -> Result<TableName, Diagnostic> {
    let invalid = |message| Diagnostic::new(ErrorKind::Invalid, message);
    let between = match between {
        Some(text) => Some(TableName::parse(text).ok_or_else(|| {
            invalid(format!("`{text}` is not the name of a table"))
                .hint("Write `table` or `schema.table`; a part with dots stands in double quotes.")
        })?),
        None => None,
    };
    match (between, from.table.clone()) {
        (Some(one), Some(other)) if from.qualify(one.clone()) != from.qualify(other.clone()) => Err(invalid(
            format!("two tables are named: `{one}` between the addresses, and `{other}` in the first one"),
        )
        .hint("Name it once; another name for the copy is `?table=` of the last address.")),
        (Some(table), _) | (None, Some(table)) => Ok(table),
        (None, None) => registry::only_table(&from.datastore).ok_or_else(|| {
            invalid(format!("no table of {from} is named"))
                .hint("Write `?table=name` or `?table=schema.name` behind the first address, or the name between the two.")
        }),
    }
}

impl Arguments {
    /// What was said of single columns, at most once of each.
    fn choices(&self) -> Result<Vec<ColumnChoice>, Diagnostic> {
        let skipped = self.skip.iter().map(ColumnChoice::skip);
        let choices: Vec<ColumnChoice> = self.types.iter().cloned().chain(skipped).collect();
        let mut seen = BTreeSet::new();
        match choices.iter().find(|choice| !seen.insert(&choice.column)) {
            None => Ok(choices),
            Some(twice) => Err(Diagnostic::new(
                ErrorKind::Invalid,
                format!("column `{}` is chosen for more than once", twice.column),
            )
            .hint("Give each column one `--type`, or one `--skip`.")),
        }
    }
}

/// The folder for what programs remember between calls.
pub(crate) fn state_home() -> Result<PathBuf, Diagnostic> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("pintail"))
        .ok_or_else(|| {
            Diagnostic::new(
                ErrorKind::Invalid,
                "there is no place for the state: neither XDG_STATE_HOME nor HOME is set",
            )
            .hint("Name a folder with `--state-dir`.")
        })
}
