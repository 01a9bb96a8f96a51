//! `pintail config`: looks at configuration files without touching what they name.

pub(crate) mod schema;

pub(crate) mod list;
mod show;
mod validate;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Outcome;
use crate::project::Project;

/// Check, show and list configuration files.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a pipeline file, a `datastores.yaml` or a `global_config.yaml`, and show every mistake at once
    #[command(after_help = "Example:\n  pintail config validate pipeline.yaml --datastores datastores.yaml")]
    Validate {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        files: Files,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print a pipeline as it is run: defaults, datastores and variables put in, secrets left out
    #[command(after_help = "Example:\n  pintail config show pipelines/orders.yaml --json")]
    Show {
        /// The pipeline file, or the name of one in the `user_config_dir` of `global_config.yaml`
        #[arg(value_name = "PIPELINE")]
        file: PathBuf,
        #[command(flatten)]
        files: Files,
        /// Print JSON instead of YAML
        #[arg(long)]
        json: bool,
    },
    /// List the pipelines of a folder: names, strategies, and whether they are valid
    #[command(after_help = "Example:\n  pintail config list --config-dir pipelines")]
    List {
        /// The folder [default: `user_config_dir` of `global_config.yaml`, or else `pipelines`]
        #[arg(long, value_name = "FOLDER")]
        config_dir: Option<PathBuf>,
        #[command(flatten)]
        files: Files,
        /// Print a list of JSON objects
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema of a file, for editors: `# yaml-language-server: $schema=…` in its first line
    #[command(after_help = "Example:\n  pintail config schema pipeline > pipeline.schema.json")]
    Schema {
        /// The file
        #[arg(value_enum, default_value_t = schema::Kind::Pipeline)]
        kind: schema::Kind,
    },
}

/// The files beside a pipeline.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Files {
    /// The datastores that pipelines name [default: `datastores.yaml` beside them or in the folder above]
    #[arg(long, value_name = "FILE")]
    pub(crate) datastores: Option<PathBuf>,
    /// The settings of the project [default: `global_config.yaml` beside the pipeline or in the folder above]
    #[arg(long, value_name = "FILE")]
    pub(crate) global_config: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        match self.action {
            Action::Validate { json, .. } | Action::Show { json, .. } | Action::List { json, .. } => json,
            Action::Schema { .. } => false,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::Validate { file, files, json } => {
            let project = Project::of(file, files.global_config.as_deref())?;
            validate::run(&project, file, files.datastores.as_deref(), *json)
        }
        Action::Show { file, files, json } => show::run(file, files, *json),
        Action::List {
            config_dir,
            files,
            json,
        } => list::run(config_dir.as_deref(), files, *json),
        Action::Schema { kind } => schema::run(*kind),
    }
}
