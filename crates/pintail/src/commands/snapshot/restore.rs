//! `pintail snapshot restore`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use pintail_lake::{Engine, EngineSettings};
use pintail_model::{Clock, SystemClock};
use pintail_snapshot::{RestorePlan, RestoreRequest, Restored};

use super::place::{Database, Named, somebody, table_name, table_names};
use crate::commands::Outcome;
use crate::confirm::confirmed;
use crate::diagnostics::Diagnostic;
use crate::interrupt::Interrupt;
use crate::numbers;
use crate::progress::tables::TableBar;
use crate::terminal::{self, Palette, Tone};

/// Put tables of a snapshot back, all or none, with their constraints, defaults, indexes and comments
///
/// Each table is filled beside what is there, read again and compared, and takes its place in one transaction. What is
/// replaced is kept in a snapshot first, so that a restore can be undone by another one.
///
/// Into a lake, all tables come in one commit. What is pinned in a lake comes back into that lake, or into a DuckDB file.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail snapshot restore snap_20241211_143022 --project 123 --database shop.duckdb --dry-run
  pintail snapshot restore snap_20241211_143022 --project 123 --database shop.duckdb \\
    --table in_c_customers.customers --as in_c_customers.customers_before"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    snapshot: Named,
    /// The database: the path or URL of a DuckDB file or a lake, which is made if there is none, or the name of a lake in
    /// `datastores.yaml`
    #[arg(long, value_name = "DATABASE")]
    database: String,
    /// Only this table; may be given more than once
    #[arg(long = "table", value_name = "BUCKET.TABLE")]
    tables: Vec<String>,
    /// Give the one table another name
    #[arg(long = "as", value_name = "BUCKET.TABLE", requires = "tables")]
    rename: Option<String>,
    /// Also replace tables that are not those that the snapshot was taken of
    #[arg(long)]
    replace: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Who restores, for the snapshot of what is replaced [default: $USER]
    #[arg(long, value_name = "NAME")]
    created_by: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Do not ask before tables are replaced
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let id = arguments.snapshot.id()?;
    let request = RestoreRequest {
        tables: table_names(&arguments.tables)?,
        rename: arguments.rename.as_deref().map(table_name).transpose()?,
        replace: arguments.replace,
        created_by: somebody(arguments.created_by.as_deref()),
    };
    let place = &arguments.snapshot.place;
    let database = place.database(&arguments.database)?;
    let folder = place.folder_beside(Some(&database))?;
    let planner = Engine::open(&EngineSettings::default())?;
    let plan = match &database {
        Database::File(file) => folder.plan_restore(&planner, file, &id, &request)?,
        Database::Lake(lake) => folder.plan_restore_into_lake(&planner, lake, &id, &request)?,
    };
    drop(planner);
    if arguments.dry_run {
        return arguments.show_plan(&plan);
    }
    let replaced: Vec<&str> = plan
        .tables
        .iter()
        .filter(|table| table.replaces)
        .map(|table| table.into.as_str())
        .collect();
    let question = format!("replace `{}` of {}?", replaced.join("`, `"), plan.target);
    if !replaced.is_empty() && !arguments.yes && !confirmed("replacing tables", &question)? {
        terminal::say("nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let engine = engine_for(plan.index_bytes)?;
    let stopper = engine.stopper();
    let _interrupt = Interrupt::listen("stopping; the database stays as it was", move || {
        stopper.stop();
    })?;
    let started_at = Instant::now();
    let bar = TableBar::new(folder.project().as_str());
    let now = SystemClock.now();
    let restored = match &database {
        Database::File(file) => folder.restore(&engine, file, &id, &request, now, &bar)?,
        Database::Lake(lake) => folder.restore_into_lake(&engine, lake, &id, &request, now, &bar)?,
    };
    drop(bar);
    if arguments.json {
        terminal::json(&restored)?;
    } else {
        terminal::data(done(&restored, started_at.elapsed().as_secs_f64()))?;
    }
    let palette = Palette::stderr();
    for warning in &restored.plan.warnings {
        let careful = palette.paint(Tone::Careful, "careful:");
        terminal::say(format_args!("{careful} {warning}"));
    }
    for object in &restored.not_restored {
        let careful = palette.paint(Tone::Careful, "careful:");
        terminal::say(format_args!("{careful} could not restore {object}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// An engine that has room for indexes that are made as a whole.
pub(super) fn engine_for(index_bytes: u64) -> Result<Engine, Diagnostic> {
    let mut settings = EngineSettings::default();
    settings.memory_limit_bytes += index_bytes;
    Ok(Engine::open(&settings)?)
}

impl Arguments {
    fn show_plan(&self, plan: &RestorePlan) -> Outcome {
        if self.json {
            terminal::json(plan)?;
            return Ok(ExitCode::SUCCESS);
        }
        let head = Palette::stdout().paint(Tone::Careful, "would restore");
        let mut lines = vec![format!("{head} {} into {}", plan.snapshot, plan.target)];
        lines.extend(tables(plan));
        let object = |object: &pintail_snapshot::PlannedObject| {
            let exists = if object.exists {
                "  is there, and stays"
            } else {
                ""
            };
            format!("  {} {}{exists}", object.kind, object.name)
        };
        lines.extend(plan.objects.iter().map(object));
        lines.extend(
            plan.warnings
                .iter()
                .map(|warning| format!("  careful: {warning}")),
        );
        terminal::data(lines.join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn done(restored: &Restored, seconds: f64) -> String {
    let plan = &restored.plan;
    let rows = plan.tables.iter().map(|table| table.rows).sum();
    let mut lines = vec![format!(
        "{} {} into {}  {} · {} · {} · verified",
        Palette::stdout().paint(Tone::Done, "restored"),
        plan.snapshot,
        plan.target,
        numbers::counted(plan.tables.len() as u64, "table"),
        numbers::counted(rows, "row"),
        numbers::seconds(seconds)
    )];
    lines.extend(tables(plan));
    if let Some(kept) = &restored.replaced_kept_in {
        lines.push(format!("  what was replaced is kept in {kept}"));
    }
    lines.join("\n")
}

fn tables(plan: &RestorePlan) -> impl Iterator<Item = String> {
    plan.tables.iter().map(|table| {
        let into = match table.into == table.table {
            true => String::new(),
            false => format!(" as {}", table.into),
        };
        let replaces = if table.replaces {
            ", replaces what is there"
        } else {
            ""
        };
        format!(
            "  {}{into}  {}{replaces}",
            table.table,
            numbers::counted(table.rows, "row")
        )
    })
}
