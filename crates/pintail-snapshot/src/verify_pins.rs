//! Whether what snapshots have in lakes still is what it was: the pin is there, the lake's snapshot has not expired, every file
//! that it needs is there, and its rows have the hash that they had.

use std::collections::{BTreeMap, BTreeSet};

use pintail_lake::{Access, Engine, EngineSettings, Lake, Pin};
use pintail_model::TableName;

use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::manifest::{Manifest, TableEntry};
use crate::progress::{Progress, Step};
use crate::table_file::TableFile;
use crate::verify::{Finding, Problem, Verified};

impl ProjectFolder {
    /// Looks at the pinned tables of `manifests`, and adds to `verified`.
    pub(crate) fn verify_pins(
        &self,
        manifests: &[Manifest],
        verified: &mut Verified,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut by_lake: BTreeMap<&str, Vec<&Manifest>> = BTreeMap::new();
        for manifest in manifests {
            if manifest.tables.iter().any(TableEntry::pinned) {
                by_lake
                    .entry(&manifest.source.address)
                    .or_default()
                    .push(manifest);
            }
        }
        if by_lake.is_empty() {
            return Ok(());
        }
        let engine = Engine::open_own(&EngineSettings::default())?;
        for (address, manifests) in by_lake {
            let attached = self
                .lakes()
                .find(address)
                .and_then(|location| Ok(Lake::attach(&engine, &location, Access::ReadOnly)?));
            let lake = match attached {
                Ok(lake) => lake,
                Err(error) => {
                    let unreachable = |manifest: &&Manifest| Finding {
                        snapshot: manifest.snapshot_id.clone(),
                        file: address.to_owned(),
                        stored_in: None,
                        problem: unreadable(&error),
                    };
                    verified.findings.extend(manifests.iter().map(unreachable));
                    continue;
                }
            };
            let looked = in_lake(&engine, &lake, &manifests, verified, progress);
            let detached = lake.detach();
            looked?;
            detached?;
        }
        Ok(())
    }
}

fn unreadable(error: &dyn std::error::Error) -> Problem {
    Problem::Unreadable {
        why: error.to_string(),
    }
}

fn in_lake(
    engine: &Engine,
    lake: &Lake,
    manifests: &[&Manifest],
    verified: &mut Verified,
    progress: &dyn Progress,
) -> Result<()> {
    let pins = lake.pins()?;
    let needed: BTreeSet<i64> = manifests
        .iter()
        .filter_map(|manifest| manifest.pin())
        .map(|(_, snapshot)| snapshot)
        .collect();
    let there = lake.unexpired(&needed)?;
    for manifest in manifests {
        let Some((pin, snapshot)) = manifest.pin() else {
            continue;
        };
        let mut found = |file: String, problem| {
            verified.findings.push(Finding {
                snapshot: manifest.snapshot_id.clone(),
                file,
                stored_in: None,
                problem,
            });
        };
        let pinned = |known: &Pin| known.pin == pin && known.lake_snapshot == snapshot;
        if !pins.iter().any(pinned) {
            found(format!("pin {pin}"), Problem::Unpinned);
        }
        if !there.contains(&snapshot) {
            found(format!("snapshot {snapshot} of the lake"), Problem::Expired);
            continue;
        }
        for entry in manifest.tables.iter().filter(|entry| entry.pinned()) {
            progress.step(Step::Checking, &entry.name());
            let name = TableName::new(&entry.bucket, &entry.table);
            match table(engine, lake, entry, &name, snapshot) {
                Ok(Looked {
                    files,
                    bytes,
                    problems,
                }) => {
                    verified.files += files;
                    verified.bytes += bytes;
                    verified
                        .findings
                        .extend(problems.into_iter().map(|(file, problem)| Finding {
                            snapshot: manifest.snapshot_id.clone(),
                            file,
                            stored_in: None,
                            problem,
                        }));
                }
                Err(error) => verified.findings.push(Finding {
                    snapshot: manifest.snapshot_id.clone(),
                    file: entry.name(),
                    stored_in: None,
                    problem: unreadable(&error),
                }),
            }
            progress.done(&entry.name());
        }
    }
    Ok(())
}

/// What was found of a table.
struct Looked {
    files: u64,
    bytes: u64,
    problems: Vec<(String, Problem)>,
}

fn table(
    engine: &Engine,
    lake: &Lake,
    entry: &TableEntry,
    name: &TableName,
    snapshot: i64,
) -> Result<Looked> {
    let session = lake.session()?;
    let files = lake.files_at(&session, name, snapshot)?;
    let mut looked = Looked {
        files: files.len() as u64,
        bytes: files.iter().map(|file| file.bytes).sum(),
        problems: Vec::new(),
    };
    for file in &files {
        match lake.file_bytes(&file.path)? {
            None => looked
                .problems
                .push((file.path.display().to_string(), Problem::Missing)),
            Some(bytes) if bytes < file.bytes => looked.problems.push((
                file.path.display().to_string(),
                Problem::Truncated {
                    bytes,
                    expected: file.bytes,
                },
            )),
            Some(_) => {}
        }
    }
    if !looked.problems.is_empty() {
        return Ok(looked);
    }
    let relation = lake.qualified_at(name, snapshot);
    let same = match entry.value_hash.as_str() {
        "" => crate::capture::count(&session, &relation)? == entry.row_count,
        hash => {
            let read =
                TableFile::of(&entry.name(), &entry.schema.columns)?.hash(engine, &session, &relation)?;
            read.digest() == hash && read.rows == entry.row_count
        }
    };
    if !same {
        looked.problems.push((entry.name(), Problem::Changed));
    }
    Ok(looked)
}
