//! What can go wrong with a snapshot, in words for the person who has to do something about it.

use std::path::{Path, PathBuf};

use pintail_model::ErrorKind;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine or the database did not do what was asked.
    #[error(transparent)]
    Engine(#[from] pintail_lake::Error),
    /// A file or folder could not be used.
    #[error("cannot {action} `{path}`", path = path.display())]
    File {
        /// What was tried, as "write", "create folder".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The object store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] pintail_storage::Error),
    /// What is about to be replaced could not be kept, so nothing was replaced.
    #[error("{what} was not done: what it would take away could not be kept in a snapshot first")]
    Kept {
        /// What was asked.
        what: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A request that is refused, or a snapshot that is not what it should be.
    #[error("{message}")]
    Refused {
        /// What to do about it.
        kind: ErrorKind,
        /// What was asked, and why it is refused.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
}

impl Error {
    /// A refusal with a way out.
    pub(crate) fn refused(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            kind,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// For `map_err`: a file that could not be used.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::Unauthorized
                }
                _ => ErrorKind::Unavailable,
            },
            Self::Kept { source, .. } => source.kind(),
            Self::Refused { kind, .. } => *kind,
        }
    }

    /// The way out, where one is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Storage(error) => error.hint().map(str::to_owned),
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull => Some(
                    "Make room, or name another folder with `--dir`. Nothing of the snapshot is visible."
                        .to_owned(),
                ),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => Some(
                    "Snapshots lie below `--dir`; that folder has to be one that can be written to."
                        .to_owned(),
                ),
                std::io::ErrorKind::NotADirectory => Some(
                    "A part of the path is a file. Snapshots lie below `--dir`, which is a folder."
                        .to_owned(),
                ),
                _ => None,
            },
            Self::Kept { source, .. } => source.hint(),
            Self::Refused { hint, .. } => hint.clone(),
        }
    }
}
