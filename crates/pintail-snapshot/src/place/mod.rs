//! Where the snapshots of a project lie: in a folder of this machine, or in a bucket of an object store. All else in this
//! crate sees what is here, and does not know which it is.
//!
//! | | folder | bucket |
//! |---|---|---|
//! | a snapshot is visible | when its folder got its name | when its manifest was put, which happens once |
//! | nobody else takes that name | a lock that dies with its holder | a claim that its holder renews every minute |
//! | a table that did not change | a second name for its file | the manifest says where the file lies |
//! | documents are changed | under a lock | under the condition that nobody else changed them |

pub(crate) mod bucket;
pub(crate) mod folder;
mod staging;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pintail_lake::Engine;
use tempfile::TempPath;

use crate::error::{Error, Result};
use crate::file_hash::FileHash;
use crate::id::SnapshotId;
use crate::manifest::TableEntry;
use crate::registry::Record;

/// A small file beside the snapshots.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Document<'a> {
    /// What was decided about a snapshot.
    Record(&'a SnapshotId),
    /// The settings of the project.
    Settings,
    /// Those of all projects.
    SystemSettings,
    /// Pins that may be in lakes.
    Pins,
}

/// The file of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    /// In whose folder it lies.
    pub(crate) folder: &'a SnapshotId,
    /// Its name there.
    pub(crate) name: &'a str,
}

impl TableEntry {
    /// Where its file lies, in the manifest of snapshot `own`.
    pub(crate) fn stored<'a>(&'a self, own: &'a SnapshotId) -> Stored<'a> {
        Stored {
            folder: self.stored_in.as_ref().unwrap_or(own),
            name: &self.file,
        }
    }
}

/// What makes a file the same as another one, whatever the names that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    /// Device and number.
    Inode(u64, u64),
    /// One that nobody else shares.
    Name(String),
}

/// A file on this machine, to be read. What was fetched for it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Fetched {
    path: PathBuf,
    _fetched: Option<TempPath>,
}

impl Fetched {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What came of the wish to take a snapshot of some name.
pub(crate) enum Begun {
    /// Nobody else takes one of that name now.
    Mine(Box<dyn Work>),
    /// There is one, or somebody is at it, as the word says.
    Taken(&'static str),
}

/// What was taken away.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Snapshots that were to go, and are gone.
    pub(crate) gone: Vec<SnapshotId>,
    /// Snapshots that were never finished.
    pub(crate) given_up: u64,
}

/// Makes another content of that which a document has, if it has any; `None` leaves it as it is. May be asked more than once.
pub(crate) type Change<'a> = dyn FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>> + 'a;

/// Is asked again and again by what takes long; an error stops it.
pub(crate) type GoOn<'a> = dyn Fn() -> Result<()> + 'a;

/// Goes on until the engine is stopped.
pub(crate) fn until_stopped<'a>(engine: &'a Engine, label: &'a str) -> impl Fn() -> Result<()> + 'a {
    move || match engine.stopped() {
        true => Err(Error::Engine(pintail_lake::Error::Cancelled {
            label: label.to_owned(),
        })),
        false => Ok(()),
    }
}

/// The snapshots of a project.
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// How many questions are worth asking at a time.
    fn questions(&self) -> usize;

    /// Where all projects lie, for people.
    fn root(&self) -> String;

    /// The folder of a snapshot, for people.
    fn folder(&self, id: &SnapshotId) -> String;

    /// A document, for people.
    fn name(&self, document: Document<'_>) -> String;

    /// The snapshots that are visible, in no order; `None` if there is no such project.
    fn ids(&self) -> Result<Option<Vec<SnapshotId>>>;

    /// Whether a snapshot is visible.
    fn visible(&self, id: &SnapshotId) -> Result<bool>;

    /// The manifest of a snapshot, if it is visible.
    fn manifest(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>>;

    /// Begins a snapshot.
    fn begin(&self, id: &SnapshotId) -> Result<Begun>;

    /// Takes those of the snapshots away whose record is `over` at that moment, and what others left behind who died: of a
    /// taker nobody has heard for `silence` then, where such a thing cannot be known at once.
    fn sweep(&self, going: &[SnapshotId], over: &dyn Fn(&Record) -> bool, silence: Duration)
    -> Result<Swept>;

    /// A document; `None` if there is none.
    fn read(&self, document: Document<'_>) -> Result<Option<Vec<u8>>>;

    /// Changes a document. Of two who do so at once, none undoes what the other one did.
    fn change(&self, document: Document<'_>, change: &mut Change<'_>) -> Result<()>;

    /// What lies in the folder of a snapshot: sizes by name.
    fn files(&self, id: &SnapshotId) -> Result<BTreeMap<String, u64>>;

    /// What makes a file the same as another one. It need not be there.
    fn identity(&self, file: Stored<'_>) -> Identity;

    /// Reads a file as a whole; `None` if it is not there.
    fn hash(&self, file: Stored<'_>) -> Result<Option<FileHash>>;

    /// Whether a file is what was written, as far as can be told before it is fetched.
    ///
    /// # Errors
    /// `NotFound` if it is not there.
    fn looks_sound(&self, file: Stored<'_>, written: &TableEntry) -> Result<bool>;

    /// Brings a file that looks sound to this machine; `None` if it is not what was written after all.
    fn fetch(&self, file: Stored<'_>, written: &TableEntry, go_on: &GoOn<'_>) -> Result<Option<Fetched>>;
}

/// A file of a snapshot on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its name.
    pub(crate) file: String,
    /// In whose folder it lies, if not in that of the snapshot.
    pub(crate) stored_in: Option<SnapshotId>,
}

/// A snapshot on its way. Unless it is published, it goes when this is dropped.
pub(crate) trait Work {
    /// Where a file of it is written.
    fn path(&self, name: &str) -> PathBuf;

    /// Brings the file that was written there to its place. With `prove`, it is read there.
    ///
    /// # Errors
    /// `Data` if it is not the same there.
    fn keep(&mut self, name: &str, hash: &FileHash, prove: bool, go_on: &GoOn<'_>) -> Result<Kept>;

    /// Uses the file that table `before` has in snapshot `of`, if it is sound and still there: with `prove`, it is read.
    fn reuse(
        &mut self,
        of: &SnapshotId,
        before: &TableEntry,
        name: &str,
        prove: bool,
        go_on: &GoOn<'_>,
    ) -> Result<Option<Kept>>;

    /// Writes down what is decided, and makes the snapshot visible with its manifest.
    ///
    /// # Errors
    /// `Conflict` if somebody else was first, or took this one for dead.
    fn publish(self: Box<Self>, manifest: &[u8], record: &Record) -> Result<()>;
}
