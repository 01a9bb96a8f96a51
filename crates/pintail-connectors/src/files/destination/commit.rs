//! Committing to a table in files: new files first, then the manifest, then the old files go.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use pintail_lake::commit::{check_keys, check_request};
use pintail_lake::{
    Change, CommitOutcome, CommitPart, CommitRequest, Destination, Error, Result, Session, StagedFile,
};
use pintail_model::{Column, ErrorKind, TableName, checksum};

use super::super::layout::Layout;
use super::super::manifest::{self, DataFile, Entry, Manifest};
use super::attached::FilesDestination;
use super::merge::{Merge, Merged};
use super::place::Placing;

/// How often a commit is tried again because somebody else was faster.
pub(super) const ATTEMPTS: u32 = 8;

/// What the names of data files begin with.
pub(super) const PART: &str = "part-";

/// Manifests that are kept.
const VERSIONS_KEPT: i64 = 20;

/// What a commit has written, and the files of the table if it takes place.
struct Written {
    files: Vec<DataFile>,
    written: Vec<DataFile>,
    outcome: CommitOutcome,
}

/// Brings staged files in. See the module of the destination for what is promised.
pub(super) fn commit(destination: &FilesDestination, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
    check_request(request)?;
    let folder = destination.place.table_folder(request.table)?;
    for attempt in 1..=ATTEMPTS {
        let session = destination.session()?;
        let found = destination.look_up(request.table)?;
        let already: Vec<_> = request
            .parts
            .iter()
            .map(|part| &part.entry.key)
            .filter(|key| found.as_ref().is_some_and(|manifest| manifest.has(key)))
            .cloned()
            .collect();
        let parts: Vec<&CommitPart> = request
            .parts
            .iter()
            .filter(|part| !already.contains(&part.entry.key))
            .collect();
        if parts.is_empty() {
            return Ok(CommitOutcome {
                already,
                ..CommitOutcome::default()
            });
        }
        if request.change == Change::ReplaceAll && !already.is_empty() {
            return Err(Error::refused(
                ErrorKind::Conflict,
                format!(
                    "cannot replace table \"{}\": a part of this load is in the ledger already",
                    request.table
                ),
                "Start a new run: a full load is committed as a whole.",
            ));
        }
        if let Some(basis) = &request.basis {
            let newest = found.as_ref().and_then(Manifest::newest_key);
            basis.check(request.table, newest)?;
        }
        let before = standing(request, &destination.place.layout, found)?;
        let written = write(destination, &session, request, &folder, &before, &parts);
        let change = match written {
            // Whoever was faster has removed files that this attempt was reading.
            Err(error) if destination.overtaken(request.table, &before)? => {
                tracing::info!(table = %request.table, attempt, %error, "another commit was faster");
                continue;
            }
            written => written?,
        };
        let next = Manifest {
            files: change.files,
            columns: request.columns.to_vec(),
            ..before.next(parts.iter().map(|part| Entry::of(&part.entry)))
        };
        if !next.publish(&destination.depot, &folder)? {
            tracing::info!(table = %request.table, attempt, "another commit was faster");
            take_back(destination, request.table, &folder, &change.written)?;
            continue;
        }
        let newest = take_back(destination, request.table, &folder, &change.written)?;
        destination.show(&session, request.table, &next)?;
        clean_up(destination, &folder, &before, newest.as_ref().unwrap_or(&next));
        return Ok(CommitOutcome {
            snapshot: Some(next.version),
            committed: parts.iter().map(|part| part.entry.key.clone()).collect(),
            already,
            ..change.outcome
        });
    }
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "cannot commit to table \"{}\": others were faster {ATTEMPTS} times",
            request.table
        ),
        "Try again: what was staged is kept.",
    ))
}

/// The table before this commit: as it was found, or one that is made.
fn standing(request: &CommitRequest<'_>, layout: &Layout, found: Option<Manifest>) -> Result<Manifest> {
    let first = request
        .parts
        .first()
        .map(|part| part.entry.key.as_str())
        .unwrap_or_default();
    let made = || {
        let table_id = checksum::bytes_word(first.as_bytes()).cast_signed() & i64::MAX;
        Manifest::empty(table_id, request.columns, layout)
    };
    match found {
        None => Ok(made()),
        Some(manifest) if fits(&manifest, request.columns, layout) => Ok(manifest),
        // Made anew under its name: the ledger and the numbers go on.
        Some(manifest) if request.change == Change::ReplaceAll => Ok(Manifest {
            table_id: made().table_id,
            layout: layout.clone(),
            ..manifest
        }),
        Some(manifest) => {
            let what = match same_columns(&manifest.columns, request.columns) {
                true => "the format or the folders",
                false => "the columns",
            };
            Err(Error::refused(
                ErrorKind::Conflict,
                format!(
                    "{what} of table \"{}\" in the folder differ from those that are to be written",
                    request.table
                ),
                "Run a full load: it writes the table anew.",
            ))
        }
    }
}

/// Whether rows of `columns` can be added to a table, in files laid out as `layout` says.
pub(super) fn fits(manifest: &Manifest, columns: &[Column], layout: &Layout) -> bool {
    manifest.layout == *layout && same_columns(&manifest.columns, columns)
}

/// Whether two tables have the same columns.
fn same_columns(own: &[Column], wanted: &[Column]) -> bool {
    own.len() == wanted.len()
        && own.iter().zip(wanted).all(|(own, wanted)| {
            (&own.name, own.logical_type, own.nullable)
                == (&wanted.name, wanted.logical_type, wanted.nullable)
        })
}

/// Writes the new files, under names that no reader of the manifest knows yet.
fn write(
    destination: &FilesDestination,
    session: &Session,
    request: &CommitRequest<'_>,
    folder: &Path,
    before: &Manifest,
    parts: &[&CommitPart],
) -> Result<Written> {
    let staged: Vec<StagedFile> = parts
        .iter()
        .flat_map(|part| &part.files)
        .filter(|file| file.rows > 0)
        .cloned()
        .collect();
    let brought: u64 = staged.iter().map(|file| file.rows).sum();
    let run = parts.first().map(|part| &part.entry.run);
    let run = run.expect("a commit has parts");
    let word = word(before);
    let workshop = destination.stage(request.table, run)?.path.join(&word);
    let placing = Placing {
        destination,
        session,
        table: request.table,
        folder,
        layout: &before.layout,
        columns: request.columns,
        workshop: &workshop,
        stem: &format!("{PART}{run}-{word}"),
    };
    let mut outcome = CommitOutcome {
        rows_inserted: brought,
        ..CommitOutcome::default()
    };
    let mut files: Vec<DataFile> = Vec::new();
    let no_key = Vec::new();
    let merged = match &request.change {
        Change::Upsert { key, newer } if !staged.is_empty() || !request.gone.is_empty() => {
            check_keys(session, request.table, key, &staged)?;
            Some((key, newer.as_deref()))
        }
        Change::Exchange if !request.gone.is_empty() => Some((&no_key, None)),
        _ => None,
    };
    let new = match (&request.change, merged) {
        (_, Some((key, newer))) => {
            let merge = Merge {
                placing: &placing,
                before,
                key,
                newer,
                staged: &staged,
                gone: &request.gone,
            };
            let Merged {
                kept,
                file,
                updated,
                inserted,
                deleted,
            } = merge.write()?;
            (outcome.rows_updated, outcome.rows_inserted) = (updated, inserted);
            outcome.rows_deleted = deleted;
            files = kept;
            let new = placing.place(std::slice::from_ref(&file))?;
            destination.discard(&file.path);
            new
        }
        (Change::Upsert { .. } | Change::Append | Change::Exchange, None) => {
            files.extend(before.files.iter().cloned());
            placing.place(&staged)?
        }
        (Change::ReplaceAll, None) => {
            outcome.rows_deleted = before.rows();
            placing.place(&staged)?
        }
    };
    files.extend(new.iter().cloned());
    Ok(Written {
        files,
        written: new,
        outcome,
    })
}

/// Names what one attempt writes, and nothing else ever: of an attempt whose answer was lost, the manifest may come to
/// light later, and its files have to be what they were.
pub(super) fn word(before: &Manifest) -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{:06}-{:08x}", before.version + 1, random & 0xffff_ffff)
}

/// Removes files of a commit that the newest manifest does not name, and returns that.
pub(super) fn take_back(
    destination: &FilesDestination,
    table: &TableName,
    folder: &Path,
    written: &[DataFile],
) -> Result<Option<Manifest>> {
    let newest = destination.look_up(table)?;
    let named = |file: &&DataFile| newest.as_ref().is_some_and(|newest| newest.keeps(&file.path));
    for file in written.iter().filter(|file| !named(file)) {
        let path = folder.join(&file.path);
        destination.discard(&path);
        destination.depot.remove_empty_folders(folder, &path);
    }
    Ok(newest)
}

/// Removes what nobody needs any more, so that who reads all files of the folder sees no row twice for longer than it takes.
/// What cannot be removed is swept. Staged files stay: the run compares them with what is in the table now.
pub(super) fn clean_up(destination: &FilesDestination, folder: &Path, before: &Manifest, newest: &Manifest) {
    // Somebody else may have committed since: what counts is the newest manifest.
    let replaced = before.files.iter().filter(|file| !newest.keeps(&file.path));
    for file in replaced {
        let path = folder.join(&file.path);
        destination.discard(&path);
        destination.depot.remove_empty_folders(folder, &path);
    }
    if let Err(error) = manifest::remove_old(&destination.depot, folder, newest.version, VERSIONS_KEPT) {
        tracing::debug!(%error, "old manifests stay until the next commit");
    }
}
