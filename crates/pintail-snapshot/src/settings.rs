//! How long snapshots are kept, and in front of which statements one is taken, at four levels: the whole place, a project, a
//! bucket, a table. The nearest level that says something counts, key by key; where none does, the default.
//!
//! ```text
//! .settings.json              system
//! <project>/.settings.json    project, buckets, tables
//! ```

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;
use pintail_model::{ErrorKind, TableName};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::place::Document;

/// The name of the file, for a project and for all of them.
pub(crate) const FILE_NAME: &str = ".settings.json";

/// No snapshot is kept for longer by its age alone.
pub const DAYS_MAX: u32 = 3650;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingKey {
    /// Days that a manual snapshot is kept. Default 90.
    ManualDays,
    /// Days that a snapshot is kept that Pintail took by itself. Default 7.
    AutoDays,
    /// The newest so many snapshots of a table are kept, whatever their age. Default 0.
    KeepLast,
    /// The last snapshot of each of the newest so many days that have one. Default 0.
    KeepDaily,
    /// The same of weeks, which begin on Mondays. Default 0.
    KeepWeekly,
    /// The same of months. Default 0.
    KeepMonthly,
    /// Whether a snapshot is taken before DROP TABLE, and DROP SCHEMA. Default on, as all of these.
    DropTable,
    /// Before TRUNCATE.
    TruncateTable,
    /// Before a DELETE without WHERE.
    DeleteAllRows,
    /// Before ALTER TABLE … DROP COLUMN.
    DropColumn,
    /// Before CREATE OR REPLACE TABLE.
    ReplaceTable,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// On or off.
    Switch(bool),
    /// A number.
    Number(u32),
}

impl SettingValue {
    /// The number that it is; of a switch, 1 if it is on.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Switch(on) => u32::from(on),
            Self::Number(number) => number,
        }
    }

    /// Whether it is on, or not zero.
    #[must_use]
    pub fn on(self) -> bool {
        self.number() > 0
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(true) => f.write_str("on"),
            Self::Switch(false) => f.write_str("off"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl SettingKey {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ManualDays,
        Self::AutoDays,
        Self::KeepLast,
        Self::KeepDaily,
        Self::KeepWeekly,
        Self::KeepMonthly,
        Self::DropTable,
        Self::TruncateTable,
        Self::DeleteAllRows,
        Self::DropColumn,
        Self::ReplaceTable,
    ];

    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManualDays => "manual_days",
            Self::AutoDays => "auto_days",
            Self::KeepLast => "keep_last",
            Self::KeepDaily => "keep_daily",
            Self::KeepWeekly => "keep_weekly",
            Self::KeepMonthly => "keep_monthly",
            Self::DropTable => "drop_table",
            Self::TruncateTable => "truncate_table",
            Self::DeleteAllRows => "delete_all_rows",
            Self::DropColumn => "drop_column",
            Self::ReplaceTable => "replace_table",
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::ManualDays => "Days that a manual snapshot is kept",
            Self::AutoDays => "Days that a snapshot is kept that Pintail took by itself",
            Self::KeepLast => "The newest so many snapshots of a table",
            Self::KeepDaily => "The last snapshot of each of so many days",
            Self::KeepWeekly => "The last snapshot of each of so many weeks",
            Self::KeepMonthly => "The last snapshot of each of so many months",
            Self::DropTable => "Whether a snapshot is taken before DROP TABLE and DROP SCHEMA",
            Self::TruncateTable => "Before TRUNCATE",
            Self::DeleteAllRows => "Before a DELETE without WHERE",
            Self::DropColumn => "Before ALTER TABLE … DROP COLUMN",
            Self::ReplaceTable => "Before CREATE OR REPLACE TABLE",
        }
    }

    /// Whether it is on or off, and no number.
    #[must_use]
    pub fn switch(self) -> bool {
        matches!(self.default_value(), SettingValue::Switch(_))
    }

    /// The statement that a switch is about.
    pub(crate) fn statement(self) -> &'static str {
        match self {
            Self::DropTable => "drop",
            Self::TruncateTable => "truncate",
            Self::DeleteAllRows => "delete without where",
            Self::DropColumn => "drop of a column",
            _ => "replacement",
        }
    }

    fn default_value(self) -> SettingValue {
        match self {
            Self::ManualDays => SettingValue::Number(90),
            Self::AutoDays => SettingValue::Number(7),
            Self::KeepLast | Self::KeepDaily | Self::KeepWeekly | Self::KeepMonthly => {
                SettingValue::Number(0)
            }
            Self::DropTable
            | Self::TruncateTable
            | Self::DeleteAllRows
            | Self::DropColumn
            | Self::ReplaceTable => SettingValue::Switch(true),
        }
    }
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "level", content = "of", rename_all = "snake_case")]
pub enum Level {
    /// Nowhere.
    Default,
    /// For all projects.
    System,
    /// For the project.
    Project,
    /// For one of its buckets.
    Bucket(String),
    /// For one of its tables.
    Table(String),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::System => f.write_str("system"),
            Self::Project => f.write_str("project"),
            Self::Bucket(bucket) => write!(f, "bucket {bucket}"),
            Self::Table(table) => write!(f, "table {table}"),
        }
    }
}

/// A value that counts, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// What it is.
    pub key: SettingKey,
    /// Its value.
    pub value: SettingValue,
    /// Where it was set.
    #[serde(flatten)]
    pub from: Level,
}

/// To what a value applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All projects.
    System,
    /// The project.
    Project,
    /// A bucket.
    Bucket(String),
    /// A table.
    Table(TableName),
}

type Values = BTreeMap<SettingKey, SettingValue>;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemSettings {
    #[serde(default)]
    system: Values,
    /// Where days, weeks and months begin.
    #[serde(default)]
    time_zone: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectSettings {
    #[serde(default)]
    project: Values,
    #[serde(default)]
    buckets: BTreeMap<String, Values>,
    /// By bucket, then by table.
    #[serde(default)]
    tables: BTreeMap<String, BTreeMap<String, Values>>,
}

/// The settings of a project.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    system: SystemSettings,
    project: ProjectSettings,
}

impl Settings {
    /// The value that counts for a table, or for the project if there is none.
    #[must_use]
    pub fn effective(&self, key: SettingKey, table: Option<(&str, &str)>) -> Effective {
        let project = &self.project;
        let found = |values: Option<&Values>, level: Level| {
            let value = values?.get(&key)?;
            Some((*value, level))
        };
        let of_table = table.and_then(|(bucket, table)| {
            let values = entry(&project.tables, bucket).and_then(|tables| entry(tables, table));
            found(values, Level::Table(format!("{bucket}.{table}")))
        });
        let of_bucket = || {
            let (bucket, _) = table?;
            found(entry(&project.buckets, bucket), Level::Bucket(bucket.to_owned()))
        };
        let (value, from) = of_table
            .or_else(of_bucket)
            .or_else(|| found(Some(&project.project), Level::Project))
            .or_else(|| found(Some(&self.system.system), Level::System))
            .unwrap_or((key.default_value(), Level::Default));
        Effective { key, value, from }
    }

    /// Where days begin. Default UTC.
    #[must_use]
    pub fn time_zone(&self) -> TimeZone {
        let named = self.system.time_zone.as_deref();
        named
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or(TimeZone::UTC)
    }

    fn values(&mut self, scope: &Scope) -> &mut Values {
        let project = &mut self.project;
        match scope {
            Scope::System => &mut self.system.system,
            Scope::Project => &mut project.project,
            Scope::Bucket(bucket) => project.buckets.entry(bucket.to_lowercase()).or_default(),
            Scope::Table(name) => project
                .tables
                .entry(name.schema_or("main").to_lowercase())
                .or_default()
                .entry(name.table.to_lowercase())
                .or_default(),
        }
    }
}

/// Names are kept in small letters, since DuckDB compares them without regard to case.
fn entry<'a, T>(map: &'a BTreeMap<String, T>, name: &str) -> Option<&'a T> {
    map.get(&name.to_lowercase())
}

impl ProjectFolder {
    /// # Errors
    /// `Invalid` for a file that is not of the form that is written.
    pub fn settings(&self) -> Result<Settings> {
        let settings = Settings {
            system: self.read_settings(Document::SystemSettings)?,
            project: self.read_settings(Document::Settings)?,
        };
        if let Some(name) = &settings.system.time_zone {
            TimeZone::get(name).map_err(|_| unknown_zone(name))?;
        }
        Ok(settings)
    }

    /// Sets a value, or with `None` lets the level above decide again.
    ///
    /// # Errors
    /// `Invalid` for a number of days beyond [`DAYS_MAX`], or a number where a switch is meant.
    pub fn set(&self, scope: &Scope, key: SettingKey, value: Option<SettingValue>) -> Result<Settings> {
        let days = matches!(key, SettingKey::ManualDays | SettingKey::AutoDays);
        let refused = |value: SettingValue, hint: String| {
            let message = format!("cannot set `{}` to {value}", key.as_str());
            Err(Error::refused(ErrorKind::Invalid, message, hint))
        };
        match value {
            Some(SettingValue::Number(number)) if days && !(1..=DAYS_MAX).contains(&number) => {
                return refused(
                    SettingValue::Number(number),
                    format!(
                        "It is a number of days from 1 to {DAYS_MAX}. `pintail snapshot hold` keeps a snapshot for ever."
                    ),
                );
            }
            Some(value) if matches!(value, SettingValue::Switch(_)) != key.switch() => {
                let what = if key.switch() { "`on` or `off`" } else { "a number" };
                return refused(value, format!("It is {what}."));
            }
            _ => {}
        }
        self.change_settings(scope, |settings| {
            let values = settings.values(scope);
            match value {
                Some(value) => {
                    values.insert(key, value);
                }
                None => {
                    values.remove(&key);
                }
            }
        })
    }

    /// Sets where days, weeks and months begin, for all projects.
    ///
    /// # Errors
    /// `Invalid` for a zone that is not known.
    pub fn set_time_zone(&self, name: &str) -> Result<Settings> {
        TimeZone::get(name).map_err(|_| unknown_zone(name))?;
        self.change_settings(&Scope::System, |settings| {
            settings.system.time_zone = Some(name.to_owned());
        })
    }

    fn change_settings(&self, scope: &Scope, change: impl Fn(&mut Settings)) -> Result<Settings> {
        let document = match scope {
            Scope::System => Document::SystemSettings,
            _ => Document::Settings,
        };
        let name = self.place().name(document);
        let mut settings = self.settings()?;
        self.place().change(document, &mut |content| {
            match scope {
                Scope::System => settings.system = parse(content, &name)?,
                _ => settings.project = parse(content, &name)?,
            }
            change(&mut settings);
            let text = match scope {
                Scope::System => serde_json::to_string_pretty(&settings.system),
                _ => serde_json::to_string_pretty(&settings.project),
            };
            let text = text.expect("settings have a JSON form");
            Ok(Some(format!("{text}\n").into_bytes()))
        })?;
        Ok(settings)
    }

    fn read_settings<T: Default + for<'a> Deserialize<'a>>(&self, document: Document<'_>) -> Result<T> {
        let content = self.place().read(document)?;
        parse(content.as_deref(), &self.place().name(document))
    }
}

fn unknown_zone(name: &str) -> Error {
    Error::refused(
        ErrorKind::Invalid,
        format!("`{name}` is not a time zone"),
        "Write its name, like `Europe/Prague` or `UTC`.",
    )
}

fn parse<T: Default + for<'a> Deserialize<'a>>(content: Option<&[u8]>, name: &str) -> Result<T> {
    let Some(content) = content else {
        return Ok(T::default());
    };
    serde_json::from_slice(content).map_err(|error| {
        Error::refused(
            ErrorKind::Invalid,
            format!("cannot read settings `{name}`: {error}"),
            "`pintail snapshot settings set` writes the file. Correct it, or remove it to go back to defaults.",
        )
    })
}
