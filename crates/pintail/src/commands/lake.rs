//! `pintail lake`: looks after a lake, or after a folder of tables that Pintail wrote.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use pintail_config::nearest::did_you_mean;
use pintail_config::{Datastore, Datastores, Location};
use pintail_connectors::files::{FilesMaintenance, FilesPlace};
use pintail_connectors::registry;
use pintail_lake::{
    Access, Compacted, Engine, EngineSettings, Lake, Maintained, Maintenance, TableMaintained,
};
use pintail_model::{Clock, ErrorKind, RunId, SystemClock, TableName};

use super::Outcome;
use crate::confirm::confirmed;
use crate::diagnostics::Diagnostic;
use crate::interrupt::Interrupt;
use crate::project::{Project, variable};
use crate::terminal::{self, Palette, Tone};
use crate::{ages, numbers};

/// Look after a lake, or after tables in files.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Merge small files, write those with many deleted rows anew, expire old snapshots and remove old files
    ///
    /// Every row stays as it is. Commits of runs go on meanwhile: each waits for one step at most. Snapshots are kept
    /// unless `--expire-older-than` says how old they may be; what has expired cannot be read with `at (version => n)` any
    /// more. What `pintail snapshot create` pinned does not expire. Tables whose rows another program keeps in the catalogue are left alone, and so is Pintail's ledger.
    ///
    /// Of tables in files, small files of a folder become one, which is read again and compared before it counts. The
    /// replaced ones go at once, since whoever reads all files of a folder would see their rows twice; with
    /// `--clean-older-than` they stay that long for whoever reads by an older manifest.
    #[command(
        verbatim_doc_comment,
        after_help = "\
Examples:
  pintail lake maintain 'ducklake:sqlite:lake.sqlite?data_path=lake' --dry-run
  pintail lake maintain lake --expire-older-than 30d --yes
  pintail lake maintain lake --table shop.orders
  pintail lake maintain files:exports/ --dry-run"
    )]
    Maintain(Maintain),
}

#[derive(Debug, Args)]
struct Maintain {
    /// The lake, or the folder or bucket: its URL, or its name in `datastores.yaml`
    #[arg(value_name = "LAKE")]
    lake: String,
    /// Only compact this table; snapshots and old files belong to the whole lake and are left alone
    #[arg(long, value_name = "TABLE", conflicts_with_all = ["expire_older_than", "clean_older_than"])]
    table: Option<String>,
    /// Expire snapshots that are older, as `30d`; the newest stays [default: keep all]
    #[arg(long, value_name = "AGE", value_parser = ages::parse)]
    expire_older_than: Option<Duration>,
    /// Remove files that no snapshot has needed for so long [default: 1d; of tables in files, at once]
    #[arg(long, value_name = "AGE", value_parser = ages::parse)]
    clean_older_than: Option<Duration>,
    /// Write files anew of which so many percent of the rows are deleted
    #[arg(long, value_name = "PERCENT", default_value_t = 25, value_parser = clap::value_parser!(u8).range(1..=100))]
    rewrite_from: u8,
    /// Say in numbers what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The datastores that name the lake [default: `datastores.yaml` here]
    #[arg(long, value_name = "FILE")]
    datastores: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Do not ask before snapshots expire
    #[arg(long)]
    yes: bool,
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        let Action::Maintain(arguments) = &self.action;
        arguments.json
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Action::Maintain(arguments) = &arguments.action;
    arguments.run()
}

/// Younger than this, snapshots and files may be what a run compares or a query reads.
const AGE_MIN: Duration = Duration::from_hours(1);

/// How long files of a lake stay that no snapshot needs.
const CLEAN_OLDER_THAN: Duration = Duration::from_hours(24);

impl Maintain {
    fn run(&self) -> Outcome {
        let asked = self.asked()?;
        let datastore = find(&self.lake, self.datastores.as_deref())?;
        if datastore.files().is_some() {
            return self.run_on_files(&datastore, asked.table);
        }
        if datastore.lake().is_none() {
            return Err(Diagnostic::new(
                ErrorKind::Invalid,
                format!(
                    "`{}` is no lake but of type `{}`",
                    datastore.name, datastore.system
                ),
            ));
        }
        let location = registry::lake_location(&datastore)?;
        let engine = Engine::open(&EngineSettings::default())?;
        let stopper = engine.stopper();
        let _interrupt = Interrupt::listen("stopping after this step", move || stopper.stop())?;
        // What does not exist is not made, and the first look needs no more.
        let lake = Lake::attach(&engine, &location, Access::ReadOnly)?;
        let planned = lake.plan_maintenance(&asked)?;
        if self.dry_run {
            return self.show(&planned, &datastore, true);
        }
        lake.detach()?;
        let question = format!(
            "expire {} of {datastore}, which cannot be read any more then?",
            numbers::counted(planned.snapshots_expired, "snapshot")
        );
        if planned.snapshots_expired > 0 && !self.yes && !confirmed("expiring snapshots", &question)? {
            terminal::say("nothing was changed");
            return Ok(ExitCode::SUCCESS);
        }
        let lake = Lake::attach(&engine, &location, Access::ReadWrite)?;
        let done = lake.maintain(&asked)?;
        self.show(&done, &datastore, false)
    }

    fn run_on_files(&self, datastore: &Datastore, table: Option<TableName>) -> Outcome {
        if self.expire_older_than.is_some() {
            return Err(Diagnostic::new(
                ErrorKind::Invalid,
                format!(
                    "`{}` has no snapshots that `--expire-older-than` could expire",
                    datastore.name
                ),
            )
            .hint(
                "Tables in files have one state, and `--clean-older-than` keeps files that were replaced.",
            ));
        }
        let place = FilesPlace::new(datastore)?;
        let engine = Engine::open(&EngineSettings::default())?;
        let stopper = engine.stopper();
        let _interrupt = Interrupt::listen("stopping after this step", move || stopper.stop())?;
        let now = SystemClock.now();
        let asked = FilesMaintenance {
            table,
            grace: self.clean_older_than,
            now,
            run: RunId::new(now, fastrand::u32(..)),
        };
        let report = match self.dry_run {
            true => place.plan_maintenance(&engine, &asked)?,
            false => place.maintain(&engine, &asked)?,
        };
        self.show(&report, datastore, self.dry_run)
    }

    fn asked(&self) -> Result<Maintenance, Diagnostic> {
        let too_young = [
            ("--expire-older-than", self.expire_older_than),
            ("--clean-older-than", self.clean_older_than),
        ]
        .into_iter()
        .find(|(_, age)| age.is_some_and(|age| age < AGE_MIN));
        if let Some((flag, _)) = too_young {
            return Err(
                Diagnostic::new(ErrorKind::Invalid, format!("`{flag}` is less than an hour"))
                    .hint("What is younger may be what a run compares or a query reads."),
            );
        }
        let table = match &self.table {
            None => None,
            Some(name) => Some(TableName::parse(name).ok_or_else(|| {
                Diagnostic::new(ErrorKind::Invalid, format!("`{name}` is not the name of a table"))
                    .hint("Write `table` or `schema.table`; a part with dots stands in double quotes.")
            })?),
        };
        Ok(Maintenance {
            table,
            rewrite_from: f64::from(self.rewrite_from) / 100.0,
            expire_older_than: self.expire_older_than,
            clean_older_than: self.clean_older_than.unwrap_or(CLEAN_OLDER_THAN),
        })
    }

    fn show(&self, report: &Maintained, datastore: &Datastore, planned: bool) -> Outcome {
        if self.json {
            terminal::json(report)?;
        } else {
            let palette = Palette::stdout();
            let head = if planned {
                palette.paint(Tone::Careful, "would maintain")
            } else {
                palette.paint(Tone::Done, "maintained")
            };
            let mut lines = vec![format!("{head} {datastore}")];
            lines.extend(report.tables.iter().map(|table| line(table, planned)));
            if datastore.files().is_some() {
                lines.push(old_files(report, self.clean_older_than));
            } else if self.table.is_none() {
                lines.extend(whole(report, self));
            }
            terminal::data(lines.join("\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A lake by its URL, or by its name.
fn find(lake: &str, datastores: Option<&Path>) -> Result<Datastore, Diagnostic> {
    if lake.contains(':') {
        return Ok(Location::parse(lake, Path::new(""))?.datastore);
    }
    let project = Project::here(None)?;
    let file = project
        .datastores(datastores)
        .unwrap_or(Path::new("datastores.yaml"));
    let datastores = Datastores::load(file, &variable)?;
    datastores.get(lake).cloned().ok_or_else(|| {
        let unknown = Diagnostic::new(
            ErrorKind::NotFound,
            format!("there is no datastore `{lake}` in `{}`", file.display()),
        );
        match did_you_mean(lake, datastores.names()) {
            Some(hint) => unknown.hint(hint),
            None => unknown,
        }
    })
}

fn line(table: &TableMaintained, planned: bool) -> String {
    let TableMaintained {
        table: name,
        files,
        bytes,
        deleted_rows,
        rewritten,
        merged,
        skipped,
    } = table;
    let mut parts = vec![format!(
        "{}, {}",
        numbers::counted(*files, "file"),
        numbers::bytes(*bytes)
    )];
    if *deleted_rows > 0 {
        parts.push(numbers::counted(*deleted_rows, "deleted row"));
    }
    let change = |what: &str, compacted: &Compacted, about: &str| {
        let Compacted { from, to } = compacted;
        (*from > 0).then(|| format!("{what} {} into {about}{to}", numbers::counted(*from, "file")))
    };
    let about = if planned { "about " } else { "" };
    parts.extend(change("rewrite", rewritten, ""));
    parts.extend(change("merge", merged, about));
    match skipped {
        Some(why) => parts.push(format!("left alone: {why}")),
        None if *rewritten == Compacted::default() && *merged == Compacted::default() => {
            parts.push("nothing to do".to_owned());
        }
        None => {}
    }
    format!("  {name}  {}", parts.join(" · "))
}

fn whole(report: &Maintained, asked: &Maintain) -> Vec<String> {
    let expired = match asked.expire_older_than {
        None => "kept all".to_owned(),
        Some(age) => format!(
            "expire {} older than {}, keep {}",
            numbers::count(report.snapshots_expired),
            ages::shown(age),
            numbers::count(report.snapshots_kept)
        ),
    };
    let clean = asked.clean_older_than.unwrap_or(CLEAN_OLDER_THAN);
    let pinned = report.snapshots_pinned.iter().map(|pin| {
        format!(
            "  pinned     keep {}: snapshot `{}` of project `{}` in `{}` needs it",
            pin.lake_snapshot, pin.snapshot, pin.project, pin.place
        )
    });
    std::iter::once(format!("  snapshots  {expired}"))
        .chain(pinned)
        .chain([old_files(report, Some(clean))])
        .collect()
}

fn old_files(report: &Maintained, clean_older_than: Option<Duration>) -> String {
    let unneeded = match clean_older_than {
        None => "replaced ones".to_owned(),
        Some(age) => format!("unneeded for {}", ages::shown(age)),
    };
    let waiting = match report.files_waiting {
        0 => String::new(),
        waiting => format!(", {} too young", numbers::count(waiting)),
    };
    format!(
        "  old files  remove {} {unneeded}{waiting}",
        numbers::count(report.files_removed)
    )
}
