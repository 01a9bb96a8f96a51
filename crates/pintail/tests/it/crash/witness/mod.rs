//! Somebody who was not there looks at the destination, with an engine of their own.

mod database;
mod files;
mod lake;

use std::path::{Path, PathBuf};

pub(crate) use self::database::{DatabaseWitness, Names};
pub(crate) use self::files::FilesWitness;
pub(crate) use self::lake::LakeWitness;
use super::orders::Orders;

/// Looks at a destination that exists.
pub(crate) trait Witness {
    /// Every row; none of a table that does not exist.
    #[track_caller]
    fn orders(&self) -> Orders;

    /// Fails if a partition came in twice.
    #[track_caller]
    fn assert_once(&self, context: &str);

    /// Fails if a run that ended well left something behind that nobody needs.
    #[track_caller]
    fn assert_nothing_left(&self, context: &str);

    /// Fails if something is left when everything that can be cleaned up was.
    #[track_caller]
    fn assert_swept(&self, context: &str);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            if path.is_dir() { &mut folders } else { &mut files }.push(path);
        }
    }
    files
}
