//! Which folders of a lake's data path belong to a table.
//!
//! DuckLake gives a table the folder of its name, or one with a random name if its own has other characters than
//! letters and digits of ASCII, `_` and `-`. Files for a table that is yet to be made are staged where its folder is going
//! to be, or where that cannot be told, in a folder of the table's own below `pintail-stage`. The catalogue keeps absolute
//! paths for those: such a lake cannot be moved before the table's next full load.

use std::path::{Component, Path, PathBuf};

use pintail_model::checksum::bytes_word;
use pintail_model::{ErrorKind, TableName};

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::metadata;
use crate::session::Session;

/// Below the data path.
const STAGE: &str = "pintail-stage";

/// The folder below which runs stage files for a table.
pub(crate) fn staging(lake: &Lake, session: &Session, table: &TableName) -> Result<PathBuf> {
    match own(lake, session, table)? {
        Some(folder) => Ok(folder),
        None => Ok(apart(lake, table)),
    }
}

/// All folders in which files of a table may lie that no snapshot knows.
pub(crate) fn all(lake: &Lake, session: &Session, table: &TableName) -> Result<Vec<PathBuf>> {
    let own = own(lake, session, table)?;
    let folders = own.into_iter().chain([apart(lake, table)]);
    Ok(folders.filter(|folder| lake.depot().may_have(folder)).collect())
}

/// The folder of a table, or the one that it is going to have; `None` if that cannot be told.
fn own(lake: &Lake, session: &Session, table: &TableName) -> Result<Option<PathBuf>> {
    if let Some(place) = metadata::place(lake, session, table)? {
        return inside(lake, place.folder).map(Some);
    }
    if !plain(&table.table) {
        return Ok(None);
    }
    let schema = table.schema_or("main");
    let folder = match metadata::schema_folder(lake, session, schema)? {
        Some(folder) => Some(inside(lake, folder)?),
        None => plain(schema).then(|| lake.location().data_path.join(schema)),
    };
    Ok(folder.map(|folder| folder.join(&table.table)))
}

/// Where files are staged for a table whose folder cannot be told: a name that is safe, and no other table's.
fn apart(lake: &Lake, table: &TableName) -> PathBuf {
    let name = format!("{}\0{}", table.schema_or("main"), table.table).to_ascii_lowercase();
    let readable: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    let folder = format!("{readable}-{:016x}", bytes_word(name.as_bytes()));
    lake.location().data_path.join(STAGE).join(folder)
}

/// Whether DuckLake gives the folder of this name to what has it.
fn plain(name: &str) -> bool {
    let mut letters = name.chars();
    !name.is_empty() && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

/// Refuses a folder that is not below the data path: nothing of ours is written or removed there.
fn inside(lake: &Lake, folder: PathBuf) -> Result<PathBuf> {
    let below = |rest: &Path| {
        rest.components()
            .all(|component| matches!(component, Component::Normal(_)))
    };
    let data_path = &lake.location().data_path;
    match folder.strip_prefix(data_path) {
        Ok(rest) if below(rest) => Ok(folder),
        _ => Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "folder `{}` of a table is not below the data path of lake `{}`",
                folder.display(),
                lake.location().address()
            ),
            "Pintail writes and removes files below the data path only. Make the table anew.",
        )),
    }
}
