//! `pintail sql`: one query against a lake or a source, read-only; or statements that change a DuckDB file or a lake, after
//! what they take away was kept in a snapshot.
//!
//! The place is attached to an engine of its own and is its default database, so tables go by their own names. Types
//! appear in DuckDB's spelling, and in JSON as what they are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table};
use pintail_config::{Datastore, Location};
use pintail_connectors::registry;
use pintail_lake::connector::Attachment;
use pintail_lake::{Access, Call, Engine, EngineSettings, Error, Lake, Session, TextTable, quote};
use pintail_model::{Clock, ErrorKind, SystemClock};
use pintail_snapshot::GuardedBy;
use serde_json::{Map, Value};

use super::Outcome;
use super::snapshot::{snapshots, somebody};
use crate::diagnostics::Diagnostic;
use crate::interrupt::Interrupt;
use crate::progress::tables::TableBar;
use crate::terminal;

/// Run one query against a lake, a Postgres database or a SQLite file, which it cannot change
///
/// A lake's earlier states are read with `at (version => n)`; `from lake.snapshots()` lists them.
///
/// The place is attached read-only. Files that a query names with `copy … to` or `attach` are written.
///
/// With `--write`, statements may change a DuckDB file or a lake. Before one that drops or replaces a table, drops a column or
/// deletes all rows, the table is kept in a snapshot of `--project`; if that fails, the statement is refused.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail sql 'ducklake:sqlite:lake.sqlite?data_path=lake' 'select count(*) from shop.orders'
  pintail sql sqlite:shop.db 'select status, count(*) from orders group by all' --format csv
  pintail sql duckdb:shop.duckdb 'drop table in_c_orders.orders' --write --project 123"
)]
pub(crate) struct Arguments {
    /// Where to ask
    #[arg(value_name = "URL")]
    url: String,
    /// What to ask, in DuckDB's SQL
    #[arg(value_name = "QUERY")]
    query: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Let statements change the DuckDB file or the lake, and keep what they take away first
    #[arg(long, requires = "project")]
    write: bool,
    /// The project whose snapshots keep it
    #[arg(long, value_name = "PROJECT", requires = "write")]
    project: Option<String>,
    /// Where the snapshots of all projects lie: a folder, or a bucket as `s3://bucket/prefix`
    #[arg(long, value_name = "FOLDER", default_value = "snapshots", requires = "write")]
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Table,
    /// Comma-separated values with a header; NULL is empty, an empty text is quoted
    Csv,
    /// A list of objects
    Json,
}

/// The name under which a source is attached.
const SOURCE: &str = "source";

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.query.trim().is_empty() {
        return Err(Diagnostic::new(ErrorKind::Invalid, "the query is empty")
            .hint("Write it as one argument, as in `'select 1'`."));
    }
    let location = Location::parse(&arguments.url, Path::new(""))?;
    let engine = Engine::open(&EngineSettings::default())?;
    let stopper = engine.stopper();
    let _interrupt = Interrupt::listen("stopping", move || stopper.stop())?;
    if let (true, Some(project)) = (arguments.write, &arguments.project) {
        return write(arguments, project, &engine, &location);
    }
    let session = attach(&engine, &location)?;
    tracing::debug!("query began");
    let text = match arguments.format() {
        Format::Table => people(&answer(&session, &arguments.query)?),
        Format::Csv => csv(&answer(&session, &arguments.query)?),
        Format::Json => json(&session, &arguments.query)?,
    };
    if !text.is_empty() {
        terminal::data(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// Runs statements that may change a DuckDB file or a lake.
fn write(arguments: &Arguments, project: &str, engine: &Engine, location: &Location) -> Outcome {
    let datastore = &location.datastore;
    let folder = snapshots(&arguments.dir, project)?;
    let by = GuardedBy {
        created_by: somebody(None),
        schema: datastore.schema.clone().unwrap_or_else(|| "main".to_owned()),
        now: SystemClock.now(),
    };
    let bar = TableBar::new(project);
    let done = match datastore.lake() {
        Some(_) => {
            let lake = registry::lake_location(datastore)?;
            folder.run_guarded_on_lake(engine, &lake, &arguments.query, &by, &bar)
        }
        None => {
            let database = registry::database_file(datastore)?;
            folder.run_guarded(engine, &database, &arguments.query, &by, &bar)
        }
    };
    drop(bar);
    let done = done.map_err(|error| match error {
        pintail_snapshot::Error::Engine(error) => typed(error),
        other => other.into(),
    })?;
    for kept in &done.kept {
        terminal::say(format_args!(
            "kept {} in {}",
            kept.tables.join(", "),
            kept.snapshot
        ));
    }
    let text = match arguments.format() {
        Format::Table => people(&done.answer),
        Format::Csv => csv(&done.answer),
        Format::Json => listed_texts(&done.answer),
    };
    if !text.is_empty() {
        terminal::data(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A session whose default database is the place.
pub(crate) fn attach(engine: &Engine, location: &Location) -> Result<Session, Diagnostic> {
    let datastore = &location.datastore;
    let database = if datastore.lake().is_some() {
        Lake::attach(engine, &registry::lake_location(datastore)?, Access::ReadOnly)?;
        "lake"
    } else {
        let attachment: Attachment = registry::source(datastore)?.attachment(SOURCE);
        engine.attach(&format!("attach `{datastore}`"), &attachment)?;
        SOURCE
    };
    let session = engine.session()?;
    session.batch(
        Call::new(&format!("use `{datastore}`")),
        &default_database(database, datastore),
    )?;
    Ok(session)
}

fn default_database(database: &str, datastore: &Datastore) -> String {
    match &datastore.schema {
        Some(schema) => format!("use {database}.{}", quote::identifier(schema)),
        None => format!("use {database}"),
    }
}

/// The whole answer as texts.
fn answer(session: &Session, query: &str) -> Result<TextTable, Diagnostic> {
    session.table(Call::new("run the query"), query).map_err(typed)
}

/// An error about a query that the reader typed: the answer may quote it.
fn typed(error: Error) -> Diagnostic {
    let kind = error.kind();
    match error {
        Error::Statement { label, source } if source.raw_text().contains("attached in read-only mode") => {
            Diagnostic::new(ErrorKind::Invalid, format!("cannot {label}: it would write"))
                .hint("`pintail sql` attaches the place read-only.")
        }
        Error::Statement { label, source } => {
            Diagnostic::new(kind, format!("cannot {label}")).cause(source.raw_text())
        }
        other => other.into(),
    }
}

fn people(answer: &TextTable) -> String {
    // What DuckDB answers to a statement that gives nothing.
    let nothing = answer.columns == ["Success"] && answer.rows.is_empty();
    if answer.columns.is_empty() || nothing {
        return String::new();
    }
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(&answer.columns);
    for row in &answer.rows {
        table.add_row(row.iter().map(|value| value.as_deref().unwrap_or("NULL")));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        let mut values = answer.rows.iter().filter_map(|row| row.get(index)?.as_deref());
        if values.all(|value| value.parse::<f64>().is_ok()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let rows = crate::numbers::counted(answer.rows.len() as u64, "row");
    format!("{table}\n{rows}")
}

fn csv(answer: &TextTable) -> String {
    let header = answer
        .columns
        .iter()
        .map(|name| field(Some(name)))
        .collect::<Vec<_>>()
        .join(",");
    let rows = answer.rows.iter().map(|row| {
        row.iter()
            .map(|value| field(value.as_ref()))
            .collect::<Vec<_>>()
            .join(",")
    });
    std::iter::once(header).chain(rows).collect::<Vec<_>>().join("\n")
}

/// A value by RFC 4180. Only NULL is nothing at all.
fn field(value: Option<&String>) -> String {
    match value {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.clone(),
    }
}

/// A list of objects whose values have the types that the engine gives them.
fn json(session: &Session, query: &str) -> Result<String, Diagnostic> {
    let query = query.trim().trim_end_matches(';');
    let typed_rows = format!("select to_json(result)::varchar from ({query}\n) as result");
    match session.query(Call::new("run the query"), &typed_rows) {
        Ok(rows) => {
            let rows: Vec<&str> = rows.iter().map(|row| row.text(0).unwrap_or("null")).collect();
            Ok(listed(&rows))
        }
        // Statements that cannot stand in a FROM clause, like EXPLAIN, answer with texts; all others fail again, and
        // then in words that fit what was typed.
        Err(Error::Statement { .. }) => Ok(listed_texts(&answer(session, query)?)),
        Err(error) => Err(typed(error)),
    }
}

/// A list of objects whose values are texts.
fn listed_texts(answer: &TextTable) -> String {
    let object = |row: &Vec<Option<String>>| {
        let values = row
            .iter()
            .map(|value| value.clone().map_or(Value::Null, Value::String));
        Value::Object(answer.columns.iter().cloned().zip(values).collect::<Map<_, _>>()).to_string()
    };
    let rows: Vec<String> = answer.rows.iter().map(object).collect();
    listed(&rows.iter().map(String::as_str).collect::<Vec<_>>())
}

fn listed(rows: &[&str]) -> String {
    if rows.is_empty() {
        "[]".to_owned()
    } else {
        format!("[\n  {}\n]", rows.join(",\n  "))
    }
}
