//! `pintail init`: from a database to a project: its datastores, and a pipeline for each of its tables.
//!
//! ```text
//! datastores.yaml              secrets as `${VARIABLE}`
//! pipelines/<table>.yaml       key and cursor as a plan would choose them
//! schemas/*.json               what editors check these files with
//! ```
//!
//! Everything is made in memory, read back as `pintail run` would, and only then written: all of it, or nothing.

mod connections;
mod files;
mod pipeline;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use pintail_config::{Datastores, Location};
use pintail_connectors::registry;
use pintail_lake::{Engine, EngineSettings};
use pintail_model::ErrorKind;
use serde_json::json;

use self::connections::Connections;
use self::files::Drafts;
use self::table::Surveyed;
use super::Outcome;
use super::config::schema::{Kind, schema};
use crate::diagnostics::Diagnostic;
use crate::interrupt::Interrupt;
use crate::numbers;
use crate::terminal::{self, Palette, Tone};

/// Write a project for a database: `datastores.yaml`, and a pipeline for each of its tables
///
/// The key of a table and the column that a delta follows are chosen as a plan would choose them, and written down with
/// the reason. Columns without a lossless home are listed with the choices. No file is overwritten, and passwords are
/// not written: the files refer to variables.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail init sqlite:shop.db
  pintail init 'postgres://sync:secret@db:5432/shop?schema=public' shop --to postgres://sync:secret@warehouse/shop"
)]
pub(crate) struct Arguments {
    /// The database; `?schema=` limits it to one schema
    #[arg(value_name = "URL")]
    url: String,
    /// Where the project is made
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Where the tables go [default: a lake in the folder, `ducklake:sqlite:lake.sqlite?data_path=lake`]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The name under which the database is attached.
const SOURCE: &str = "source";

/// Where tables go if nobody says so.
const LAKE: &str = "ducklake:sqlite:lake.sqlite?data_path=lake";

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let (from, to) = locations(arguments)?;
    let connections = Connections::new(&from, &to);
    let surveyed = survey(&from, &to)?;
    let project = compose(&connections, &surveyed, &from, &to)?;
    project.drafts.write(&arguments.folder)?;
    show(arguments, &project, &connections)
}

/// Both addresses. What is written into another folder than this one cannot be relative to this one.
fn locations(arguments: &Arguments) -> Result<(Location, Location), Diagnostic> {
    let here = arguments.folder.as_os_str().is_empty() || arguments.folder == Path::new(".");
    let base = if here {
        PathBuf::new()
    } else {
        std::path::absolute("").unwrap_or_default()
    };
    let from = Location::parse(&arguments.url, &base)?;
    let to = match &arguments.to {
        Some(url) => Location::parse(url, &base)?,
        None => Location::parse(LAKE, Path::new(""))?,
    };
    Ok((from, to))
}

/// Looks at every table of the database.
fn survey(from: &Location, to: &Location) -> Result<Vec<Surveyed>, Diagnostic> {
    let connector = registry::source(&from.datastore)?;
    let place = registry::destination(&to.datastore, Path::new("stage"))?;
    let engine = Engine::open(&EngineSettings::default())?;
    let stopper = engine.stopper();
    let _interrupt = Interrupt::listen("stopping", move || stopper.stop())?;
    engine.attach(
        &format!("attach source {}", connector.address()),
        &connector.attachment(SOURCE),
    )?;
    let session = engine.session()?;
    let listed = connector.tables(&session, SOURCE)?;
    if listed.is_empty() {
        return Err(Diagnostic::new(
            ErrorKind::NotFound,
            format!("there is no table to copy in {}", connector.address()),
        )
        .hint("Tables that the user may not read are not seen."));
    }
    listed
        .iter()
        .map(|table| Surveyed::of(table, &session, connector.as_ref(), place.as_ref(), from, to))
        .collect()
}

/// A project that is ready to be written.
struct Project {
    drafts: Drafts,
    pipelines: Vec<pipeline::Pipeline>,
    /// Tables for which there is no pipeline, and why.
    skipped: Vec<(String, String)>,
}

fn compose(
    connections: &Connections,
    surveyed: &[Surveyed],
    from: &Location,
    to: &Location,
) -> Result<Project, Diagnostic> {
    let mut project = Project {
        drafts: Drafts::default(),
        pipelines: Vec::new(),
        skipped: Vec::new(),
    };
    let datastores = connections.datastores_yaml();
    let loaded = Datastores::parse(Path::new("datastores.yaml"), &datastores, &|name| {
        connections.stand_in(name)
    })
    .map_err(unreadable)?;
    project.drafts.add("datastores.yaml", datastores);
    for (kind, file) in [(Kind::Pipeline, "pipeline"), (Kind::Datastores, "datastores")] {
        let text = format!("{:#}\n", schema(kind));
        project.drafts.add(format!("schemas/{file}.json"), text);
    }
    let mut names = pipeline::Names::new(surveyed, to);
    for table in surveyed {
        let found = match &table.found {
            Ok(found) => found,
            Err(why) => {
                project.skipped.push((table.name.to_string(), why.clone()));
                continue;
            }
        };
        let pipeline = pipeline::Pipeline::new(table, found, &mut names, connections, (from, to));
        let file = format!("pipelines/{}.yaml", pipeline.name);
        // What a person is given has been read once.
        pintail_sync::spec::parse(Path::new(&file), &pipeline.text, &loaded, &|_| None)
            .map_err(unreadable)?;
        project.drafts.add(file, pipeline.text.clone());
        project.pipelines.push(pipeline);
    }
    Ok(project)
}

/// A file of ours that does not load is our fault.
fn unreadable(problems: pintail_config::Problems) -> Diagnostic {
    Diagnostic::new(ErrorKind::Internal, "a file that was to be written does not load")
        .cause(problems.to_string())
        .hint("Nothing was written. Please report it.")
}

fn show(arguments: &Arguments, project: &Project, connections: &Connections) -> Outcome {
    let variables: Vec<&str> = connections.variables().collect();
    if arguments.json {
        let pipelines: Vec<_> = project
            .pipelines
            .iter()
            .map(pipeline::Pipeline::as_json)
            .collect();
        let skipped: Vec<_> = project
            .skipped
            .iter()
            .map(|(table, why)| json!({ "table": table, "why": why }))
            .collect();
        terminal::json(&json!({
            "files": project.drafts.names().collect::<Vec<_>>(),
            "variables": variables,
            "pipelines": pipelines,
            "skipped": skipped,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let palette = Palette::stdout();
    let written = palette.paint(Tone::Done, "wrote");
    terminal::data(format_args!(
        "{written} `datastores.yaml` and {} in `{}`",
        numbers::counted(project.pipelines.len() as u64, "pipeline"),
        without_dot(&arguments.folder.join("pipelines")).display()
    ))?;
    for pipeline in &project.pipelines {
        terminal::data(format_args!("  {}", pipeline.line()))?;
    }
    let palette = Palette::stderr();
    for (table, why) in &project.skipped {
        terminal::say(format_args!(
            "{} no pipeline for {table}: {why}",
            palette.paint(Tone::Careful, "skipped:")
        ));
    }
    let hint = palette.paint(Tone::Hint, "hint:");
    for variable in &variables {
        terminal::say(format_args!(
            "{hint} Set {variable}: `datastores.yaml` refers to it, and no secret is in it."
        ));
    }
    if let [first, ..] = project.pipelines.as_slice() {
        let file = arguments
            .folder
            .join("pipelines")
            .join(format!("{}.yaml", first.name));
        let file = without_dot(&file).display();
        terminal::say(format_args!("{hint} Try `pintail run --config {file} --plan`."));
    }
    Ok(ExitCode::SUCCESS)
}

/// A path without the `./` that stands for this folder.
fn without_dot(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}
