//! `pintail config validate`: a file, and every mistake in it.

use std::path::Path;
use std::process::ExitCode;

use pintail_config::{Datastores, Document, GlobalConfig};
use pintail_sync::spec::{LoadedPipeline, PipelineSpec, StrategySpec};
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::project::{Project, variable};
use crate::terminal::{self, Palette, Tone};

pub(super) fn run(project: &Project, file: &Path, datastores: Option<&Path>, json: bool) -> Outcome {
    let found = match Kind::of(file) {
        Kind::Datastores => Found::Datastores(Datastores::load(file, &variable)?),
        Kind::Global => Found::Global(Box::new(GlobalConfig::load(file, &variable)?)),
        Kind::Pipeline => Found::Pipeline(Box::new(project.pipeline(file, datastores)?)),
    };
    if json {
        terminal::data(format_args!("{:#}", found.as_json()))?;
    } else {
        terminal::data(found.describe(Palette::stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Datastores,
    Global,
    Pipeline,
}

impl Kind {
    /// What a file holds, told by its keys. One that cannot be read is taken for a pipeline, whose loading says what is
    /// wrong.
    fn of(file: &Path) -> Self {
        const SECTIONS: [&str; 5] = ["redis", "scheduler", "worker", "storage", "build_system"];
        let anything = |_: &str| Some(String::new());
        let Ok(document) = Document::read(file, &anything) else {
            return Self::Pipeline;
        };
        let has = |key: &str| document.root.get(key).is_some();
        if has("datastores") {
            Self::Datastores
        } else if SECTIONS.into_iter().any(has) && !has("strategies") {
            Self::Global
        } else {
            Self::Pipeline
        }
    }
}

enum Found {
    Datastores(Datastores),
    Global(Box<GlobalConfig>),
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
            Self::Global(global) => {
                let mut text = format!("{valid}  {}", global.file.display());
                let later = palette.paint(Tone::Careful, "not used");
                for part in global.not_used() {
                    let line = part.position.line;
                    text.push_str(&format!(
                        "\n  {later}     this release does not use `{}` yet (line {line})",
                        part.what
                    ));
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
            Self::Global(global) => {
                let not_used: Vec<&str> = global.not_used().iter().map(|part| part.what.as_str()).collect();
                json!({ "valid": true, "not_used": not_used })
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
