//! `pintail demo`: a shop, a lake, and everything that can go wrong between them, on this machine alone.
//!
//! ```text
//! shop.db ─ full ─▶ lake          1, 2
//!    │ changes                    3
//!    ├───── delta ─▶ lake         4
//!    │ changes                    5
//!    └───── worker, killed ─▶ lake ─ resumed    6, 7
//!                              └─ both sides, snapshots, time travel    8, 9
//! ```
//!
//! Everything lies in one folder, which a rerun makes anew. Nothing is left running.

mod folder;
mod proof;
mod shop;
mod story;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use pintail_model::ErrorKind;
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::{StopSignal, SyncReport, SyncRequest};

use self::folder::Folder;
use self::proof::Proof;
use self::shop::{Open, Shop};
use self::worker::Ending;
use super::Outcome;
use crate::diagnostics::Diagnostic;
use crate::execution::{self, Execution, Options};
use crate::interrupt::Interrupt;
use crate::numbers;
use crate::progress::Audience;
use crate::project::Project;

/// See it work on a sample shop: full load, delta, a worker that is killed and resumed, and both sides compared.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pintail demo --rows 200000 --dir /tmp/demo")]
pub(crate) struct Arguments {
    /// How many orders the shop has
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    rows: u64,
    /// The folder for everything; one that a demo made is made anew
    #[arg(long, value_name = "FOLDER", default_value = "pintail-demo")]
    dir: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let stop = StopSignal::new();
    let _interrupt = Interrupt::stops(&stop)?;
    let folder = Folder::make(&arguments.dir)?;
    folder.write_configuration(arguments.rows)?;
    let demo = Demo {
        shop: Shop::new(folder.shop(), arguments.rows),
        folder,
        stop,
    };
    demo.tell()?;
    Ok(ExitCode::SUCCESS)
}

/// A demo under way.
struct Demo {
    folder: Folder,
    shop: Shop,
    stop: StopSignal,
}

impl Demo {
    fn tell(&self) -> Result<(), Diagnostic> {
        let begun_at = Instant::now();
        story::title(&self.folder)?;

        story::step(1, "A shop")?;
        let made = self.shop.open(|shop| shop.make(&self.stop))?;
        story::line(format_args!(
            "SQLite now holds {} and {}, {} in all  {}",
            numbers::counted(made.orders, "order"),
            numbers::counted(made.customers, "customer"),
            numbers::bytes(self.shop.bytes()),
            numbers::duration(begun_at.elapsed()),
        ))?;

        story::step(2, "Everything into a lake")?;
        let full = self.sync(None)?;
        story::report(&full)?;
        story::line(
            "a lake is a folder of Parquet files and a catalogue; here the catalogue is a SQLite file",
        )?;

        story::step(3, "The shop goes on, and a delta follows")?;
        let changes = self.shop.open(Open::sell)?;
        story::line(format_args!(
            "{} changed, {} came in",
            numbers::counted(changes.updated, "order"),
            numbers::count(changes.inserted)
        ))?;
        let delta = self.sync(None)?;
        story::report(&delta)?;
        story::line(format_args!(
            "it read {} of {}: only what changed since the full load",
            numbers::counted(delta.rows_processed, "row"),
            numbers::count(made.orders + changes.inserted)
        ))?;

        story::step(4, "A worker is killed in the middle")?;
        let changes = self.shop.open(Open::ship)?;
        story::line(format_args!(
            "{} changed",
            numbers::counted(changes.updated, "order")
        ))?;
        self.kill_a_worker()?;

        story::step(5, "The next run goes on where it was")?;
        let resumed = self.sync(Some(folder::DELTA))?;
        story::report(&resumed)?;
        story::line(match resumed.partitions_skipped {
            0 => "nothing was left to skip".to_owned(),
            skipped => format!(
                "the lake's ledger knew {skipped} of {}, so they were skipped: nothing is lost, nothing is doubled",
                numbers::counted(resumed.partitions_total, "partition")
            ),
        })?;

        self.prove(full.snapshot.unwrap_or(0))?;
        story::end(&self.folder, begun_at.elapsed())
    }

    /// Looks at both sides, and at what the lake remembers since snapshot `first`.
    fn prove(&self, first: i64) -> Result<(), Diagnostic> {
        let proof = Proof::open(&self.request(Some(folder::FULL))?)?;
        story::step(6, "Both sides, counted and summed up by queries of their own")?;
        let (source, lake) = (proof.source()?, proof.lake()?);
        story::table(
            &["", "orders", "checksum"],
            &[source.row("shop"), lake.row("lake")],
        )?;
        if source != lake {
            return Err(fault("the two sides differ after the demo"));
        }
        story::line("equal")?;

        story::step(7, "What the lake remembers")?;
        let columns = [
            "snapshot",
            "at (UTC)",
            "orders",
            "sum of amount",
            "packed",
            "shipped",
        ];
        story::table(&columns, &proof.snapshots(first)?)?;
        story::line("every one of them can be asked; this is the shop before its first change:")?;
        let query = format!(
            "select status, count(*) as orders from shop.orders at (version => {first}) group by all order by all"
        );
        story::query(&query)?;
        let answer = proof.ask(&query)?;
        let columns: Vec<&str> = answer.columns.iter().map(String::as_str).collect();
        let texts = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
        story::table(&columns, &answer.rows.into_iter().map(texts).collect::<Vec<_>>())
    }

    /// Runs the demo's pipeline in this process.
    fn sync(&self, strategy: Option<&str>) -> Result<SyncReport, Diagnostic> {
        let request = self.request(strategy)?;
        let result = execution::carry_out(&request, "orders", Audience::Terminal, &self.stop);
        let report = result.map_err(|error| match error.kind {
            ErrorKind::Cancelled => stopped(),
            _ => error,
        })?;
        if report.parity.status == ParityStatus::Mismatch {
            return Err(fault("the two sides differ after a run of the demo"));
        }
        Ok(report)
    }

    fn request(&self, strategy: Option<&str>) -> Result<SyncRequest, Diagnostic> {
        let file = self.folder.pipeline();
        let pipeline = Project::default().pipeline(&file, None)?;
        let execution = Execution {
            label: pipeline.spec.name.clone(),
            data: Project::default().data(&file),
            spec: pipeline.spec,
            source: pipeline.source,
            destination: pipeline.destination,
            strategy: strategy.map(str::to_owned),
            task: Task::Sync,
        };
        execution.request(&Options::default())
    }

    fn kill_a_worker(&self) -> Result<(), Diagnostic> {
        let pipeline: &Path = &self.folder.pipeline();
        let spec = Project::default().pipeline(pipeline, None)?.spec;
        match worker::kill_in_the_middle(pipeline, &spec.name, folder::DELTA, &self.stop)? {
            Ending::Killed {
                process,
                committed,
                total,
            } => story::line(format_args!(
                "kill -9 of process {process}, when {committed} of {} were committed",
                numbers::counted(total, "partition")
            )),
            Ending::Faster => story::line("the worker was faster than the kill: this machine is quick"),
        }
    }
}

/// What must not happen.
fn fault(message: &str) -> Diagnostic {
    Diagnostic::new(ErrorKind::Internal, message).hint("Please report it, with the folder of the demo.")
}

/// What Ctrl-C leads to.
fn stopped() -> Diagnostic {
    Diagnostic::new(ErrorKind::Cancelled, "the demo was stopped on request")
        .hint("Run it again: it starts anew.")
}
