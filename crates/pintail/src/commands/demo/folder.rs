//! The folder of a demo: what lies in it, and how it is told from anybody else's.

use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};

use pintail_model::ErrorKind;

use crate::diagnostics::Diagnostic;

/// The file that says that a demo made the folder, and may make it anew.
const MARKER: &str = ".pintail-demo";

/// Everything that a demo leaves in its folder. Nothing else is ever removed.
const OWN: &[&str] = &[
    "shop.db",
    "shop.db-wal",
    "shop.db-shm",
    "shop.db-journal",
    "lake.sqlite",
    "lake.sqlite-wal",
    "lake.sqlite-shm",
    "lake.sqlite-journal",
    "lake",
    "data",
    "datastores.yaml",
    "pipeline.yaml",
];

/// The name of the delta in the demo's pipeline.
pub(super) const DELTA: &str = "changes";

/// The name of its full load.
pub(super) const FULL: &str = "everything";

/// The folder of a demo.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, or empties the one that an earlier demo made.
    pub(super) fn make(path: &Path) -> Result<Self, Diagnostic> {
        let folder = Self {
            path: path.to_path_buf(),
        };
        if folder.occupied()? {
            return Err(Diagnostic::new(
                ErrorKind::Conflict,
                format!("folder `{}` holds files that no demo made", path.display()),
            )
            .hint("Name another folder with `--dir`."));
        }
        std::fs::create_dir_all(path).map_err(|error| failed("create folder", path, &error))?;
        folder.write(
            MARKER,
            "Made by `pintail demo`, which removes its own files here when it is run again.\n",
        )?;
        for name in OWN {
            let path = folder.path.join(name);
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() != IoKind::NotFound => {
                    return Err(failed("remove", &path, &error));
                }
                _ => {}
            }
        }
        Ok(folder)
    }

    /// Whether the folder has files and no marker.
    fn occupied(&self) -> Result<bool, Diagnostic> {
        match std::fs::read_dir(&self.path) {
            Ok(mut entries) => Ok(entries.next().is_some() && !self.path.join(MARKER).is_file()),
            Err(error) if error.kind() == IoKind::NotFound => Ok(false),
            Err(error) => Err(failed("read folder", &self.path, &error)),
        }
    }

    /// Writes `datastores.yaml` and `pipeline.yaml`. A partition of a delta is a hundredth of the shop.
    pub(super) fn write_configuration(&self, rows: u64) -> Result<(), Diagnostic> {
        self.write("datastores.yaml", include_str!("datastores.yaml"))?;
        let pipeline = include_str!("pipeline.yaml").replace("{step}", &(rows / 100).to_string());
        self.write("pipeline.yaml", &pipeline)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Diagnostic> {
        let path = self.path.join(name);
        std::fs::write(&path, text).map_err(|error| failed("write", &path, &error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn shop(&self) -> PathBuf {
        self.path.join("shop.db")
    }

    pub(super) fn pipeline(&self) -> PathBuf {
        self.path.join("pipeline.yaml")
    }

    /// The lake's address, as it is typed.
    pub(super) fn lake(&self) -> String {
        let path = self.path.display();
        format!("ducklake:sqlite:{path}/lake.sqlite?data_path={path}/lake")
    }
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> Diagnostic {
    let kind = match error.kind() {
        IoKind::PermissionDenied | IoKind::ReadOnlyFilesystem => ErrorKind::Unauthorized,
        _ => ErrorKind::Unavailable,
    };
    Diagnostic::new(kind, format!("cannot {action} `{}`", path.display())).cause(error.to_string())
}
