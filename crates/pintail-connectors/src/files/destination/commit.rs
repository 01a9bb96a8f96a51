//! Committing to a table in files: new files first, then the manifest, then the old files go.

use std::path::{Path, PathBuf};

use pintail_lake::commit::check_keys;
use pintail_lake::quote::{self, identifier, identifiers, literal};
use pintail_lake::{
    Call, Change, CommitOutcome, CommitPart, CommitRequest, Destination, Error, Result, Session, StagedFile,
};
use pintail_model::{Column, ErrorKind, checksum};

use super::super::manifest::{self, DataFile, Entry, Manifest};
use super::attached::{FilesDestination, relation};

/// How often a commit is tried again because somebody else was faster.
const ATTEMPTS: u32 = 8;

/// Manifests that are kept.
const VERSIONS_KEPT: i64 = 20;

/// Files that are smaller are taken along when a delta writes files anew, once there are several of them.
const SMALL_BYTES: u64 = 16 << 20;
const SMALL_FILES: usize = 8;

/// What a commit has written, and the files of the table if it takes place.
struct Written {
    files: Vec<DataFile>,
    written: Vec<PathBuf>,
    outcome: CommitOutcome,
}

/// Brings staged files in. See the module of the destination for what is promised.
pub(super) fn commit(destination: &FilesDestination, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
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
        let before = standing(request, found)?;
        let change = write(destination, &session, request, &folder, &before, &parts, attempt)?;
        let next = Manifest {
            version: before.version + 1,
            files: change.files,
            columns: request.columns.to_vec(),
            committed: before
                .committed
                .iter()
                .cloned()
                .chain(parts.iter().map(|part| Entry::of(&part.entry)))
                .collect(),
            ..before.clone()
        };
        if !next.publish(&destination.depot, &folder)? {
            tracing::info!(table = %request.table, attempt, "another commit was faster");
            change.written.iter().for_each(|path| destination.discard(path));
            continue;
        }
        destination.look_up(request.table)?;
        destination.show(&session, request.table, &next)?;
        clean_up(destination, &folder, &before, &next);
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
fn standing(request: &CommitRequest<'_>, found: Option<Manifest>) -> Result<Manifest> {
    let first = request
        .parts
        .first()
        .map(|part| part.entry.key.as_str())
        .unwrap_or_default();
    let made = || {
        Manifest::empty(
            checksum::bytes_word(first.as_bytes()).cast_signed() & i64::MAX,
            request.columns,
        )
    };
    match found {
        None => Ok(made()),
        Some(manifest) if same_columns(&manifest.columns, request.columns) => Ok(manifest),
        // Made anew under its name: the ledger and the numbers go on.
        Some(manifest) if request.change == Change::ReplaceAll => Ok(Manifest {
            table_id: made().table_id,
            ..manifest
        }),
        Some(_) => Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "the columns of table \"{}\" in the folder differ from those that are to be written",
                request.table
            ),
            "Run a full load: it writes the table anew.",
        )),
    }
}

/// Whether two tables have the same columns.
pub(super) fn same_columns(own: &[Column], wanted: &[Column]) -> bool {
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
    attempt: u32,
) -> Result<Written> {
    let staged: Vec<StagedFile> = parts
        .iter()
        .flat_map(|part| &part.files)
        .filter(|file| file.rows > 0)
        .cloned()
        .collect();
    let brought: u64 = staged.iter().map(|file| file.rows).sum();
    let run = parts
        .first()
        .map(|part| part.entry.run.as_str())
        .unwrap_or_default();
    let name = |number: usize| format!("part-{run}-{:06}-{attempt}-{number}.parquet", before.version + 1);
    let mut outcome = CommitOutcome::default();
    let (mut files, mut written) = (Vec::new(), Vec::new());
    match &request.change {
        Change::Upsert { key, newer } if !staged.is_empty() => {
            check_keys(session, request.table, key, &staged)?;
            let merged = Merge {
                destination,
                session,
                folder,
                before,
                key,
                newer: newer.as_deref(),
                staged: &staged,
            };
            let (kept, file, updated, inserted) = merged.write(&name(0))?;
            outcome.rows_updated = updated;
            outcome.rows_inserted = inserted;
            files.extend(kept);
            written.extend(file.iter().map(|file| folder.join(&file.path)));
            files.extend(file);
            return Ok(Written {
                files,
                written,
                outcome,
            });
        }
        Change::Upsert { .. } | Change::Append => files.extend(before.files.iter().cloned()),
        Change::ReplaceAll => outcome.rows_deleted = before.rows(),
    }
    outcome.rows_inserted = brought;
    for (number, file) in staged.iter().enumerate() {
        let path = name(number);
        let target = folder.join(&path);
        // An earlier try of this very commit may have left it.
        if destination.depot.bytes(&target)?.is_some() {
            destination.depot.remove(&target)?;
        }
        if !destination.depot.duplicate(&file.path, &target)? {
            return Err(Error::refused(
                ErrorKind::Internal,
                format!("staged file `{}` is gone", file.path.display()),
                "Run again.",
            ));
        }
        files.push(DataFile {
            path,
            rows: file.rows,
            bytes: file.bytes,
        });
        written.push(target);
    }
    destination
        .depot
        .secure_names(written.iter().map(PathBuf::as_path))?;
    Ok(Written {
        files,
        written,
        outcome,
    })
}

/// Staged rows that take the place of others.
struct Merge<'a> {
    destination: &'a FilesDestination,
    session: &'a Session,
    folder: &'a Path,
    before: &'a Manifest,
    key: &'a [String],
    newer: Option<&'a str>,
    staged: &'a [StagedFile],
}

impl Merge<'_> {
    /// Writes the files that hold staged keys anew, with the staged rows and without the ones that they replace. Returns
    /// the files that stay, the new one, and how many rows are updated and inserted.
    fn write(&self, name: &str) -> Result<(Vec<DataFile>, Option<DataFile>, u64, u64)> {
        let touched = self.touched()?;
        let (rewritten, kept): (Vec<DataFile>, Vec<DataFile>) = self
            .before
            .files
            .iter()
            .cloned()
            .partition(|file| touched.contains(&file.path));
        let staged = quote::parquet(self.staged.iter().map(|file| file.path.as_path()));
        let old = relation(
            self.folder,
            &Manifest {
                files: rewritten.clone(),
                ..self.before.clone()
            },
        );
        let names: Vec<&str> = self
            .before
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let columns = |of: &str| {
            let columns: Vec<String> = names
                .iter()
                .map(|name| format!("{of}.{}", identifier(name)))
                .collect();
            columns.join(", ")
        };
        let (same, later) = (self.same_key(), self.later());
        // Rows of which the table has a later version are not brought in, and what they would replace stays.
        let sql = format!(
            "copy (
               select {kept}
               from {old} as kept
               where not exists (select 1 from {staged} as staged where {same} and not {later})
               union all
               select {new}
               from {staged} as staged
               where not exists (select 1 from {old} as kept where {same} and {later})
             ) to {target} (format parquet)",
            kept = columns("kept"),
            new = columns("staged"),
            target = literal(&self.folder.join(name).to_string_lossy()),
        );
        let _callers = self.destination.engine().callers(1)?;
        let label = "write files of a table anew";
        let counted = self.session.query(
            Call::new(label),
            &format!(
                "select count(*) filter (where not {later}), count(*) filter (where {later})
                 from {old} as kept join {staged} as staged on {same}"
            ),
        )?;
        let number = |index| {
            let found = counted.first().and_then(|row| row.integer(index));
            u64::try_from(found.unwrap_or(0)).unwrap_or(0)
        };
        let (updated, superseded) = (number(0), number(1));
        let rows = self.session.execute(Call::new(label), &sql)?;
        let target = self.folder.join(name);
        let brought: u64 = self.staged.iter().map(|file| file.rows).sum();
        let inserted = brought.saturating_sub(updated + superseded);
        let bytes = self.destination.secure(&target)?;
        self.destination.depot.secure_names([target.as_path()])?;
        let file = DataFile {
            path: name.to_owned(),
            rows,
            bytes,
        };
        Ok((kept, Some(file), updated, inserted))
    }

    /// The files that hold a staged key, and small ones if there are several.
    fn touched(&self) -> Result<Vec<String>> {
        if self.before.files.is_empty() {
            return Ok(Vec::new());
        }
        let paths: Vec<PathBuf> = self
            .before
            .files
            .iter()
            .map(|file| self.folder.join(&file.path))
            .collect();
        let all: Vec<String> = paths
            .iter()
            .map(|path| literal(&path.to_string_lossy()))
            .collect();
        let sql = format!(
            "select distinct kept.filename
             from read_parquet([{}], hive_partitioning = false, filename = true) as kept
             semi join (select {} from {}) as staged on {}",
            all.join(", "),
            identifiers(self.key),
            quote::parquet(self.staged.iter().map(|file| file.path.as_path())),
            self.same_key()
        );
        let found = self
            .session
            .query(Call::new("look for files with staged keys"), &sql)?;
        let small: Vec<&DataFile> = self
            .before
            .files
            .iter()
            .filter(|file| file.bytes < SMALL_BYTES)
            .collect();
        let small = if small.len() >= SMALL_FILES {
            small
        } else {
            Vec::new()
        };
        let hit = |file: &&DataFile| {
            let path = self.folder.join(&file.path);
            found.iter().any(|row| row.text(0) == path.to_str())
        };
        let touched = self.before.files.iter().filter(hit).chain(small);
        let mut names: Vec<String> = touched.map(|file| file.path.clone()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn same_key(&self) -> String {
        let pair = |column: &String| format!("kept.{0} = staged.{0}", identifier(column));
        self.key.iter().map(pair).collect::<Vec<_>>().join(" and ")
    }

    /// Whether the row of the table is later than the staged one.
    fn later(&self) -> String {
        match self.newer {
            Some(newer) => format!("coalesce(kept.{0} > staged.{0}, false)", identifier(newer)),
            None => "false".to_owned(),
        }
    }
}

/// Removes what the new manifest does not need, so that who reads all files of the folder sees no row twice for longer
/// than it takes. What cannot be removed is swept. Staged files stay: the run compares them with what is in the table now.
fn clean_up(destination: &FilesDestination, folder: &Path, before: &Manifest, next: &Manifest) {
    let replaced = before.files.iter().filter(|file| !next.files.contains(file));
    replaced.for_each(|file| destination.discard(&folder.join(&file.path)));
    if let Err(error) = manifest::remove_old(&destination.depot, folder, next.version, VERSIONS_KEPT) {
        tracing::debug!(%error, "old manifests stay until the next commit");
    }
}
