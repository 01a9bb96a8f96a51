//! `pintail snapshot settings`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{Effective, Scope, SettingKey, SettingValue, Settings};
use serde_json::json;

use super::place::{Place, table_name};
use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::terminal;

/// Show or set how long snapshots are kept and when they are taken, for all projects, a project, a bucket or a table
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the values that count, and where each comes from
    #[command(
        after_help = "Example:\n  pintail snapshot settings get --project 123 --table in_c_customers.customers"
    )]
    Get(Get),
    /// Set a value, or let the level above decide again
    #[command(after_help = "\
Examples:
  pintail snapshot settings set --project 123 manual_days 365
  pintail snapshot settings set --project 123 --bucket in_c_customers keep_daily 14
  pintail snapshot settings set --project 123 --system time_zone Europe/Prague
  pintail snapshot settings set --project 123 manual_days default")]
    Set(Set),
}

#[derive(Debug, Args)]
struct Get {
    #[command(flatten)]
    place: Place,
    /// For this table
    #[arg(long, value_name = "BUCKET.TABLE")]
    table: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Set {
    /// What to set
    #[arg(value_name = "KEY")]
    key: Key,
    /// Its value: a number, `on` or `off`, the name of a time zone, or `default`
    #[arg(value_name = "VALUE")]
    value: String,
    #[command(flatten)]
    place: Place,
    /// For all projects
    #[arg(long, conflicts_with_all = ["bucket", "table"])]
    system: bool,
    /// For this bucket
    #[arg(long, value_name = "BUCKET", conflicts_with = "table")]
    bucket: Option<String>,
    /// For this table
    #[arg(long, value_name = "BUCKET.TABLE")]
    table: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Key {
    /// Days that a manual snapshot is kept
    ManualDays,
    /// Days that a snapshot is kept that Pintail took by itself
    AutoDays,
    /// The newest so many snapshots of a table
    KeepLast,
    /// The last snapshot of each of so many days
    KeepDaily,
    /// The last snapshot of each of so many weeks
    KeepWeekly,
    /// The last snapshot of each of so many months
    KeepMonthly,
    /// Whether a snapshot is taken before DROP TABLE and DROP SCHEMA
    DropTable,
    /// Before TRUNCATE
    TruncateTable,
    /// Before a DELETE without WHERE
    DeleteAllRows,
    /// Before ALTER TABLE … DROP COLUMN
    DropColumn,
    /// Before CREATE OR REPLACE TABLE
    ReplaceTable,
    /// Where days, weeks and months begin; for all projects
    TimeZone,
}

impl Key {
    /// `None` for what has no level.
    fn setting(self) -> Option<SettingKey> {
        Some(match self {
            Self::ManualDays => SettingKey::ManualDays,
            Self::AutoDays => SettingKey::AutoDays,
            Self::KeepLast => SettingKey::KeepLast,
            Self::KeepDaily => SettingKey::KeepDaily,
            Self::KeepWeekly => SettingKey::KeepWeekly,
            Self::KeepMonthly => SettingKey::KeepMonthly,
            Self::DropTable => SettingKey::DropTable,
            Self::TruncateTable => SettingKey::TruncateTable,
            Self::DeleteAllRows => SettingKey::DeleteAllRows,
            Self::DropColumn => SettingKey::DropColumn,
            Self::ReplaceTable => SettingKey::ReplaceTable,
            Self::TimeZone => return None,
        })
    }
}

impl Arguments {
    pub(super) fn json(&self) -> bool {
        match &self.action {
            Action::Get(get) => get.json,
            Action::Set(set) => set.json,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::Get(get) => {
            let table = get.table.as_deref().map(table_name).transpose()?;
            show(&get.place.folder()?.settings()?, table.as_ref(), get.json)
        }
        Action::Set(set) => set.run(),
    }
}

impl Set {
    fn run(&self) -> Outcome {
        let folder = self.place.folder()?;
        let table = self.table.as_deref().map(table_name).transpose()?;
        let scope = match (&table, &self.bucket) {
            (Some(table), _) => Scope::Table(table.clone()),
            (None, Some(bucket)) => Scope::Bucket(bucket.clone()),
            (None, None) if self.system => Scope::System,
            (None, None) => Scope::Project,
        };
        let settings = match self.key.setting() {
            Some(key) => folder.set(&scope, key, self.value()?)?,
            None if scope == Scope::System => folder.set_time_zone(self.time_zone())?,
            None => {
                let message = "`time_zone` is set for all projects at once";
                return Err(Diagnostic::new(ErrorKind::Invalid, message).hint("Add `--system`."));
            }
        };
        show(&settings, table.as_ref(), self.json)
    }

    fn value(&self) -> Result<Option<SettingValue>, Diagnostic> {
        let number = || self.value.parse().ok().map(SettingValue::Number);
        let value = match self.value.as_str() {
            "default" => return Ok(None),
            "on" | "true" => Some(SettingValue::Switch(true)),
            "off" | "false" => Some(SettingValue::Switch(false)),
            _ => number(),
        };
        value.map(Some).ok_or_else(|| {
            let message = format!("`{}` is not a value of a setting", self.value);
            Diagnostic::new(ErrorKind::Invalid, message)
                .hint("Write a number, `on` or `off`, or `default` to let the level above decide.")
        })
    }

    fn time_zone(&self) -> &str {
        match self.value.as_str() {
            "default" => "UTC",
            name => name,
        }
    }
}

fn show(settings: &Settings, table: Option<&TableName>, as_json: bool) -> Outcome {
    let of = table.map(|name| (name.schema_or("main"), name.table.as_str()));
    let effective: Vec<Effective> = SettingKey::ALL
        .iter()
        .map(|key| settings.effective(*key, of))
        .collect();
    let zone = settings.time_zone();
    let zone = zone.iana_name().unwrap_or("UTC");
    if as_json {
        terminal::json(&json!({ "settings": effective, "time_zone": zone }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut shown = Table::new();
    shown.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED);
    shown.set_header(["setting", "value", "from"]);
    for setting in &effective {
        shown.add_row([
            setting.key.as_str().to_owned(),
            setting.value.to_string(),
            setting.from.to_string(),
        ]);
    }
    terminal::data(format_args!("{shown}\ndays begin in {zone}"))?;
    Ok(ExitCode::SUCCESS)
}
