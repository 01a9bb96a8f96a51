//! The folder of a project, and how a snapshot becomes visible in it.
//!
//! ```text
//! snapshots/<project>/<snapshot_id>/metadata.json, <bucket>.<table>.parquet
//!                     .work/<snapshot_id>.taking/  one on its way, and .work/<snapshot_id>.lock, which its taker holds
//! ```
//!
//! All files are written and brought to disk in `.work`, the manifest last; then one rename gives the folder its name. So
//! a crash leaves a whole snapshot, or a folder below `.work` whose lock nobody holds, which the next sweep removes.

use std::fs::{self, File};
use std::io::{ErrorKind as Io, Write};
use std::path::{Path, PathBuf};

use pintail_model::ErrorKind;

use crate::error::{Error, Result};
use crate::id::{ProjectId, SnapshotId};
use crate::lock::Lock;
use crate::manifest::{self, Manifest};

const WORK: &str = ".work";

/// Ends the name of a folder in there.
const TAKING: &str = ".taking";

/// Ends the name of a snapshot that is being removed.
const GOING: &str = ".going";

/// A snapshot whose manifest cannot be used, and why.
pub type Broken = (SnapshotId, Error);

/// The snapshots of a project in a folder of this machine.
#[derive(Debug, Clone)]
pub struct ProjectFolder {
    root: PathBuf,
    project: ProjectId,
}

impl ProjectFolder {
    /// Snapshots of `project` below `root`. Nothing is looked at yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, project: ProjectId) -> Self {
        Self {
            root: root.into(),
            project,
        }
    }

    /// The folder of all projects.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// The folder of the project.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.join(self.project.as_str())
    }

    /// The folder of a snapshot.
    #[must_use]
    pub fn snapshot(&self, id: &SnapshotId) -> PathBuf {
        self.path().join(id.as_str())
    }

    fn work(&self) -> PathBuf {
        self.path().join(WORK)
    }

    /// Ids of the snapshots that are visible, in the order of their letters.
    ///
    /// # Errors
    /// `NotFound` if the project has none, and no folder.
    pub fn ids(&self) -> Result<Vec<SnapshotId>> {
        let path = self.path();
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == Io::NotFound => {
                return Err(Error::refused(
                    ErrorKind::NotFound,
                    format!(
                        "there is no project `{}` in `{}`",
                        self.project,
                        self.root.display()
                    ),
                    "`pintail snapshot create` makes it; `--dir` says where snapshots lie.",
                ));
            }
            Err(error) => return Err(Error::file("list", &path)(error)),
        };
        let mut ids: Vec<SnapshotId> = entries
            .flatten()
            .filter_map(|entry| SnapshotId::parse(entry.file_name().to_str()?).ok())
            .filter(|id| self.visible(id))
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// Whether there is such a snapshot.
    #[must_use]
    pub fn visible(&self, id: &SnapshotId) -> bool {
        self.snapshot(id).join(manifest::FILE_NAME).exists()
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// `NotFound` for a snapshot or a project that is not there, and those of [`Manifest::read`].
    pub fn manifest(&self, id: &SnapshotId) -> Result<Manifest> {
        Ok(self.sealed_manifest(id)?.0)
    }

    /// A manifest and its hash.
    pub(crate) fn sealed_manifest(&self, id: &SnapshotId) -> Result<(Manifest, String)> {
        let path = self.snapshot(id).join(manifest::FILE_NAME);
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => {
                // A project that is not there is told first.
                let known = self.ids()?;
                return Err(self.unknown(id, &known));
            }
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let (manifest, hash) = Manifest::read(&content, &path.display().to_string())?;
        if manifest.snapshot_id != *id || manifest.project_id != self.project {
            return Err(Error::refused(
                ErrorKind::Data,
                format!(
                    "cannot use manifest `{}`: it is that of snapshot `{}` of project `{}`",
                    path.display(),
                    manifest.snapshot_id,
                    manifest.project_id
                ),
                "Give the folder its own name back.",
            ));
        }
        Ok((manifest, hash))
    }

    pub(crate) fn unknown(&self, id: &SnapshotId, known: &[SnapshotId]) -> Error {
        let hint = match known.last() {
            None => "It has none yet.".to_owned(),
            Some(_) => format!("`pintail snapshot list --project {}` shows them.", self.project),
        };
        Error::refused(
            ErrorKind::NotFound,
            format!("project `{}` has no snapshot `{id}`", self.project),
            hint,
        )
    }

    /// Manifests of all visible snapshots, oldest first. Those that cannot be read come beside them.
    pub fn manifests(&self) -> Result<(Vec<Manifest>, Vec<Broken>)> {
        let mut manifests = Vec::new();
        let mut broken = Vec::new();
        for id in self.ids()? {
            match self.manifest(&id) {
                Ok(manifest) => manifests.push(manifest),
                // Gone between the list and now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => broken.push((id, error)),
            }
        }
        manifests.sort_by(|a, b| (a.created_at, &a.snapshot_id).cmp(&(b.created_at, &b.snapshot_id)));
        Ok((manifests, broken))
    }

    /// Begins a snapshot: from now on nobody else can take one of that name.
    ///
    /// # Errors
    /// `Conflict` if there is one, or one is being taken.
    pub(crate) fn begin(&self, id: &SnapshotId) -> Result<WorkFolder> {
        let taken = |what: &str| {
            Error::refused(
                ErrorKind::Conflict,
                format!("project `{}` has a snapshot `{id}` {what}", self.project),
                "Choose another `--id`, or none: one is made of the time then.",
            )
        };
        let Some(lock) = self.lock_id(id)? else {
            return Err(taken("that is being taken right now"));
        };
        if self.snapshot(id).exists() {
            return Err(taken("already"));
        }
        let path = self.work().join(format!("{id}{TAKING}"));
        // Of a taker that died.
        remove_folder(&path)?;
        fs::create_dir(&path).map_err(Error::file("create folder", &path))?;
        Ok(WorkFolder {
            path,
            target: self.snapshot(id),
            _lock: lock,
        })
    }

    /// Keeps others from taking or removing a snapshot of that name. `None` if somebody does.
    pub(crate) fn lock_id(&self, id: &SnapshotId) -> Result<Option<Lock>> {
        let work = self.work();
        fs::create_dir_all(&work).map_err(Error::file("create folder", &work))?;
        Lock::take(&work.join(format!("{id}.lock")))
    }

    /// Makes a snapshot invisible, in one step, so that it can be removed. `None` if somebody else does.
    pub(crate) fn take_away(&self, id: &SnapshotId) -> Result<Option<GoingFolder>> {
        let Some(lock) = self.lock_id(id)? else {
            return Ok(None);
        };
        let path = self.work().join(format!("{id}{GOING}"));
        remove_folder(&path)?;
        let folder = self.snapshot(id);
        fs::rename(&folder, &path).map_err(Error::file("remove", &folder))?;
        secure(&self.path())?;
        Ok(Some(GoingFolder { path, _lock: lock }))
    }

    /// Removes what takers and sweepers that died left behind. Returns how many snapshots were never taken.
    pub fn sweep(&self) -> Result<u64> {
        let entries = match fs::read_dir(self.work()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == Io::NotFound => return Ok(0),
            Err(error) => return Err(Error::file("list", &self.work())(error)),
        };
        let mut swept = 0;
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let taking = name.strip_suffix(TAKING);
            let Some(id) = taking.or_else(|| name.strip_suffix(GOING)) else {
                continue;
            };
            if let Some(_lock) = Lock::take(&self.work().join(format!("{id}.lock")))? {
                // Its taker may have given it its name since it was listed.
                if path.exists() {
                    remove_folder(&path)?;
                    swept += u64::from(taking.is_some());
                }
            }
        }
        Ok(swept)
    }
}

/// A snapshot that nobody sees any more.
#[derive(Debug)]
pub(crate) struct GoingFolder {
    path: PathBuf,
    _lock: Lock,
}

impl GoingFolder {
    pub(crate) fn remove(self) -> Result<()> {
        remove_folder(&self.path)
    }
}

/// A snapshot on its way. Unless it is published, it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    path: PathBuf,
    target: PathBuf,
    // Last: the folder is gone or published when the lock is given back.
    _lock: Lock,
}

impl WorkFolder {
    /// Where a file of it is written.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes the manifest and makes the snapshot visible.
    pub(crate) fn publish(self, manifest: &[u8]) -> Result<()> {
        write_new(&self.file(manifest::FILE_NAME), manifest)?;
        secure(&self.path)?;
        fs::rename(&self.path, &self.target).map_err(Error::file("publish", &self.target))?;
        if let Some(project) = self.target.parent() {
            secure(project)?;
            // The project's own name, if this is its first snapshot.
            if let Some(root) = project.parent().filter(|root| !root.as_os_str().is_empty()) {
                secure(root)?;
            }
        }
        Ok(())
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.path) {
            tracing::warn!(%error, "a snapshot that was given up was left to the next sweep");
        }
    }
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != Io::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file that is not there yet, and brings it to disk.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(Error::file("write", path))
}

/// Brings a file, or the names in a folder, to disk.
pub(crate) fn secure(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::file("bring to disk", path))
}
