//! `pintail verify`: compares both sides of a pipeline, and changes neither.

use std::path::PathBuf;

use clap::Args;
use pintail_sync::plan::Task;

use super::Outcome;
use super::config::Files;
use crate::execution::{Execution, Options};
use crate::project::Project;

/// Compare both sides of a pipeline, row by row, and change neither
///
/// Both sides are read once. If they differ, the exit code is 7, and the ranges of keys that differ are named. Rows that
/// changed in the source after the last run are for the next one, and no difference. What came out is kept: see `pintail
/// proof show`.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  pintail verify --config pipeline.yaml --rows 20"
)]
pub(crate) struct Arguments {
    /// The pipeline file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    files: Files,
    /// Print the keys of the first N rows that differ; of a row, nothing but its key is ever printed
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    rows: u64,
    /// Print what would be read, statement by statement, and read nothing
    #[arg(long)]
    plan: bool,
    /// Print the report (or the plan) as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let files = &arguments.files;
    let project = Project::of(&arguments.config, files.global_config.as_deref())?;
    let pipeline = project.pipeline(&arguments.config, files.datastores.as_deref())?;
    pipeline.check_built("")?;
    let execution = Execution {
        label: pipeline.spec.name.clone(),
        data: project.data(&arguments.config),
        spec: pipeline.spec,
        source: pipeline.source,
        destination: pipeline.destination,
        strategy: None,
        task: Task::Verify {
            keys_named: arguments.rows,
        },
    };
    execution.perform(&Options {
        plan: arguments.plan,
        json: arguments.json,
        ..Options::default()
    })
}
