//! Why a snapshot is still kept, and when it goes. Pure: snapshots, records, settings and the time go in, fates come out.
//!
//! A snapshot is kept as long as any of its tables keeps it: by its age, as one of the newest of the table, as the last one
//! of a day, week or month, or as the last good one of the table, which never goes. Days, weeks and months are those of
//! the zone in the settings, so a snapshot that is kept for seven days goes at the same time of day, whatever the clocks
//! did in between.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use crate::id::SnapshotId;
use crate::manifest::{Manifest, Proof, SnapshotType};
use crate::registry::Record;
use crate::settings::{Effective, SettingKey, Settings};

/// A snapshot as retention sees it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What it is.
    pub manifest: Manifest,
    /// What was decided about it.
    pub record: Record,
    /// Whether its files are there, in their sizes.
    pub complete: bool,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Somebody holds it.
    Held {
        /// Who.
        by: String,
        /// Since when.
        since: Timestamp,
        /// Why.
        why: Option<String>,
    },
    /// It is young.
    Age {
        /// The table that keeps it longest.
        table: Option<String>,
        /// Until when.
        until: Timestamp,
        /// The setting that says so.
        setting: Effective,
    },
    /// It is among the newest of a table.
    Count {
        /// The table.
        table: String,
        /// The setting that says so.
        setting: Effective,
    },
    /// There is no later one of a table that is as good.
    LastGood {
        /// The table.
        table: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { by, since, why } => {
                write!(f, "held by {by} since {since}")?;
                why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::Age { until, setting, .. } => write!(
                f,
                "kept until {until}: {} is {} ({})",
                setting.key.as_str(),
                setting.value,
                setting.from
            ),
            Self::Count { table, setting } => write!(
                f,
                "{} is {} ({}), and it is one of these for {table}",
                setting.key.as_str(),
                setting.value,
                setting.from
            ),
            Self::LastGood { table } => write!(f, "the last good snapshot of {table}, which is never pruned"),
        }
    }
}

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Why it is kept now; empty if it goes.
    pub kept_by: Vec<Reason>,
    /// When it goes, if nothing but its age keeps it.
    pub goes_at: Option<Timestamp>,
    /// When it was marked to go.
    pub deleted_at: Option<Timestamp>,
}

/// The fates of all snapshots of a project, oldest first as they come.
#[must_use]
pub fn fates(candidates: &[Candidate], settings: &Settings, now: Timestamp) -> Vec<Fate> {
    let zone = settings.time_zone();
    let live: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.record.deleted_at.is_none())
        .collect();
    let mut reasons: BTreeMap<&SnapshotId, Vec<Reason>> = BTreeMap::new();
    for ((bucket, table), of_table) in by_table(&live) {
        for key in [
            SettingKey::KeepLast,
            SettingKey::KeepDaily,
            SettingKey::KeepWeekly,
            SettingKey::KeepMonthly,
        ] {
            let setting = settings.effective(key, Some((bucket, table)));
            for candidate in newest(&of_table, key, setting.value.number(), &zone) {
                reasons
                    .entry(&candidate.manifest.snapshot_id)
                    .or_default()
                    .push(Reason::Count {
                        table: format!("{bucket}.{table}"),
                        setting: setting.clone(),
                    });
            }
        }
        if let Some(last) = last_good(&of_table) {
            reasons
                .entry(&last.manifest.snapshot_id)
                .or_default()
                .push(Reason::LastGood {
                    table: format!("{bucket}.{table}"),
                });
        }
    }
    candidates
        .iter()
        .map(|candidate| {
            let counted = reasons
                .remove(&candidate.manifest.snapshot_id)
                .unwrap_or_default();
            fate(candidate, counted, settings, &zone, now)
        })
        .collect()
}

fn fate(
    candidate: &Candidate,
    counted: Vec<Reason>,
    settings: &Settings,
    zone: &TimeZone,
    now: Timestamp,
) -> Fate {
    let manifest = &candidate.manifest;
    let mut kept_by = Vec::new();
    if let Some(hold) = &candidate.record.hold {
        kept_by.push(Reason::Held {
            by: hold.by.clone(),
            since: hold.since,
            why: hold.reason.clone(),
        });
    }
    let age = age(manifest, settings, zone);
    let only_age = kept_by.is_empty() && counted.is_empty();
    let marked = candidate.record.deleted_at.is_some();
    let goes_at = match &age {
        Reason::Age { until, .. } if only_age && !marked => Some(*until),
        _ => None,
    };
    if let Reason::Age { until, .. } = &age
        && *until > now
        && !marked
    {
        kept_by.push(age);
    }
    kept_by.extend(counted);
    Fate {
        snapshot: manifest.snapshot_id.clone(),
        kept_by,
        goes_at,
        deleted_at: candidate.record.deleted_at,
    }
}

/// Until when the table that keeps the snapshot longest does so.
fn age(manifest: &Manifest, settings: &Settings, zone: &TimeZone) -> Reason {
    let key = match manifest.snapshot_type {
        SnapshotType::Manual => SettingKey::ManualDays,
        SnapshotType::Auto | SnapshotType::PreDrop => SettingKey::AutoDays,
    };
    let of_tables = manifest.tables.iter().map(|entry| {
        let setting = settings.effective(key, Some((&entry.bucket, &entry.table)));
        (Some(entry.name()), setting)
    });
    // Of several that keep it as long, the first one is named.
    let longest = of_tables.rev().max_by_key(|(_, setting)| setting.value.number());
    let (table, setting) = longest.unwrap_or_else(|| (None, settings.effective(key, None)));
    let taken = manifest.created_at.to_zoned(zone.clone());
    let until = taken.checked_add(i64::from(setting.value.number()).days());
    Reason::Age {
        table,
        until: until.map_or(Timestamp::MAX, |until| until.timestamp()),
        setting,
    }
}

/// The snapshots of each table, newest first.
fn by_table<'a>(live: &[&'a Candidate]) -> BTreeMap<(&'a str, &'a str), Vec<&'a Candidate>> {
    let mut tables: BTreeMap<(&str, &str), Vec<&Candidate>> = BTreeMap::new();
    for candidate in live {
        for entry in &candidate.manifest.tables {
            tables
                .entry((&entry.bucket, &entry.table))
                .or_default()
                .push(candidate);
        }
    }
    for of_table in tables.values_mut() {
        of_table.sort_by(|a, b| order(b).cmp(&order(a)));
    }
    tables
}

fn order(candidate: &Candidate) -> (Timestamp, &SnapshotId) {
    (candidate.manifest.created_at, &candidate.manifest.snapshot_id)
}

/// The newest `count`, or the newest one of each of the newest `count` days, weeks or months.
fn newest<'a>(
    of_table: &[&'a Candidate],
    key: SettingKey,
    count: u32,
    zone: &TimeZone,
) -> Vec<&'a Candidate> {
    let period = |candidate: &Candidate| {
        let day = candidate.manifest.created_at.to_zoned(zone.clone()).date();
        match key {
            SettingKey::KeepDaily => day.to_string(),
            SettingKey::KeepWeekly => {
                let week = day.iso_week_date();
                format!("{}-{}", week.year(), week.week())
            }
            SettingKey::KeepMonthly => format!("{}-{}", day.year(), day.month()),
            // Each is a period of its own.
            _ => candidate.manifest.snapshot_id.to_string(),
        }
    };
    let mut seen: Vec<String> = Vec::new();
    let mut kept = Vec::new();
    for candidate in of_table {
        let period = period(candidate);
        if seen.contains(&period) {
            continue;
        }
        if seen.len() as u64 >= u64::from(count) {
            break;
        }
        seen.push(period);
        kept.push(*candidate);
    }
    kept
}

/// The newest one that is whole and was read back; of a table that has none, the newest that is whole, or else the newest.
fn last_good<'a>(of_table: &[&'a Candidate]) -> Option<&'a Candidate> {
    let proven = |candidate: &&&Candidate| candidate.complete && candidate.manifest.proof == Proof::ReadBack;
    let found = of_table.iter().find(proven);
    let found = found.or_else(|| of_table.iter().find(|candidate| candidate.complete));
    found.or(of_table.first()).copied()
}
