//! The local folder in which runs stage files for a database: `<stage>/<place>/<run>/`.

use std::path::{Path, PathBuf};

use pintail_model::checksum::bytes_word;
use pintail_model::{RunId, TableName};

use super::Database;
use crate::error::{Error, Result};
use crate::lake::StageFolder;
use crate::sweep::{SweepPolicy, Swept};

/// Makes the folder of a run.
pub(super) fn make(database: &Database, table: &TableName, run: &RunId) -> Result<StageFolder> {
    let path = folder(database, table).join(run.as_str());
    std::fs::create_dir_all(&path).map_err(|source| Error::File {
        action: "create folder",
        path: path.clone(),
        source,
    })?;
    Ok(StageFolder { path })
}

/// The folder of a table: what is staged for another one is not ours to remove.
fn folder(database: &Database, table: &TableName) -> PathBuf {
    let reader = database.writer().reader();
    let table = database.writer().resolve(table);
    let name = format!("{} {}\0{}", reader.identity(), table.schema_or(""), table.table);
    let word = bytes_word(name.as_bytes());
    database.place().stage.join(format!("{word:016x}"))
}

/// Removes what runs left there: nothing refers to a staged file of a run that is over.
pub(super) fn sweep(database: &Database, table: &TableName, policy: &SweepPolicy) -> Result<Swept> {
    let folder = folder(database, table);
    let mut swept = Swept::default();
    let Ok(runs) = std::fs::read_dir(&folder) else {
        return Ok(swept);
    };
    for run in runs.filter_map(std::result::Result::ok) {
        let own = policy
            .own_runs
            .iter()
            .any(|own| run.file_name().to_str() == Some(own.as_str()));
        sweep_run(&run.path(), own, policy, &mut swept)?;
        // It stays if a file of it does.
        let _ = std::fs::remove_dir(run.path());
    }
    let _ = std::fs::remove_dir(&folder);
    Ok(swept)
}

fn sweep_run(run: &Path, own: bool, policy: &SweepPolicy, swept: &mut Swept) -> Result<()> {
    let Ok(files) = std::fs::read_dir(run) else {
        return Ok(());
    };
    for file in files.filter_map(std::result::Result::ok) {
        let Ok(found) = file.metadata() else {
            continue;
        };
        let age = found
            .modified()
            .ok()
            .and_then(|at| at.elapsed().ok())
            .unwrap_or_default();
        if own || policy.older_than.is_some_and(|limit| age >= limit) {
            std::fs::remove_file(file.path()).map_err(|source| Error::File {
                action: "remove",
                path: file.path(),
                source,
            })?;
            swept.files += 1;
            swept.bytes += found.len();
        }
    }
    Ok(())
}
