//! `pintail config`: looks at configuration files without touching what they name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pintail_config::{Datastores, Document};
use pintail_sync::spec::{LoadedPipeline, PipelineSpec, StrategySpec};
use serde_json::{Value, json};

use super::Outcome;
use crate::diagnostics::Diagnostic;
use crate::terminal::{self, Palette, Tone};

/// Check configuration files.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a pipeline file, or a `datastores.yaml`, and show every mistake at once
    #[command(after_help = "Example:\n  pintail config validate pipeline.yaml --datastores datastores.yaml")]
    Validate {
        /// The pipeline file, or a `datastores.yaml`
        file: PathBuf,
        /// The datastores that the pipeline names [default: `datastores.yaml` beside it or in the folder above]
        #[arg(long, value_name = "FILE")]
        datastores: Option<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        let Action::Validate { json, .. } = self.action;
        json
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Action::Validate {
        file,
        datastores,
        json,
    } = &arguments.action;
    let found = if names_datastores(file) {
        Found::Datastores(Datastores::load(file, &variable)?)
    } else {
        Found::Pipeline(Box::new(load(file, datastores.as_deref())?))
    };
    if *json {
        terminal::data(format_args!("{:#}", found.as_json()))?;
    } else {
        terminal::data(found.describe(Palette::stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Loads a pipeline with the variables of this process.
pub(crate) fn load(file: &Path, datastores: Option<&Path>) -> Result<LoadedPipeline, Diagnostic> {
    if !file.exists() {
        // Nothing beside a missing file matters: the reader sees one problem and not two.
        Document::read(file, &variable)?;
    }
    Ok(pintail_sync::spec::load(file, datastores, &variable)?)
}

/// The variables that `${…}` stands for.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether a file holds datastores and not a pipeline. One that cannot be read is taken for a pipeline, whose
/// loading says what is wrong.
fn names_datastores(file: &Path) -> bool {
    let anything = |_: &str| Some(String::new());
    Document::read(file, &anything).is_ok_and(|document| document.root.get("datastores").is_some())
}

enum Found {
    Datastores(Datastores),
    Pipeline(Box<LoadedPipeline>),
}

impl Found {
    fn describe(&self, palette: Palette) -> String {
        let valid = palette.paint(Tone::Done, "valid");
        match self {
            Self::Datastores(datastores) => {
                let mut text = format!("{valid}  {}", datastores.file.display());
                for datastore in all(datastores) {
                    text.push_str(&format!("\n  {:<12} {datastore}", datastore.name));
                }
                text
            }
            Self::Pipeline(pipeline) => {
                let spec = &pipeline.spec;
                let mut text = format!("{valid}  pipeline `{}` in {}", spec.name, pipeline.file.display());
                for (title, what) in rows(pipeline) {
                    text.push_str(&format!("\n  {title:<12} {what}"));
                }
                let later = palette.paint(Tone::Careful, "not built");
                for unbuilt in &spec.unbuilt {
                    let place = unbuilt
                        .position
                        .map(|position| format!(" (line {})", position.line));
                    text.push_str(&format!("\n  {later}    {unbuilt}{}", place.unwrap_or_default()));
                }
                text
            }
        }
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Datastores(datastores) => {
                let datastores: Vec<Value> = all(datastores)
                    .map(|datastore| json!({ "name": datastore.name, "address": datastore.to_string() }))
                    .collect();
                json!({ "valid": true, "datastores": datastores })
            }
            Self::Pipeline(pipeline) => {
                let spec = &pipeline.spec;
                json!({
                    "valid": true,
                    "pipeline": spec.name,
                    "source": { "address": pipeline.source.to_string(), "table": spec.source.table.to_string() },
                    "destination": {
                        "address": pipeline.destination.to_string(),
                        "table": spec.destination.table.to_string(),
                    },
                    "columns": spec.columns.len(),
                    "strategies": spec.strategies.iter().map(strategy).collect::<Vec<_>>(),
                    "not_built": spec.unbuilt.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            }
        }
    }
}

fn all(datastores: &Datastores) -> impl Iterator<Item = &pintail_config::Datastore> {
    datastores.names().filter_map(|name| datastores.get(name))
}

fn rows(pipeline: &LoadedPipeline) -> Vec<(&'static str, String)> {
    let spec = &pipeline.spec;
    let columns = match spec.columns.len() {
        0 => "every column as it is".to_owned(),
        mapped => format!("{mapped} mapped"),
    };
    vec![
        (
            "source",
            format!("{}, table {}", pipeline.source, spec.source.table),
        ),
        (
            "destination",
            format!("{}, table {}", pipeline.destination, spec.destination.table),
        ),
        ("columns", columns),
        ("strategies", strategies(spec).join(", ")),
    ]
}

fn strategy(strategy: &StrategySpec) -> Value {
    json!({ "name": strategy.name, "type": strategy.kind.word(), "enabled": strategy.enabled })
}

fn strategies(spec: &PipelineSpec) -> Vec<String> {
    let word = |strategy: &StrategySpec| {
        let state = if strategy.enabled { "" } else { ", not enabled" };
        format!("{} ({}{state})", strategy.name, strategy.kind.word())
    };
    spec.strategies.iter().map(word).collect()
}
