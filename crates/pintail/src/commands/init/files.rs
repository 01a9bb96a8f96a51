//! Files that are to be written: all of them, or none, and never over another.

use std::io::Write;
use std::path::{Path, PathBuf};

use pintail_model::ErrorKind;

use crate::diagnostics::Diagnostic;

/// Names below the folder of the project, and texts.
#[derive(Debug, Default)]
pub(super) struct Drafts(Vec<(String, String)>);

impl Drafts {
    pub(super) fn add(&mut self, name: impl Into<String>, text: String) {
        self.0.push((name.into(), text));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// `Conflict` names every file that is there already. After an error nothing of it is there.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Diagnostic> {
        let taken: Vec<String> = self
            .names()
            .map(|name| folder.join(name))
            .filter(|path| path.symlink_metadata().is_ok())
            .map(|path| format!("`{}`", path.strip_prefix(".").unwrap_or(&path).display()))
            .collect();
        if !taken.is_empty() {
            return Err(Diagnostic::new(
                ErrorKind::Conflict,
                format!(
                    "nothing was written, because it would overwrite {}",
                    taken.join(", ")
                ),
            )
            .hint("Name another folder, or move these files away."));
        }
        let mut made = Made::default();
        for (name, text) in &self.0 {
            made.file(&folder.join(name), text)
                .map_err(|(path, error)| failed(&path, &error))?;
        }
        made.keep();
        Ok(())
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Diagnostic {
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::Unauthorized
        }
        std::io::ErrorKind::AlreadyExists => ErrorKind::Conflict,
        _ => ErrorKind::Unavailable,
    };
    Diagnostic::new(
        kind,
        format!("cannot write `{}`: nothing was written", path.display()),
    )
    .cause(error.to_string())
}

/// What was made so far. It goes again, unless it is kept.
#[derive(Default)]
struct Made {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Made {
    /// Writes a file that is whole from its first moment on, and that nobody else has made meanwhile.
    fn file(&mut self, path: &Path, text: &str) -> Result<(), (PathBuf, std::io::Error)> {
        let folder = path.parent().unwrap_or(Path::new(""));
        self.folder(folder)
            .map_err(|error| (folder.to_path_buf(), error))?;
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let written = tempfile::Builder::new()
            .permissions(readable())
            .tempfile_in(folder)
            .and_then(|mut file| file.write_all(text.as_bytes()).map(|()| file))
            .and_then(|file| file.persist_noclobber(path).map_err(|error| error.error));
        written.map_err(|error| (path.to_path_buf(), error))?;
        self.files.push(path.to_path_buf());
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> std::io::Result<()> {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        for folder in missing.into_iter().rev() {
            std::fs::create_dir(folder)?;
            self.folders.push(folder.to_path_buf());
        }
        Ok(())
    }

    fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }
}

/// Temporary files are their maker's alone; these are for everybody, as far as the user's own mask lets them.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

impl Drop for Made {
    fn drop(&mut self) {
        // Best effort: what stays says so by being there when it is tried again.
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}
