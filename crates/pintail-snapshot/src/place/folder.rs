//! A folder of this machine.
//!
//! ```text
//! snapshots/<project>/<snapshot_id>/metadata.json, <bucket>.<table>.parquet
//!                     .work/<snapshot_id>.taking/  one on its way, and .work/<snapshot_id>.lock, which its taker holds
//! ```
//!
//! All files are written and brought to disk in `.work`, the manifest last; then one rename gives the folder its name. So
//! a crash leaves a whole snapshot, or a folder below `.work` whose lock nobody holds, which the next sweep removes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind as Io, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Begun, Change, Document, Fetched, GoOn, Identity, Kept, Place, Stored, Swept, Work};
use crate::error::{Error, Result};
use crate::file_hash::{self, FileHash};
use crate::id::{ProjectId, SnapshotId};
use crate::lock::Lock;
use crate::manifest::{self, TableEntry};
use crate::registry::Record;

const WORK: &str = ".work";

const REGISTRY: &str = ".registry";

/// Ends the name of a folder in `.work`.
const TAKING: &str = ".taking";

/// Ends the name of a snapshot that is being removed.
const GOING: &str = ".going";

/// The snapshots of a project in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
    project: PathBuf,
}

impl Folder {
    /// Nothing is looked at yet.
    pub(crate) fn new(root: &Path, project: &ProjectId) -> Self {
        Self {
            root: root.to_path_buf(),
            project: root.join(project.as_str()),
        }
    }

    fn snapshot(&self, id: &SnapshotId) -> PathBuf {
        self.project.join(id.as_str())
    }

    fn file(&self, file: Stored<'_>) -> PathBuf {
        self.snapshot(file.folder).join(file.name)
    }

    fn work(&self) -> PathBuf {
        self.project.join(WORK)
    }

    fn registry(&self) -> PathBuf {
        self.project.join(REGISTRY)
    }

    fn document(&self, document: Document<'_>) -> PathBuf {
        match document {
            Document::Record(id) => self.registry().join(format!("{id}.json")),
            Document::Settings => self.project.join(crate::settings::FILE_NAME),
            Document::SystemSettings => self.root.join(crate::settings::FILE_NAME),
            Document::Pins => self.project.join(crate::release::FILE_NAME),
        }
    }

    /// Waits until nobody else changes documents beside this one.
    fn lock_document(&self, document: Document<'_>) -> Result<Lock> {
        let path = self.document(document);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(Error::file("create folder", folder))?;
        Lock::wait(&folder.join(match document {
            Document::Record(_) => "lock",
            Document::Settings | Document::SystemSettings => ".settings.lock",
            Document::Pins => ".pins.lock",
        }))
    }

    /// Keeps others from taking or removing a snapshot of that name. `None` if somebody does.
    fn lock_id(&self, id: &SnapshotId) -> Result<Option<Lock>> {
        let work = self.work();
        fs::create_dir_all(&work).map_err(Error::file("create folder", &work))?;
        Lock::take(&work.join(format!("{id}.lock")))
    }

    /// Takes a snapshot away, if its record says so. False if it was held, or taken away by somebody else, meanwhile.
    fn remove(&self, id: &SnapshotId, over: &dyn Fn(&Record) -> bool) -> Result<bool> {
        let path = self.work().join(format!("{id}{GOING}"));
        let record = Document::Record(id);
        let _lock = {
            let _registry = self.lock_document(record)?;
            let known = Record::read(self.read(record)?.as_deref(), &self.name(record))?;
            if !self.visible(id)? || !over(&known) {
                return Ok(false);
            }
            let Some(lock) = self.lock_id(id)? else {
                return Ok(false);
            };
            remove_folder(&path)?;
            // From here on nobody sees it.
            let folder = self.snapshot(id);
            fs::rename(&folder, &path).map_err(Error::file("remove", &folder))?;
            secure(&self.project)?;
            self.forget(id)?;
            lock
        };
        remove_folder(&path)?;
        Ok(true)
    }

    /// The caller holds the registry.
    fn forget(&self, id: &SnapshotId) -> Result<()> {
        let path = self.document(Document::Record(id));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != Io::NotFound => Err(Error::file("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Removes what takers and sweepers that died left behind. Returns how many snapshots were never taken.
    fn remove_leftovers(&self) -> Result<u64> {
        let mut swept = 0;
        for name in names(&self.work())? {
            let path = self.work().join(&name);
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

    /// Forgets snapshots that are gone: their sweep died.
    fn forget_gone(&self) -> Result<()> {
        let recorded: Vec<SnapshotId> = names(&self.registry())?
            .iter()
            .filter_map(|name| SnapshotId::parse(name.strip_suffix(".json")?).ok())
            .filter(|id| !self.snapshot(id).exists())
            .collect();
        for id in recorded {
            let _registry = self.lock_document(Document::Record(&id))?;
            // Whoever takes one of that name registers it before it is there.
            let Some(_lock) = self.lock_id(&id)? else {
                continue;
            };
            if !self.snapshot(&id).exists() {
                self.forget(&id)?;
            }
        }
        Ok(())
    }
}

impl Place for Folder {
    fn questions(&self) -> usize {
        1
    }

    fn root(&self) -> String {
        self.root.display().to_string()
    }

    fn folder(&self, id: &SnapshotId) -> String {
        self.snapshot(id).display().to_string()
    }

    fn name(&self, document: Document<'_>) -> String {
        self.document(document).display().to_string()
    }

    fn ids(&self) -> Result<Option<Vec<SnapshotId>>> {
        let entries = match fs::read_dir(&self.project) {
            Ok(entries) => entries,
            Err(error) if error.kind() == Io::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("list", &self.project)(error)),
        };
        let ids = entries
            .flatten()
            .filter_map(|entry| SnapshotId::parse(entry.file_name().to_str()?).ok())
            .filter(|id| self.snapshot(id).join(manifest::FILE_NAME).exists());
        Ok(Some(ids.collect()))
    }

    fn visible(&self, id: &SnapshotId) -> Result<bool> {
        Ok(self.snapshot(id).join(manifest::FILE_NAME).exists())
    }

    fn manifest(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>> {
        read(&self.snapshot(id).join(manifest::FILE_NAME))
    }

    fn begin(&self, id: &SnapshotId) -> Result<Begun> {
        let Some(lock) = self.lock_id(id)? else {
            return Ok(Begun::Taken("that is being taken right now"));
        };
        if self.snapshot(id).exists() {
            return Ok(Begun::Taken("already"));
        }
        let path = self.work().join(format!("{id}{TAKING}"));
        // Of a taker that died.
        remove_folder(&path)?;
        fs::create_dir(&path).map_err(Error::file("create folder", &path))?;
        Ok(Begun::Mine(Box::new(WorkFolder {
            path,
            id: id.clone(),
            place: self.clone(),
            _lock: lock,
        })))
    }

    fn sweep(&self, going: &[SnapshotId], over: &dyn Fn(&Record) -> bool, _: Duration) -> Result<Swept> {
        let mut swept = Swept::default();
        for id in going {
            if self.remove(id, over)? {
                swept.gone.push(id.clone());
            }
        }
        swept.given_up = self.remove_leftovers()?;
        self.forget_gone()?;
        Ok(swept)
    }

    fn read(&self, document: Document<'_>) -> Result<Option<Vec<u8>>> {
        read(&self.document(document))
    }

    fn change(&self, document: Document<'_>, change: &mut Change<'_>) -> Result<()> {
        let _lock = self.lock_document(document)?;
        match change(self.read(document)?.as_deref())? {
            Some(content) => replace(&self.document(document), &content),
            None => Ok(()),
        }
    }

    fn files(&self, id: &SnapshotId) -> Result<BTreeMap<String, u64>> {
        let folder = self.snapshot(id);
        let bytes = |name: &String| fs::metadata(folder.join(name)).map_or(0, |found| found.len());
        let files = names(&folder)?.into_iter();
        Ok(files.map(|name| (name.clone(), bytes(&name))).collect())
    }

    fn identity(&self, file: Stored<'_>) -> Identity {
        let path = self.file(file);
        match fs::metadata(&path) {
            Ok(found) => Identity::Inode(found.dev(), found.ino()),
            Err(_) => Identity::Name(path.display().to_string()),
        }
    }

    fn hash(&self, file: Stored<'_>) -> Result<Option<FileHash>> {
        match file_hash::of(&self.file(file)) {
            Err(Error::File { source, .. }) if source.kind() == Io::NotFound => Ok(None),
            hash => hash.map(Some),
        }
    }

    fn looks_sound(&self, file: Stored<'_>, written: &TableEntry) -> Result<bool> {
        Ok(file_hash::of(&self.file(file))?.is_of(written))
    }

    fn fetch(&self, file: Stored<'_>, _: &TableEntry, _: &GoOn<'_>) -> Result<Option<Fetched>> {
        Ok(Some(Fetched {
            path: self.file(file),
            _fetched: None,
        }))
    }
}

/// A snapshot on its way.
struct WorkFolder {
    path: PathBuf,
    id: SnapshotId,
    place: Folder,
    // Last: the folder is gone or published when the lock is given back.
    _lock: Lock,
}

impl Work for WorkFolder {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn keep(&mut self, name: &str, _: &FileHash, _: bool, _: &GoOn<'_>) -> Result<Kept> {
        secure(&self.path(name))?;
        Ok(Kept {
            file: name.to_owned(),
            stored_in: None,
        })
    }

    fn reuse(
        &mut self,
        of: &SnapshotId,
        before: &TableEntry,
        name: &str,
        _: bool,
        _: &GoOn<'_>,
    ) -> Result<Option<Kept>> {
        let file = before.stored(of);
        let sound = self.place.hash(file)?.is_some_and(|hash| hash.is_of(before));
        if !sound || fs::hard_link(self.place.file(file), self.path(name)).is_err() {
            return Ok(None);
        }
        Ok(Some(Kept {
            file: name.to_owned(),
            stored_in: None,
        }))
    }

    fn publish(self: Box<Self>, manifest: &[u8], record: &Record) -> Result<()> {
        // First, so that nobody ever sees it without its hold.
        let content = record.content();
        self.place
            .change(Document::Record(&self.id), &mut |_| Ok(Some(content.clone())))?;
        write_new(&self.path(manifest::FILE_NAME), manifest)?;
        secure(&self.path)?;
        let target = self.place.snapshot(&self.id);
        fs::rename(&self.path, &target).map_err(Error::file("publish", &target))?;
        secure(&self.place.project)?;
        // The project's own name, if this is its first snapshot.
        match self.place.root.as_os_str().is_empty() {
            true => Ok(()),
            false => secure(&self.place.root),
        }
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.path) {
            tracing::warn!(%error, "a snapshot that was given up was left to the next sweep");
        }
    }
}

/// The content of a file; `None` if it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

/// The names in a folder; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == Io::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("list", folder)(error)),
    };
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    Ok(entries.flatten().map(name).collect())
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != Io::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Puts a small file in place of another one: whoever reads it reads one of both. The caller holds a lock.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != Io::NotFound => return Err(Error::file("remove", &part)(error)),
        _ => {}
    }
    write_new(&part, content)?;
    fs::rename(&part, path).map_err(Error::file("write", path))?;
    path.parent().map_or(Ok(()), secure)
}

/// Writes a file that is not there yet, and brings it to disk.
fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(Error::file("write", path))
}

/// Brings a file, or the names in a folder, to disk.
fn secure(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::file("bring to disk", path))
}
