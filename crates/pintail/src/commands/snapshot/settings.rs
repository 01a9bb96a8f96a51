//! `pintail snapshot settings`.

use std::process::ExitCode;

use clap::builder::PossibleValue;
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

/// The word for what has no level.
const TIME_ZONE: &str = "time_zone";

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Setting(SettingKey),
    TimeZone,
}

/// A setting and, last, the time zone.
const KEYS: [Key; SettingKey::ALL.len() + 1] = {
    let mut keys = [Key::TimeZone; SettingKey::ALL.len() + 1];
    let mut index = 0;
    while index < SettingKey::ALL.len() {
        keys[index] = Key::Setting(SettingKey::ALL[index]);
        index += 1;
    }
    keys
};

impl ValueEnum for Key {
    fn value_variants<'a>() -> &'a [Self] {
        &KEYS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Setting(key) => PossibleValue::new(key.as_str()).help(key.about()),
            Self::TimeZone => {
                PossibleValue::new(TIME_ZONE).help("Where days, weeks and months begin; for all projects")
            }
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
        let settings = match self.key {
            Key::Setting(key) => folder.set(&scope, key, self.value()?)?,
            Key::TimeZone if scope == Scope::System => folder.set_time_zone(self.time_zone())?,
            Key::TimeZone => {
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
