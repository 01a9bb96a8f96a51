//! `pintail run`: a pipeline from a file.

use std::path::PathBuf;

use clap::Args;
use pintail_sync::plan::Task;

use super::Outcome;
use super::config::Files;
use crate::diagnostics::Diagnostic;
use crate::execution::{Execution, Options};
use crate::project::Project;

/// Run a pipeline once: bring its table in the lake up to date
///
/// Without `--strategy`, a delta runs where an earlier run left a watermark, and a full load otherwise; the report
/// says why. A run that was cut off goes on where it was.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  pintail run --config pipeline.yaml --strategy full --plan"
)]
pub(crate) struct Arguments {
    /// The pipeline file; state, metrics and logs lie in `data/` beside it, or where `global_config.yaml` says
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    files: Files,
    /// The strategy to run, by its name or type [default: chosen, and the report says why]
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// Only take rows away that are gone from the source: both sides are compared by their keys
    #[arg(long, conflicts_with = "strategy")]
    deletes: bool,
    #[command(flatten)]
    pub(crate) options: Options,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let files = &arguments.files;
    let project = Project::of(&arguments.config, files.global_config.as_deref())?;
    let pipeline = project.pipeline(&arguments.config, files.datastores.as_deref())?;
    // Without a name only what every strategy would need is checked; the plan checks the one that it chooses.
    let strategy = arguments.strategy.as_deref().unwrap_or_default();
    pipeline.check_built(strategy).map_err(|problems| {
        Diagnostic::from(problems)
            .hint("It loads and is checked, so that files can name it before it arrives.")
    })?;
    let execution = Execution {
        label: pipeline.spec.name.clone(),
        data: project.data(&arguments.config),
        spec: pipeline.spec,
        source: pipeline.source,
        destination: pipeline.destination,
        strategy: arguments.strategy.clone(),
        task: if arguments.deletes {
            Task::Deletes
        } else {
            Task::Sync
        },
    };
    execution.perform(&arguments.options)
}
