//! DuckDB's official extensions: where they are looked for, and how they are loaded.
//!
//! Order: an explicit folder (`PINTAIL_EXTENSION_DIR` or the configuration), what DuckDB has installed already,
//! `INSTALL` from the official repository. The signature of each file is checked, by DuckDB or as [`crate::signature`] says,
//! and unsigned extensions stay off, so where a file came from does not matter.

use std::path::{Path, PathBuf};

pub use crate::signature::is_signed;

/// The version of DuckDB that is compiled in, which extensions must match.
pub const DUCKDB_VERSION: &str = "1.5.5";

/// An official extension, by its file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Extension(pub &'static str);

/// The lake format.
pub const DUCKLAKE: Extension = Extension("ducklake");
/// Reads and writes PostgreSQL; also carries Postgres catalogues.
pub const POSTGRES: Extension = Extension("postgres_scanner");
/// Reads and writes MySQL and MariaDB.
pub const MYSQL: Extension = Extension("mysql_scanner");
/// Reads and writes SQLite; also carries SQLite catalogues.
pub const SQLITE: Extension = Extension("sqlite_scanner");
/// Reads and writes files in object stores.
pub const HTTPFS: Extension = Extension("httpfs");

/// Where an extension was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file in the explicit folder.
    Folder(PathBuf),
    /// A file that DuckDB has installed.
    Installed(PathBuf),
    /// Nowhere: it would be fetched from the official repository.
    Nowhere,
}

impl Extension {
    /// Looks for the extension without loading it.
    #[must_use]
    pub fn find(self, explicit: Option<&Path>) -> Found {
        let file = format!("{}.duckdb_extension", self.0);
        if let Some(folder) = explicit {
            for candidate in [
                folder.join(&file),
                folder
                    .join(format!("v{DUCKDB_VERSION}"))
                    .join(platform())
                    .join(&file),
            ] {
                if candidate.is_file() {
                    return Found::Folder(candidate);
                }
            }
        }
        match installed_folder().map(|folder| folder.join(&file)) {
            Some(path) if path.is_file() => Found::Installed(path),
            _ => Found::Nowhere,
        }
    }

    /// The folders in which [`Extension::find`] looks.
    pub(crate) fn searched(explicit: Option<&Path>) -> Vec<PathBuf> {
        explicit
            .map(Path::to_path_buf)
            .into_iter()
            .chain(installed_folder())
            .collect()
    }
}

/// DuckDB's own extension folder for this version and platform.
fn installed_folder() -> Option<PathBuf> {
    let home = std::env::var_os("HOME")?;
    Some(
        Path::new(&home)
            .join(".duckdb/extensions")
            .join(format!("v{DUCKDB_VERSION}"))
            .join(platform()),
    )
}

/// The platform's name in DuckDB's folders.
#[must_use]
pub fn platform() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "osx_arm64",
        ("macos", _) => "osx_amd64",
        (_, "aarch64") => "linux_arm64",
        _ => "linux_amd64",
    }
}
