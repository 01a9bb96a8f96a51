//! `pintail config show`: a pipeline as it is run.
//!
//! What the file says is shown as it says it, with variables put in and secrets left out; what it leaves to a default is
//! added, and so are the connections of the datastores that it names.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pintail_config::datastore::Setting;
use pintail_config::secrecy::secret_key;
use pintail_config::{Datastore, Document, Node, Value};
use pintail_lake::EngineSettings;
use pintail_model::ErrorKind;
use pintail_sync::spec::{DeltaSpec, LoadedPipeline, StrategyKind, StrategySpec};

use super::{Files, list};
use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::project::{Project, variable};
use crate::terminal;
use crate::yaml::Tree;

/// What stands for a secret.
const MASK: &str = "***";

pub(super) fn run(file: &Path, files: &Files, json: bool) -> Outcome {
    let here = Project::here(files.global_config.as_deref())?;
    let file = find(file, &here)?;
    let project = match here.global {
        Some(_) => here,
        None => Project::of(&file, None)?,
    };
    let pipeline = project.pipeline(&file, files.datastores.as_deref())?;
    let tree = resolved(&file, &pipeline)?;
    if json {
        terminal::json(&tree)?;
    } else {
        terminal::data(tree.yaml())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The file, or the pipeline of that name in the folder of the project's pipelines.
fn find(asked: &Path, project: &Project) -> Result<PathBuf, Diagnostic> {
    let Some(folder) = project
        .pipelines()
        .filter(|_| !asked.exists() && asked.components().count() == 1)
    else {
        return Ok(asked.to_owned());
    };
    let name = asked.to_string_lossy();
    let named = |file: &PathBuf| file.file_stem().is_some_and(|stem| *stem == *name);
    let files = list::pipeline_files(folder)?;
    files.into_iter().find(named).ok_or_else(|| {
        Diagnostic::new(
            ErrorKind::NotFound,
            format!("there is no pipeline `{name}` in `{}`", folder.display()),
        )
        .hint("`pintail config list` shows those that there are.")
    })
}

fn resolved(file: &Path, pipeline: &LoadedPipeline) -> Result<Tree, Diagnostic> {
    let mut tree = shown(&Document::read(file, &variable)?.root);
    let spec = &pipeline.spec;
    tree.key_or("enabled", Tree::Boolean(true));
    tree.key_or("sync_type", Tree::text("row-level"));
    tree.key_or("parity", Tree::Boolean(true));
    for (side, datastore, schema) in [
        ("source_provider", &pipeline.source, &spec.source.table.schema),
        (
            "destination_provider",
            &pipeline.destination,
            &spec.destination.table.schema,
        ),
    ] {
        let Some(backend) = tree.key(side).and_then(|side| side.key("data_backend")) else {
            continue;
        };
        if let Some(schema) = schema {
            backend.key_or("schema", Tree::text(schema));
        }
        backend.key_or("connection", connection(datastore));
    }
    for column in tree.key("column_map").into_iter().flat_map(Tree::items) {
        let Some(Tree::Text(source)) = column.key("source").cloned() else {
            continue;
        };
        let asked = spec
            .columns
            .iter()
            .find(|column| column.source.column() == Some(&source));
        column.key_or("dest", Tree::text(asked.map_or(&source, |column| &column.dest)));
    }
    for (shown, strategy) in tree
        .key("strategies")
        .into_iter()
        .flat_map(Tree::items)
        .zip(&spec.strategies)
    {
        strategy_defaults(shown, strategy);
    }
    if let Some(limits) = tree.key_or("limits", Tree::Mapping(Vec::new())) {
        let default = EngineSettings::default();
        let memory = bytesize(default.memory_limit_bytes);
        limits.key_or("memory", Tree::text(memory));
    }
    Ok(tree)
}

fn strategy_defaults(shown: &mut Tree, strategy: &StrategySpec) {
    shown.key_or("enabled", Tree::Boolean(true));
    let StrategyKind::Delta(delta) = &strategy.kind else {
        return;
    };
    let duration = |duration: std::time::Duration| Tree::text(format!("{duration:?}"));
    let DeltaSpec {
        column,
        margin,
        lookback,
        ..
    } = delta;
    if let Some(column) = column {
        shown.key_or("column", Tree::text(column));
    }
    shown.key_or("null_cursor", Tree::text("fail"));
    shown.key_or("margin", duration(*margin));
    shown.key_or("lookback", duration(*lookback));
}

/// A connection with its secrets masked.
fn connection(datastore: &Datastore) -> Tree {
    let shown = |setting: Setting| match setting {
        Setting::Text(text) => Tree::Text(text),
        Setting::Secret(_) => Tree::text(MASK),
    };
    let keys = datastore.connection_keys();
    Tree::Mapping(keys.into_iter().map(|(key, value)| (key, shown(value))).collect())
}

/// A node with its variables put in and its secrets masked.
fn shown(node: &Node) -> Tree {
    match &node.value {
        Value::List(items) => Tree::List(items.iter().map(shown).collect()),
        Value::Mapping(entries) => Tree::Mapping(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), shown(&entry.node)))
                .collect(),
        ),
        Value::Null | Value::Unresolved => Tree::Null,
        Value::Scalar { .. } if node.secret || node.variables.iter().any(|name| secret_key(name)) => {
            Tree::text(MASK)
        }
        Value::Scalar { text, quoted } => match text.as_str() {
            "true" | "false" if !quoted => Tree::Boolean(text == "true"),
            _ => match text.parse() {
                Ok(number) if !quoted => Tree::Number(number),
                _ => Tree::text(text),
            },
        },
    }
}

/// A size as a configuration says it.
fn bytesize(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        bytes.to_string()
    }
}
