//! Where runs keep what they remember and report.

use std::path::{Path, PathBuf};

/// The folders of a project's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolders {
    /// The state, and the locks beside it.
    pub state: PathBuf,
    /// A folder of logs for each pipeline.
    pub logs: PathBuf,
    /// A folder of reports for each pipeline.
    pub metrics: PathBuf,
}

impl DataFolders {
    /// All of them in one folder, as `data/` beside a pipeline file.
    pub fn below(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self {
            state: folder.to_path_buf(),
            logs: folder.join("logs"),
            metrics: folder.join("metrics"),
        }
    }
}
