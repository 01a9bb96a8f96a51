//! How the files of a table are laid out: their format, and the folders that they lie in.
//!
//! ```text
//! orders/part-….csv                                              no partitions
//! orders/order_date=2026-11-21/region=EU/part-….csv              partition_by: [order_date, region]
//! ```
//!
//! The values of a folder are in its name and not in its files, as Hive, Spark and DuckDB expect it. In the name they are
//! escaped with `%` where one of these would read something else; the manifest has them as they are.

use pintail_config::{FileFormat, Files};
use pintail_model::Column;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands for NULL in the name of a folder.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Longer names are refused by file systems.
const NAME_BYTES_MAX: usize = 255;

/// A layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    #[serde(
        default = "parquet",
        serialize_with = "write_format",
        deserialize_with = "read_format"
    )]
    pub(super) format: FileFormat,
    /// What stands between the fields of CSV.
    #[serde(default = "comma")]
    pub(super) delimiter: char,
    /// Columns whose values are folders, the outermost first.
    #[serde(default)]
    pub(super) partition_by: Vec<String>,
}

impl Layout {
    /// What a datastore asks for.
    pub(super) fn of(files: &Files) -> Self {
        Self {
            format: files.format.unwrap_or_else(parquet),
            delimiter: files.delimiter.unwrap_or_else(comma),
            partition_by: files.partition_by.clone(),
        }
    }

    /// Whether staged files can become files of the table as they are.
    pub(super) fn staged(&self) -> bool {
        self.format == FileFormat::Parquet && self.partition_by.is_empty()
    }

    /// The columns in the names of folders, the outermost first.
    pub(super) fn partitions<'a>(&self, columns: &'a [Column]) -> Vec<&'a Column> {
        let of_name = |name: &String| columns.iter().find(|column| column.name == *name);
        self.partition_by.iter().filter_map(of_name).collect()
    }

    /// The columns in the files.
    pub(super) fn inside<'a>(&self, columns: &'a [Column]) -> Vec<&'a Column> {
        let inside = |column: &&Column| !self.partition_by.contains(&column.name);
        columns.iter().filter(inside).collect()
    }

    /// How the names of files end. Lines of JSON have an end of their own: whoever reads `*/*.jsonl` does not get the
    /// manifests too.
    pub(super) fn end(&self) -> &'static str {
        match (self.format, self.delimiter) {
            (FileFormat::Csv, '\t') => "tsv",
            (FileFormat::Json, _) => "jsonl",
            (format, _) => format.word(),
        }
    }

    /// Whether files of a table can lie in these folders, the outermost first, below the table's own.
    pub(super) fn may_use(&self, folders: &[&str]) -> bool {
        let of_column = |(column, folder): (&String, &&str)| {
            folder
                .strip_prefix(&escaped(column))
                .is_some_and(|rest| rest.starts_with('='))
        };
        folders.len() == self.partition_by.len() && self.partition_by.iter().zip(folders).all(of_column)
    }

    /// The folder of rows with these values, relative to the table's: empty, or with a slash at its end. `None` if a
    /// name would be too long.
    pub(super) fn folder(&self, values: &[Option<String>]) -> Option<String> {
        let mut folder = String::new();
        for (column, value) in self.partition_by.iter().zip(values) {
            let name = format!("{}={}", escaped(column), folder_name(value.as_deref()));
            if name.len() > NAME_BYTES_MAX {
                return None;
            }
            folder.push_str(&name);
            folder.push('/');
        }
        Some(folder)
    }
}

/// A value as it stands in the name of a folder.
fn folder_name(value: Option<&str>) -> String {
    let Some(value) = value else {
        return NULL.to_owned();
    };
    let name = escaped(value);
    // Readers take both of these for NULL.
    if name == NULL || name.eq_ignore_ascii_case("null") {
        return format!("%{:02X}{}", name.as_bytes()[0], &name[1..]);
    }
    name
}

/// Escaped as Hive does it, so that letters of every alphabet stay readable.
fn escaped(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_control() || "\"#%'*/:=?\\{}[]^|<>`".contains(letter) {
            name.push_str(&format!("%{:02X}", u32::from(letter)));
        } else {
            name.push(letter);
        }
    }
    name
}

fn parquet() -> FileFormat {
    FileFormat::Parquet
}

fn comma() -> char {
    ','
}

fn write_format<S: Serializer>(format: &FileFormat, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format.word())
}

fn read_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FileFormat, D::Error> {
    let word = String::deserialize(deserializer)?;
    [FileFormat::Parquet, FileFormat::Csv, FileFormat::Json]
        .into_iter()
        .find(|format| format.word() == word)
        .ok_or_else(|| serde::de::Error::custom("no format of files"))
}
