//! Which rows belonged to which groups: what a delta of aggregates has to know of rows that moved.
//!
//! A row that changed tells the group that it is in now. The group that it was in before is looked up here: in Parquet files
//! of keys and groups beside the state, with a manifest that names them.
//!
//! ```text
//! full load, comparison:  all rows ────▶ a file that takes the place of all others
//! delta:                  changed rows ─▶ one more file
//! ```
//!
//! The rule that makes deltas right: **a row is on record with every group that counts it in the destination.** So a file is
//! added before the commit that makes it necessary, and those that it replaces go after that. What is on record beyond it
//! only means that a group is computed which has not changed.
//!
//! The manifest names the run whose commit its files hold for, and one that may have committed. If the newest entry of the
//! destination's ledger is of neither, somebody else wrote to the table, and the files are worth nothing.

use std::path::{Path, PathBuf};

use pintail_lake::{Call, Session, quote};
use pintail_model::RunId;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::statement;
use crate::work::Work;

/// Version of the manifest.
const VERSION: u32 = 1;

/// So many files are made one.
const FILES_MAX: usize = 32;

const MANIFEST: &str = "manifest.json";

/// The kept files of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// What was read, and how.
    identity: String,
    files: Vec<KeptFile>,
    /// The number of the next file: no name is ever used for other rows.
    next: u64,
    /// The run whose commit the files hold for.
    run: Option<String>,
    /// A run that may have committed.
    pending: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptFile {
    name: String,
    bytes: u64,
}

/// A file that no manifest names yet.
pub(crate) struct Written(Option<KeptFile>);

/// What is known before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The folder of the files.
    pub folder: PathBuf,
    /// What the manifest says; `None` if there is none that can be used.
    pub manifest: Option<Manifest>,
}

impl Kept {
    /// Looks into a folder.
    #[must_use]
    pub fn look(folder: PathBuf) -> Self {
        let read = || {
            let text = std::fs::read_to_string(folder.join(MANIFEST)).ok()?;
            let manifest: Manifest = serde_json::from_str(&text).ok()?;
            let there = |file: &KeptFile| {
                std::fs::metadata(folder.join(&file.name)).is_ok_and(|found| found.len() == file.bytes)
            };
            (manifest.version == VERSION && manifest.files.iter().all(there)).then_some(manifest)
        };
        Self {
            manifest: read(),
            folder,
        }
    }

    /// The files, if they hold for what the newest entry of the ledger made of the destination.
    ///
    /// # Errors
    /// Why they do not, as the end of a sentence.
    pub(crate) fn files(
        &self,
        identity: &str,
        ledger: Option<&RunId>,
    ) -> std::result::Result<Vec<PathBuf>, String> {
        let Some(manifest) = &self.manifest else {
            return Err("it is not on record which rows belonged to which groups".to_owned());
        };
        if manifest.identity != identity {
            return Err("what is on record of rows and groups is of other groups than these".to_owned());
        }
        let run = ledger.map(RunId::as_str);
        if run.is_none() || run != manifest.run.as_deref() && run != manifest.pending.as_deref() {
            return Err("another run than the one on record was the last to write groups".to_owned());
        }
        Ok(manifest
            .files
            .iter()
            .map(|file| self.folder.join(&file.name))
            .collect())
    }
}

/// What a run has to do with the files: see [`crate::plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memberships {
    /// The folder, and what is in it.
    pub kept: Kept,
    /// A name for the rows and groups that are meant.
    pub identity: String,
    /// The run that wrote the newest entry of the ledger.
    pub ledger: Option<RunId>,
    /// Reads keys and groups of all rows.
    pub all: String,
}

/// Writes down the groups of all rows, in the snapshot that `session` holds; `None` where no delta may follow.
pub(crate) fn write_all(work: &Work<'_>, session: &Session) -> Result<Option<Written>> {
    let members = work.plan.members.as_ref();
    members
        .map(|members| write(members, session, &members.all))
        .transpose()
}

/// Writes what `rows` yields into a file of its own.
pub(crate) fn write(members: &Memberships, session: &Session, rows: &str) -> Result<Written> {
    let folder = &members.kept.folder;
    std::fs::create_dir_all(folder).map_err(|source| failed("create folder", folder, source))?;
    let next = members.kept.manifest.as_ref().map_or(0, |manifest| manifest.next);
    let name = format!("{next}.parquet");
    let path = folder.join(&name);
    let sql = format!(
        "copy (\n{}\n) to {} (format parquet)",
        statement::indent(rows, 2),
        quote::literal(&path.to_string_lossy())
    );
    let rows = session.execute(Call::new("write down which rows belong to which groups"), &sql)?;
    if rows == 0 {
        remove(&path);
        return Ok(Written(None));
    }
    let synced = || {
        let file = std::fs::File::open(&path)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    };
    let bytes = synced().map_err(|source| failed("write", &path, source))?;
    Ok(Written(Some(KeptFile { name, bytes })))
}

/// The files that are on record now, and that a run may be about to commit what they hold for. To be called before that.
pub(crate) fn add(work: &Work<'_>, written: Option<&Written>) -> Result<()> {
    let (Some(members), Some(written)) = (&work.plan.members, written) else {
        return Ok(());
    };
    let mut manifest = members.manifest();
    manifest.files.extend(written.0.clone());
    manifest.next += u64::from(written.0.is_some());
    manifest.pending = Some(work.run.as_str().to_owned());
    save(&members.kept.folder, &manifest)
}

/// What a run leaves when it is over: what `written` holds in place of all others, or beside them. `after` is how it ended.
pub(crate) fn settle(
    work: &Work<'_>,
    written: Option<&Written>,
    outcome: Outcome,
    after: After,
) -> Result<()> {
    let (Some(members), Some(written)) = (&work.plan.members, written) else {
        return Ok(());
    };
    let mut manifest = members.manifest();
    let gone = match outcome {
        Outcome::Replaced => std::mem::take(&mut manifest.files),
        Outcome::Added => Vec::new(),
    };
    manifest.files.extend(written.0.clone());
    manifest.next += u64::from(written.0.is_some());
    manifest.run = match after {
        After::Commit => Some(work.run.as_str().to_owned()),
        After::Nothing => members.ledger.as_ref().map(|run| run.as_str().to_owned()),
    };
    manifest.pending = None;
    let folder = &members.kept.folder;
    save(folder, &manifest)?;
    gone.iter().for_each(|file| remove(&folder.join(&file.name)));
    match manifest.files.len() > FILES_MAX {
        true => merge(work, folder, manifest),
        false => Ok(()),
    }
}

/// What becomes of the files that were there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All rows were written down anew.
    Replaced,
    /// Those that changed were.
    Added,
}

/// What a run did to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It committed.
    Commit,
    /// There was nothing to commit.
    Nothing,
}

/// Makes one file of all.
fn merge(work: &Work<'_>, folder: &Path, manifest: Manifest) -> Result<()> {
    let paths: Vec<PathBuf> = manifest
        .files
        .iter()
        .map(|file| folder.join(&file.name))
        .collect();
    let files: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let members = Memberships {
        kept: Kept {
            folder: folder.to_path_buf(),
            manifest: Some(manifest.clone()),
        },
        identity: manifest.identity.clone(),
        ledger: None,
        all: String::new(),
    };
    let rows = format!("select distinct * from {}", statement::parquet(&files));
    let session = work.destination.session()?;
    let Written(file) = write(&members, &session, &rows)?;
    let merged = Manifest {
        files: file.into_iter().collect(),
        next: manifest.next + 1,
        ..manifest
    };
    save(folder, &merged)?;
    paths.iter().for_each(|path| remove(path));
    Ok(())
}

impl Memberships {
    /// What the manifest said before this run, or an empty one where that is of other groups.
    fn manifest(&self) -> Manifest {
        let known = self.kept.manifest.as_ref();
        let fresh = Manifest {
            version: VERSION,
            identity: self.identity.clone(),
            files: Vec::new(),
            next: known.map_or(0, |manifest| manifest.next),
            run: None,
            pending: None,
        };
        let same = known.filter(|manifest| manifest.identity == self.identity);
        same.cloned().unwrap_or(fresh)
    }
}

/// A reader sees the old manifest or the new one.
fn save(folder: &Path, manifest: &Manifest) -> Result<()> {
    let path = folder.join(MANIFEST);
    let fresh = path.with_extension("json.new");
    let text = serde_json::to_string(manifest).expect("a manifest has a JSON form");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&fresh, text))
        .and_then(|()| std::fs::File::open(&fresh)?.sync_all())
        .and_then(|()| std::fs::rename(&fresh, &path))
        .map_err(|source| failed("write", &path, source))
}

/// A file that cannot be removed is in nobody's way.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a file of rows and groups could not be removed");
    }
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File {
        action,
        path: path.to_path_buf(),
        source,
    }
}
