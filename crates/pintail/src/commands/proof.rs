//! `pintail proof`: what the last comparison of a pipeline came to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pintail_model::ErrorKind;
use pintail_sync::SyncReport;
use pintail_sync::report::LATEST_PROOF;
use serde_json::Value;

use super::Outcome;
use super::config::Files;
use crate::diagnostics::Diagnostic;
use crate::project::Project;
use crate::{numbers, terminal};

/// Show what a comparison of both sides came to.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the newest proof of a pipeline: when both sides were compared, and what came out
    #[command(after_help = "Example:\n  pintail proof show --config pipeline.yaml")]
    Show {
        /// The pipeline file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        files: Files,
        /// Print the whole report as one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        let Action::Show { json, .. } = &self.action;
        *json
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Action::Show { config, files, json } = &arguments.action;
    let project = Project::of(config, files.global_config.as_deref())?;
    let pipeline = project.pipeline(config, files.datastores.as_deref())?;
    let name = &pipeline.spec.name;
    let path = SyncReport::folder(&project.data(config).metrics, name).join(LATEST_PROOF);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Diagnostic::new(
                ErrorKind::NotFound,
                format!("there is no proof of pipeline `{name}` yet"),
            )
            .hint("`pintail verify --config FILE` compares both sides and keeps what came out."));
        }
        Err(error) => {
            return Err(Diagnostic::new(
                ErrorKind::Unavailable,
                format!("cannot read `{}`: {error}", path.display()),
            ));
        }
    };
    if *json {
        terminal::data(text.trim_end())?;
    } else {
        let report: Value = serde_json::from_str(&text).map_err(|_| {
            Diagnostic::new(ErrorKind::Data, format!("`{}` is no report", path.display()))
                .hint("Compare both sides again with `pintail verify`.")
        })?;
        terminal::data(shown(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A proof for people, one fact a line.
fn shown(report: &Value) -> String {
    let text = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("unknown")
    };
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let side = |side: &str| {
        format!(
            "{} {}",
            text(&format!("/{side}/address")),
            text(&format!("/{side}/table"))
        )
    };
    let mut lines = vec![
        ("pipeline", text("/pipeline").to_owned()),
        ("source", side("source")),
        ("destination", side("destination")),
        ("compared at", text("/completed_at").to_owned()),
    ];
    if let Some(snapshot) = report.pointer("/snapshot").and_then(Value::as_i64) {
        lines.push(("snapshot", snapshot.to_string()));
    }
    lines.extend([
        ("result", text("/parity/status").to_owned()),
        (
            "rows",
            format!(
                "{} in the source, {} in the destination",
                numbers::count(count("/parity/rows_read")),
                numbers::count(count("/parity/rows_committed"))
            ),
        ),
        (
            "leaves",
            format!(
                "{} compared, {} differ",
                numbers::count(count("/parity/leaves")),
                numbers::count(count("/parity/mismatched"))
            ),
        ),
        (
            "drift",
            format!(
                "{} missing, {} changed, {} extra; {} pending",
                numbers::count(count("/drift/missing")),
                numbers::count(count("/drift/changed")),
                numbers::count(count("/drift/extra")),
                numbers::count(count("/drift/pending"))
            ),
        ),
        ("checksum", text("/parity/checksum").to_owned()),
    ]);
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(word, line)| format!("{word:<12} {line}"))
        .collect();
    lines.join("\n")
}
