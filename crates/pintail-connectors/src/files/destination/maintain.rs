//! Maintenance of tables in files: small files of a folder become one.
//!
//! ```text
//! small files ─▶ one file, read again: same rows? ─▶ the next manifest ─▶ the old files go, at once or after a while
//! ```
//!
//! It is a commit without a partition: of it and a run that commits meanwhile one begins again. By default replaced files
//! go as soon as the manifest is in place, as they do after a commit: who reads all files of a folder would see their rows
//! twice. With a grace they stay that long, for whoever reads by an older manifest.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use pintail_lake::{
    Access, Compacted, Destination, Engine, Error, Maintained, Result, SweepPolicy, TableMaintained,
};
use pintail_model::{ErrorKind, RunId, TableName};

use super::super::manifest::{DataFile, Manifest, Retired, table_of};
use super::super::rows::Rows;
use super::FilesPlace;
use super::attached::FilesDestination;
use super::commit::{ATTEMPTS, PART, clean_up, take_back, word};
use super::merge::small_files;
use super::place::Placing;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct FilesMaintenance {
    /// Only this table.
    pub table: Option<TableName>,
    /// How long replaced files stay; `None` removes them at once.
    pub grace: Option<Duration>,
    /// Now.
    pub now: Timestamp,
    /// Names what is written. No run has it.
    pub run: RunId,
}

impl FilesPlace {
    /// What [`FilesPlace::maintain`] would do, in numbers. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` for a table that is not there.
    pub fn plan_maintenance(&self, engine: &Engine, asked: &FilesMaintenance) -> Result<Maintained> {
        let destination = self.open(engine, Access::ReadOnly)?;
        let mut planned = Maintained::default();
        for table in chosen(&destination, asked)? {
            if let Some(manifest) = destination.look_up(&table)? {
                let todo = Todo::of(&manifest, asked);
                planned.files_removed += todo.removed(asked);
                planned.files_waiting += todo.waiting(asked);
                planned.tables.push(todo.report(&table, &manifest, todo.folders));
            }
        }
        Ok(planned)
    }

    /// Does it, and says what was done. What was done to a table stays done if another one fails.
    ///
    /// # Errors
    /// `NotFound` for a table that is not there, `Conflict` if others kept winning, `Data` if what was written is not
    /// what was there.
    pub fn maintain(&self, engine: &Engine, asked: &FilesMaintenance) -> Result<Maintained> {
        // What does not exist is not made.
        let destination = self.open(engine, Access::ReadOnly)?;
        let mut done = Maintained::default();
        for table in chosen(&destination, asked)? {
            maintain(&destination, &table, asked, &mut done)?;
        }
        Ok(done)
    }
}

/// What there is to do in a table.
struct Todo {
    /// Small files of folders that have several, and all others.
    small: Vec<DataFile>,
    kept: Vec<DataFile>,
    /// Folders that have several small files.
    folders: u64,
    /// Files whose time is over, and those that still have some.
    due: Vec<Retired>,
    resting: Vec<Retired>,
}

impl Todo {
    fn of(manifest: &Manifest, asked: &FilesMaintenance) -> Self {
        let folders: Vec<Vec<&DataFile>> = small_files(&manifest.files)
            .into_values()
            .filter(|small| small.len() > 1)
            .collect();
        let small = |file: &DataFile| folders.iter().flatten().any(|small| small.path == file.path);
        let (small, kept) = manifest.files.iter().cloned().partition(small);
        let (due, resting) = manifest
            .retired
            .iter()
            .cloned()
            .partition(|file| file.until <= asked.now);
        Self {
            small,
            kept,
            folders: folders.len() as u64,
            due,
            resting,
        }
    }

    fn nothing(&self) -> bool {
        self.small.is_empty() && self.due.is_empty()
    }

    fn removed(&self, asked: &FilesMaintenance) -> u64 {
        let replaced = if asked.grace.is_none() {
            self.small.len()
        } else {
            0
        };
        (self.due.len() + replaced) as u64
    }

    fn waiting(&self, asked: &FilesMaintenance) -> u64 {
        let replaced = if asked.grace.is_some() {
            self.small.len()
        } else {
            0
        };
        (self.resting.len() + replaced) as u64
    }

    fn report(&self, table: &TableName, manifest: &Manifest, to: u64) -> TableMaintained {
        TableMaintained {
            table: table.to_string(),
            files: manifest.files.len() as u64,
            bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            deleted_rows: 0,
            rewritten: Compacted::default(),
            merged: Compacted {
                from: self.small.len() as u64,
                to,
            },
            skipped: None,
        }
    }
}

fn maintain(
    destination: &FilesDestination,
    table: &TableName,
    asked: &FilesMaintenance,
    done: &mut Maintained,
) -> Result<()> {
    let folder = destination.place.table_folder(table)?;
    for attempt in 1..=ATTEMPTS {
        let Some(before) = destination.look_up(table)? else {
            return Ok(());
        };
        let todo = Todo::of(&before, asked);
        if todo.nothing() {
            done.files_waiting += todo.waiting(asked);
            done.tables.push(todo.report(table, &before, 0));
            return Ok(());
        }
        let written = rewritten(destination, table, &folder, &before, &todo, asked);
        let new = match written {
            Err(_) if destination.overtaken(table, &before)? => continue,
            written => written?,
        };
        let retire = |file: &DataFile| Retired {
            path: file.path.clone(),
            bytes: file.bytes,
            until: until(asked),
        };
        let retired = todo.small.iter().filter(|_| asked.grace.is_some()).map(retire);
        let next = Manifest {
            files: todo.kept.iter().chain(&new).cloned().collect(),
            retired: todo.resting.iter().cloned().chain(retired).collect(),
            ..before.next([])
        };
        let published = next.publish(&destination.depot, &folder)?;
        // A commit may have followed and written some of the new files anew: what it kept is of the table.
        let newest = take_back(destination, table, &folder, &new)?;
        let took_place = |newest: &Manifest| {
            let named = new.iter().any(|file| newest.keeps(&file.path));
            named || (published && newest.version == next.version)
        };
        if let Some(newest) = newest.iter().find(|newest| newest.version > before.version) {
            clean_up(destination, &folder, &before, newest);
        }
        let Some(newest) = newest.filter(took_place) else {
            tracing::info!(%table, attempt, "a commit was faster than the maintenance");
            continue;
        };
        for file in todo.due.iter().filter(|file| !newest.keeps(&file.path)) {
            let path = folder.join(&file.path);
            destination.discard(&path);
            destination.depot.remove_empty_folders(&folder, &path);
        }
        destination.sweep(
            table,
            &SweepPolicy {
                own_runs: vec![asked.run.clone()],
                older_than: None,
            },
        )?;
        done.files_removed += todo.removed(asked);
        done.files_waiting += todo.waiting(asked);
        done.tables.push(todo.report(table, &before, new.len() as u64));
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Conflict,
        format!("cannot maintain table \"{table}\": others were faster {ATTEMPTS} times"),
        "Try again when fewer runs commit to it.",
    ))
}

/// The rows of all small files, as few files.
fn rewritten(
    destination: &FilesDestination,
    table: &TableName,
    folder: &Path,
    before: &Manifest,
    todo: &Todo,
    asked: &FilesMaintenance,
) -> Result<Vec<DataFile>> {
    if todo.small.is_empty() {
        return Ok(Vec::new());
    }
    let word = word(before);
    let session = destination.session()?;
    let placing = Placing {
        destination,
        session: &session,
        table,
        folder,
        layout: &before.layout,
        columns: &before.columns,
        workshop: &destination.stage(table, &asked.run)?.path.join(&word),
        stem: &format!("{PART}{}-{word}", asked.run),
    };
    let rows = Rows {
        folder,
        columns: &before.columns,
        layout: &before.layout,
        files: &todo.small,
    };
    let expected = todo.small.iter().map(|file| file.rows).sum();
    let file = placing.rewrite(&format!("select * from {}", rows.relation()), expected)?;
    let placed = placing.place(std::slice::from_ref(&file))?;
    destination.discard(&file.path);
    Ok(placed)
}

/// When files that are replaced now may go.
fn until(asked: &FilesMaintenance) -> Timestamp {
    let grace = asked.grace.unwrap_or_default();
    asked.now.checked_add(grace).unwrap_or(Timestamp::MAX)
}

/// The tables that are meant.
fn chosen(destination: &FilesDestination, asked: &FilesMaintenance) -> Result<Vec<TableName>> {
    if let Some(table) = &asked.table {
        return match destination.look_up(table)? {
            Some(_) => Ok(vec![table.clone()]),
            None => Err(Error::refused(
                ErrorKind::NotFound,
                format!(
                    "folder `{}` has no table \"{table}\" that Pintail wrote",
                    destination.place.address
                ),
                "`pintail lake maintain --dry-run` without `--table` lists its tables.",
            )),
        };
    }
    let above = &destination.place.folder;
    let mut tables: Vec<TableName> = destination
        .depot
        .below(above)?
        .iter()
        .filter_map(|file| table_of(above, &file.path))
        .collect();
    tables.sort();
    tables.dedup();
    Ok(tables)
}
