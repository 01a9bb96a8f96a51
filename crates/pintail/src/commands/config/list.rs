//! `pintail config list`: the pipelines of a folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use comfy_table::Table;
use pintail_config::{Document, Problems, Value};
use pintail_model::ErrorKind;
use pintail_sync::spec::{LoadedPipeline, StrategySpec};
use serde_json::json;

use super::Files;
use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::numbers;
use crate::project::{Project, variable};
use crate::terminal;

/// A pipeline file, and what became of loading it.
struct Listed {
    file: PathBuf,
    name: Option<String>,
    loaded: Result<LoadedPipeline, Problems>,
}

pub(super) fn run(folder: Option<&Path>, files: &Files, json: bool) -> Outcome {
    let here = Project::here(files.global_config.as_deref())?;
    let folder = folder
        .or_else(|| here.pipelines())
        .unwrap_or(Path::new("pipelines"))
        .to_owned();
    let mut listed = Vec::new();
    for file in pipeline_files(&folder)? {
        let project = match &here.global {
            Some(_) => &here,
            None => &Project::of(&file, None)?,
        };
        let loaded =
            pintail_sync::spec::load(&file, project.datastores(files.datastores.as_deref()), &variable);
        listed.push(Listed {
            name: match &loaded {
                Ok(pipeline) => Some(pipeline.spec.name.clone()),
                Err(_) => name_in(&file),
            },
            file,
            loaded,
        });
    }
    if json {
        terminal::json(&listed.iter().map(Listed::as_json).collect::<Vec<_>>())?;
    } else {
        show(&listed, &folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pipeline files of a folder, by name. Other YAML files in it, such as the datastores, are none.
pub(crate) fn pipeline_files(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Unauthorized,
            _ => ErrorKind::Unavailable,
        };
        Diagnostic::new(kind, format!("cannot list folder `{}`", folder.display()))
            .cause(error.to_string())
            .hint("Name the folder of the pipeline files with `--config-dir`.")
    })?;
    let yaml = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        path.is_file() && matches!(extension, Some("yaml" | "yml"))
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| yaml(path) && pipeline(path))
        .collect();
    files.sort();
    Ok(files)
}

/// Whether a file could be a pipeline. One that cannot be read could.
fn pipeline(file: &Path) -> bool {
    let anything = |_: &str| Some(String::new());
    Document::read(file, &anything).map_or(true, |document| {
        ["name", "strategies", "source_provider", "backends"]
            .into_iter()
            .any(|key| document.root.get(key).is_some())
    })
}

/// The name that a file gives itself, as far as it can be told.
fn name_in(file: &Path) -> Option<String> {
    let anything = |_: &str| Some(String::new());
    let document = Document::read(file, &anything).ok()?;
    match &document.root.get("name")?.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        _ => None,
    }
}

fn show(listed: &[Listed], folder: &Path) -> Result<(), Diagnostic> {
    if listed.is_empty() {
        terminal::say(format_args!("there is no pipeline in `{}`", folder.display()));
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["NAME", "FILE", "STRATEGIES", "CRON", "ENABLED", "VALID"]);
    for pipeline in listed {
        table.add_row(pipeline.row());
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    terminal::data(lines.join("\n"))?;
    let wrong: Vec<&Listed> = listed
        .iter()
        .filter(|pipeline| pipeline.loaded.is_err())
        .collect();
    if let [first, ..] = wrong.as_slice() {
        terminal::say(format_args!(
            "{} not valid: `pintail config validate {}` shows what is wrong",
            numbers::counted(wrong.len() as u64, "file"),
            first.file.display()
        ));
    }
    Ok(())
}

impl Listed {
    fn row(&self) -> [String; 6] {
        let name = self.name.clone().unwrap_or_else(|| "?".to_owned());
        let file = self.file.display().to_string();
        match &self.loaded {
            Ok(pipeline) => {
                let spec = &pipeline.spec;
                let strategies: Vec<String> = spec.strategies.iter().map(described).collect();
                let crons: Vec<&str> = spec
                    .strategies
                    .iter()
                    .map(|strategy| strategy.cron.as_deref().unwrap_or("-"))
                    .collect();
                let enabled = if spec.enabled { "yes" } else { "no" };
                [
                    name,
                    file,
                    strategies.join("\n"),
                    crons.join("\n"),
                    enabled.to_owned(),
                    "yes".to_owned(),
                ]
            }
            Err(problems) => {
                let count = numbers::counted(problems.as_slice().len() as u64, "problem");
                let unknown = || "?".to_owned();
                [
                    name,
                    file,
                    unknown(),
                    unknown(),
                    unknown(),
                    format!("no, {count}"),
                ]
            }
        }
    }

    fn as_json(&self) -> serde_json::Value {
        let file = self.file.display().to_string();
        match &self.loaded {
            Ok(pipeline) => {
                let strategy = |strategy: &StrategySpec| {
                    json!({
                        "name": strategy.name,
                        "type": strategy.kind.word(),
                        "enabled": strategy.enabled,
                        "cron": strategy.cron,
                    })
                };
                let spec = &pipeline.spec;
                json!({
                    "name": spec.name,
                    "file": file,
                    "enabled": spec.enabled,
                    "strategies": spec.strategies.iter().map(strategy).collect::<Vec<_>>(),
                    "valid": true,
                    "not_built": spec.unbuilt.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            }
            Err(problems) => {
                let problems: Vec<String> = problems.as_slice().iter().map(ToString::to_string).collect();
                json!({ "name": self.name, "file": file, "valid": false, "problems": problems })
            }
        }
    }
}

/// A strategy in words.
fn described(strategy: &StrategySpec) -> String {
    let state = if strategy.enabled { "" } else { ", not enabled" };
    format!("{} ({}{state})", strategy.name, strategy.kind.word())
}
