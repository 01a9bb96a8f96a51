//! `pintail state`: what pipelines remember, and how to make one forget.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use pintail_config::nearest::did_you_mean;
use pintail_config::{Document, Value};
use pintail_model::{ErrorKind, SystemClock};
use pintail_sync::{CleanedUp, Cleanup, DataFolders, State};

use super::config::list::pipeline_files;
use super::{Outcome, copy};
use crate::confirm::confirmed;
use crate::diagnostics::Diagnostic;
use crate::project::Project;
use crate::terminal;
use crate::{ages, numbers};

/// Show what a pipeline remembers between runs, or make it forget.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the newest run of each strategy as JSON: one object with `--strategy`, a list without
    #[command(
        after_help = "Examples:\n  pintail state show --config pipeline.yaml --strategy delta\n  pintail state show"
    )]
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Forget a pipeline, or one of its strategies: the next run is a full load; the lake is not touched
    #[command(after_help = "Example:\n  pintail state reset --config pipeline.yaml --yes")]
    Reset {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Prune what is old: runs, metrics, logs and what dead runs spilled; what a live run holds is left alone
    #[command(
        after_help = "Examples:\n  pintail state cleanup --older-than 30d --dry-run\n  pintail state cleanup --gone-from pipelines --yes"
    )]
    Cleanup(Prune),
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        matches!(&self.action, Action::Cleanup(prune) if prune.json)
    }
}

/// What may go.
#[derive(Debug, Args)]
struct Prune {
    /// Forget runs that are older, with their metrics and logs, and remove spilled files that are
    #[arg(long, value_name = "AGE", default_value = "30d", value_parser = ages::parse)]
    older_than: Duration,
    /// Forget pipelines whose file is not in this folder any more
    #[arg(long, value_name = "FOLDER")]
    gone_from: Option<PathBuf>,
    /// Say in numbers what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Where the state lies [default: `data` here, or where `global_config.yaml` says]
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// The settings of the project [default: `global_config.yaml` here]
    #[arg(long, value_name = "FILE")]
    global_config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Do not ask before pipelines are forgotten
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct Which {
    /// The pipeline, by name: of the state in `data/` here, or of `pintail copy`
    #[arg(value_name = "PIPELINE", conflicts_with = "config")]
    pipeline: Option<String>,
    /// The pipeline, by its file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this strategy, by its name or type
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// Where the state lies, if elsewhere
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// The settings of the project [default: `global_config.yaml` here, or beside the pipeline or in the folder above]
    #[arg(long, value_name = "FILE")]
    global_config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::Show { which } => show(which),
        Action::Reset { which, yes } => reset(which, *yes),
        Action::Cleanup(prune) => prune.run(),
    }
}

fn show(which: &Which) -> Outcome {
    let strategy = which.strategy.as_deref();
    let found = which.find()?;
    let mut shown = Vec::new();
    for pipeline in &found.pipelines {
        let strategy = match strategy.map(|name| found.state.strategy(pipeline, name)) {
            // Of several pipelines those count that have the strategy.
            Some(Err(_)) if found.pipelines.len() > 1 => continue,
            strategy => strategy.transpose()?,
        };
        shown.extend(found.state.show(pipeline, strategy.as_deref())?);
    }
    match (strategy, shown.as_slice()) {
        (Some(strategy), []) => {
            let pipelines = found.pipelines.join("`, `");
            let message = format!("none of the pipelines `{pipelines}` has a run of strategy `{strategy}`");
            return Err(Diagnostic::new(ErrorKind::NotFound, message));
        }
        (Some(_), [only]) => terminal::json(only)?,
        _ => terminal::json(&shown)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn reset(which: &Which, yes: bool) -> Outcome {
    let found = which.find()?;
    let [pipeline] = found.pipelines.as_slice() else {
        return Err(
            Diagnostic::new(ErrorKind::Invalid, "a reset needs one pipeline").hint(format!(
                "Name one of `{}`, or its file with `--config`.",
                found.pipelines.join("`, `")
            )),
        );
    };
    let strategy = which.strategy.as_deref();
    let strategy = strategy
        .map(|name| found.state.strategy(pipeline, name))
        .transpose()?;
    let what = match &strategy {
        Some(strategy) => format!("strategy `{strategy}` of pipeline `{pipeline}`"),
        None => format!("pipeline `{pipeline}`"),
    };
    if !yes
        && !confirmed(
            "a reset",
            &format!("forget {what}, so that its next run is a full load?"),
        )?
    {
        terminal::say("nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let reset = pintail_sync::reset(&found.data_dir, pipeline, strategy.as_deref(), &SystemClock)?;
    let runs = numbers::counted(reset.runs, "run");
    let next = if reset.starts_fresh {
        "; the next run is a full load"
    } else {
        ""
    };
    terminal::data(format_args!("reset {what}  {runs} forgotten{next}"))?;
    Ok(ExitCode::SUCCESS)
}

impl Prune {
    fn run(&self) -> Outcome {
        let project = Project::here(self.global_config.as_deref())?;
        let data = match &self.state_dir {
            Some(folder) => DataFolders::below(folder),
            None => project.data(Path::new("")),
        };
        let pipelines = self.gone_from.as_deref().map(names_below).transpose()?;
        let mut asked = Cleanup {
            older_than: self.older_than,
            pipelines,
            dry_run: true,
        };
        let planned = pintail_sync::clean_up(&data, &asked, &SystemClock)?;
        if self.dry_run {
            return self.show(&planned);
        }
        let question = format!(
            "forget `{}`, whose files are gone?",
            planned.forgotten.join("`, `")
        );
        if !planned.forgotten.is_empty() && !self.yes && !confirmed("forgetting pipelines", &question)? {
            terminal::say("nothing was changed");
            return Ok(ExitCode::SUCCESS);
        }
        asked.dry_run = false;
        self.show(&pintail_sync::clean_up(&data, &asked, &SystemClock)?)
    }

    fn show(&self, report: &CleanedUp) -> Outcome {
        if self.json {
            terminal::json(report)?;
            return Ok(ExitCode::SUCCESS);
        }
        let head = if self.dry_run {
            "would clean up"
        } else {
            "cleaned up"
        };
        let mut parts = vec![
            numbers::counted(report.runs, "run"),
            format!(
                "{}, {}",
                numbers::counted(report.files, "file"),
                numbers::bytes(report.bytes)
            ),
        ];
        if !report.forgotten.is_empty() {
            parts.push(format!("pipelines {}", report.forgotten.join(", ")));
        }
        terminal::data(format_args!("{head}  {}", parts.join(" · ")))?;
        for pipeline in &report.running {
            terminal::say(format_args!("left alone: pipeline `{pipeline}` runs"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The names of the pipelines in a folder. One that cannot be told would be forgotten by mistake.
fn names_below(folder: &Path) -> Result<BTreeSet<String>, Diagnostic> {
    let files = pipeline_files(folder)?;
    files.iter().map(|file| name_in(file)).collect()
}

/// A state, and the pipelines in it that are meant.
struct Found {
    state: State,
    data_dir: PathBuf,
    pipelines: Vec<String>,
}

impl Which {
    fn find(&self) -> Result<Found, Diagnostic> {
        let wanted = match (&self.config, &self.pipeline) {
            (Some(file), _) => Some(name_in(file)?),
            (None, Some(name)) => Some(name.clone()),
            (None, None) => None,
        };
        let places = self.places()?;
        let mut known = Vec::new();
        for data_dir in &places {
            let Some(state) = State::look(data_dir)? else {
                continue;
            };
            let pipelines = state.pipelines()?;
            match &wanted {
                None if pipelines.is_empty() => {}
                None => {
                    return Ok(Found {
                        state,
                        data_dir: data_dir.clone(),
                        pipelines,
                    });
                }
                Some(name) if pipelines.contains(name) => {
                    return Ok(Found {
                        state,
                        data_dir: data_dir.clone(),
                        pipelines: vec![name.clone()],
                    });
                }
                Some(_) => known.extend(pipelines),
            }
        }
        let folders: Vec<String> = places
            .iter()
            .map(|place| format!("`{}`", place.display()))
            .collect();
        let folders = folders.join(" or ");
        Err(match wanted {
            None => Diagnostic::new(ErrorKind::NotFound, format!("there is no state in {folders}"))
                .hint("Name the pipeline file with `--config`, or the folder with `--state-dir`."),
            Some(name) => {
                let unknown = Diagnostic::new(
                    ErrorKind::NotFound,
                    format!("pipeline `{name}` has no state in {folders}"),
                );
                let hint = did_you_mean(&name, known.iter().map(String::as_str));
                unknown.hint(hint.unwrap_or_else(|| "It gets one with its first run.".to_owned()))
            }
        })
    }

    /// The folders in which the state may lie.
    fn places(&self) -> Result<Vec<PathBuf>, Diagnostic> {
        let given = self.global_config.as_deref();
        Ok(match (&self.state_dir, &self.config) {
            (Some(folder), _) => vec![folder.clone()],
            (None, Some(file)) => vec![Project::of(file, given)?.data(file).state],
            (None, None) => vec![
                Project::here(given)?.data(Path::new("")).state,
                copy::state_home()?,
            ],
        })
    }
}

/// The name in a pipeline file. Nothing else of it matters here, so it may lack what a run would need.
fn name_in(file: &Path) -> Result<String, Diagnostic> {
    let variable = |name: &str| Some(std::env::var(name).unwrap_or_default());
    let document = Document::read(file, &variable)?;
    let name = document.root.get("name").and_then(|node| match &node.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        _ => None,
    });
    name.ok_or_else(|| {
        Diagnostic::new(
            ErrorKind::Invalid,
            format!("`{}` does not name a pipeline", file.display()),
        )
        .hint("A pipeline file has a `name`.")
    })
}
