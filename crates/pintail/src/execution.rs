//! What `run` and `copy` share: from a pipeline to its plan on stdout, or to its run and its report.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pintail_config::Datastore;
use pintail_config::units::parse_duration;
use pintail_connectors::registry;
use pintail_lake::EngineSettings;
use pintail_model::error::EXIT_PARITY_MISMATCH;
use pintail_model::{Clock, ErrorKind, SystemClock};
use pintail_sync::plan::{ASKED_FOR, Task};
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::PipelineSpec;
use pintail_sync::{DataFolders, State, StopSignal, SyncReport, SyncRequest};
use serde_json::Value;

use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::interrupt::Interrupt;
use crate::progress::{self, Audience};
use crate::terminal::{self, Palette, Tone};
use crate::{logging, numbers, summary};

/// What can be asked of any run.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Print what would be done, statement by statement, and change nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// Read a full load in that many partitions [default: chosen from the source's statistics]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) partitions: Option<u32>,
    /// Try again that often what a broken connection ended; 0 fails at once [default: 5, or what the pipeline says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) retries: Option<u32>,
    /// Begin no new partition after that time, as `30m`: the run pauses, and the next one goes on
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) run_for: Option<Duration>,
    /// Do not compare the two sides; the report then says `unproven`
    #[arg(long)]
    pub(crate) no_parity: bool,
    /// Delete what is gone from the source, however much it is: for once, after a look at it
    #[arg(long)]
    pub(crate) allow_deletes: bool,
    /// Print the report (or the plan) as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("expected a duration like `30m` or `2h`")
}

/// A pipeline that is about to be planned or run.
pub(crate) struct Execution {
    /// What it is called in front of its user.
    pub(crate) label: String,
    pub(crate) spec: PipelineSpec,
    pub(crate) source: Datastore,
    pub(crate) destination: Datastore,
    /// Where state, metrics and logs lie.
    pub(crate) data: DataFolders,
    /// The strategy, by name; `None` lets the plan choose.
    pub(crate) strategy: Option<String>,
    /// What the run is for.
    pub(crate) task: Task,
}

impl Execution {
    /// Does what the command line asked for.
    pub(crate) fn perform(self, options: &Options) -> Outcome {
        let label = self.label.clone();
        let request = self.request(options)?;
        if options.plan {
            return show_plan(&request, options.json);
        }
        let stop = StopSignal::new();
        let _interrupt = Interrupt::stops(&stop)?;
        let started_at = SystemClock.now();
        let result = carry_out(&request, &label, Audience::Everybody, &stop);
        match result {
            Ok(report) => {
                show_report(&report, &label, options.json)?;
                Ok(exit_code(&report))
            }
            Err(diagnostic) => {
                let diagnostic = committed_so_far(&request, diagnostic);
                match report_on_disk(&request, started_at).filter(|_| options.json) {
                    Some(report) => {
                        terminal::data(report.trim_end())?;
                        Err(diagnostic.reported())
                    }
                    None => Err(diagnostic),
                }
            }
        }
    }

    /// The request that the sync understands.
    pub(crate) fn request(mut self, options: &Options) -> Result<SyncRequest, Diagnostic> {
        if let Some(attempts) = options.retries {
            self.spec.retries.attempts = attempts;
        }
        if options.run_for.is_some() {
            self.spec.limits.run_for = options.run_for;
        }
        self.refuse_one_table()?;
        let limits = &self.spec.limits;
        let default = EngineSettings::default();
        let engine = EngineSettings {
            threads: limits.threads.map_or(default.threads, |threads| threads as usize),
            memory_limit_bytes: limits
                .memory
                .map_or(default.memory_limit_bytes, |memory| memory.0),
            temp_folder: Some(
                limits
                    .temp_folder
                    .clone()
                    .unwrap_or_else(|| self.data.state.join("spill")),
            ),
            deadline: limits.statement_timeout.unwrap_or(default.deadline),
            ..default
        };
        Ok(SyncRequest {
            source: registry::source(&self.source)?,
            destination: registry::destination(&self.destination, &self.data.state.join("stage"))?,
            parity: self.spec.parity && !options.no_parity,
            allow_deletes: options.allow_deletes,
            task: self.task,
            spec: self.spec,
            data: self.data,
            strategy: self.strategy,
            partitions: options.partitions,
            engine,
            log_level: logging::run_log_level(),
            clock: Arc::new(SystemClock),
            random: fastrand::u32(..),
        })
    }

    /// A table is not copied onto itself: what others write to it between reading and committing would be lost.
    fn refuse_one_table(&self) -> Result<(), Diagnostic> {
        let (from, to) = (&self.spec.source.table, &self.spec.destination.table);
        if !self.source.shares(from, &self.destination, to) {
            return Ok(());
        }
        let message = format!(
            "table `{from}` of {} is source and destination at once",
            self.source
        );
        let hint = "Name another table as the destination: for `pintail copy` with `?table=schema.name` of the last \
                    address, in a pipeline with `table` and `schema`.";
        Err(Diagnostic::new(ErrorKind::Invalid, message).hint(hint))
    }
}

/// Runs a request, with its progress on stderr.
pub(crate) fn carry_out(
    request: &SyncRequest,
    label: &str,
    audience: Audience,
    stop: &StopSignal,
) -> Result<SyncReport, Diagnostic> {
    let display = progress::display(label, audience);
    Ok(pintail_sync::run(request, display.as_ref(), stop)?)
}

/// The code of a run that ended by itself.
pub(crate) fn exit_code(report: &SyncReport) -> ExitCode {
    match report.parity.status {
        ParityStatus::Mismatch => ExitCode::from(EXIT_PARITY_MISMATCH),
        ParityStatus::Ok | ParityStatus::Unchanged | ParityStatus::Unproven => {
            report.delete_pass.as_deref().map_or(ExitCode::SUCCESS, exit_code)
        }
    }
}

fn show_plan(request: &SyncRequest, json: bool) -> Outcome {
    let plan = pintail_sync::plan(request)?;
    if json {
        terminal::json(&plan)?;
    } else {
        terminal::data(plan.to_string().trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show_report(report: &SyncReport, label: &str, json: bool) -> Result<(), Diagnostic> {
    explain(report);
    if json {
        report.delete_pass.iter().for_each(|pass| explain(pass));
        return terminal::json(report);
    }
    terminal::data(summary::line(report, label, Palette::stdout()))?;
    match &report.delete_pass {
        Some(pass) => show_report(pass, label, json),
        None => Ok(()),
    }
}

/// Says what one should know about a run.
fn explain(report: &SyncReport) {
    let palette = Palette::stderr();
    if report.reason != ASKED_FOR {
        let SyncReport {
            strategy,
            kind,
            reason,
            ..
        } = report;
        let note = palette.paint(Tone::Hint, "note:");
        let kind = if kind == "full" { "full load" } else { kind };
        terminal::say(format_args!("{note} {kind} by strategy `{strategy}`: {reason}"));
    }
    for note in &report.notes {
        terminal::say(format_args!("{} {note}", palette.paint(Tone::Hint, "note:")));
    }
    if report.parity.status == ParityStatus::Mismatch {
        let word = palette.paint(Tone::Failed, "differs:");
        report
            .parity
            .mismatches
            .iter()
            .for_each(|leaf| terminal::say(format_args!("{word} {leaf}")));
        for key in report.drift.iter().flat_map(|drift| &drift.keys) {
            let parts: Vec<&str> = key
                .key
                .iter()
                .map(|part| part.as_deref().unwrap_or("NULL"))
                .collect();
            terminal::say(format_args!(
                "{} ({})",
                palette.paint(Tone::Failed, key.what),
                parts.join(", ")
            ));
        }
        let hint = palette.paint(Tone::Hint, "hint:");
        terminal::say(match report.commits.count {
            _ if report.drift.is_some() => {
                format!(
                    "{hint} A run with a strategy of type `hash` brings in just what differs; a full load, everything."
                )
            }
            0 => {
                format!("{hint} Run it again. A source that is read differently each time cannot be copied.")
            }
            _ => format!("{hint} The next run is a full load, which makes both sides equal."),
        });
    }
}

/// Says what an interrupted run left in the lake.
fn committed_so_far(request: &SyncRequest, diagnostic: Diagnostic) -> Diagnostic {
    if diagnostic.kind != ErrorKind::Cancelled {
        return diagnostic;
    }
    let pipeline = &request.spec.name;
    let states = State::look(&request.data.state)
        .ok()
        .flatten()
        .and_then(|state| state.show(pipeline, None).ok());
    let newest = states
        .into_iter()
        .flatten()
        .max_by(|a, b| a.started_at.cmp(&b.started_at));
    match newest.map(|state| state.progress) {
        Some(progress) if progress.total_partitions > 0 => {
            let (total, done) = (progress.total_partitions, progress.completed_partitions);
            diagnostic.and(match done {
                0 => "nothing of this run is committed".to_owned(),
                _ => format!("{done} of {} are committed", numbers::counted(total, "partition")),
            })
        }
        _ => diagnostic,
    }
}

/// The report that a failed run wrote, if it got that far.
fn report_on_disk(request: &SyncRequest, started_at: jiff::Timestamp) -> Option<String> {
    let path = SyncReport::folder(&request.data.metrics, &request.spec.name).join("latest_run.json");
    let text = std::fs::read_to_string(path).ok()?;
    let report: Value = serde_json::from_str(&text).ok()?;
    let of_this_run: jiff::Timestamp = report.get("started_at")?.as_str()?.parse().ok()?;
    (of_this_run >= started_at).then_some(text)
}
