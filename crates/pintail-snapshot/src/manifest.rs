//! `metadata.json`: what a snapshot is. It is written once, last of all, and never changes afterwards; what is decided about a
//! snapshot later (holds, retention, deletion) stands elsewhere.
//!
//! Its last field, `manifest_sha256`, is the SHA-256 of everything in front of it. So a flipped bit and an edit by hand are
//! found by looking at the manifest alone.

use jiff::Timestamp;
use pintail_model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::file_hash;
use crate::id::{ProjectId, SnapshotId};

/// The file's name, in the folder of a snapshot.
pub const FILE_NAME: &str = "metadata.json";

/// The newest format that this release knows. It reads this one and all before.
pub const FORMAT_VERSION: u32 = 2;

/// The format of a snapshot whose tables are all in files beside its manifest, which releases before this one read too.
pub(crate) const FORMAT_OF_FILES: u32 = 1;

/// Why a snapshot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotType {
    /// Somebody asked for it.
    Manual,
    /// In front of something that replaces rows.
    Auto,
    /// In front of something that takes a table or a column away.
    PreDrop,
}

/// How far a snapshot was proven when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Every file was read back, and its rows were those that had been read; of a table that is pinned, its rows were read in
    /// the state that is pinned.
    ReadBack,
    /// Nobody looked.
    Unproven,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1 if all tables are in files beside it, 2 if some lie elsewhere, or are pinned.
    pub format_version: u32,
    /// Its name, and that of its folder.
    pub snapshot_id: SnapshotId,
    /// The project that it belongs to.
    pub project_id: ProjectId,
    /// The branch of the project.
    pub branch: String,
    /// When it was taken, to the millisecond.
    pub created_at: Timestamp,
    /// Who took it.
    pub created_by: String,
    /// Why.
    #[serde(rename = "type")]
    pub snapshot_type: SnapshotType,
    /// In somebody's words.
    pub description: Option<String>,
    /// The snapshot that was the newest of the project before.
    pub parent: Option<SnapshotId>,
    /// How far it was proven.
    pub proof: Proof,
    /// What it was taken of.
    pub source: SourceInfo,
    /// What took it.
    pub engine: EngineInfo,
    /// The tables, by bucket and name.
    pub tables: Vec<TableEntry>,
    /// What stands beside the tables, in an order in which it can be made again: types, sequences and macros before the
    /// tables, views after them.
    pub objects: Vec<DatabaseObject>,
    /// What could not be kept, in words.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a snapshot was taken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// `duckdb` or `ducklake`.
    pub system: String,
    /// The database, without secrets.
    pub address: String,
    /// The format of the database file.
    pub storage_version: Option<String>,
    /// The snapshot of the lake that was read.
    pub lake_snapshot: Option<i64>,
    /// What keeps that one from expiring: the name of a pin in the lake. Tables without a file are read there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// What took a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Version of DuckDB.
    pub duckdb: String,
    /// Version of Pintail.
    pub pintail: String,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Its schema.
    pub bucket: String,
    /// Its name.
    pub table: String,
    /// Its file, beside the manifest. Empty, and not in JSON, if the table is [pinned](TableEntry::pinned).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The snapshot beside whose manifest the file lies, if not beside this one: in a bucket, where a file has one name only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_in: Option<SnapshotId>,
    /// Rows.
    pub row_count: u64,
    /// Bytes of the file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_bytes: u64,
    /// SHA-256 of the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// Sum of the hashes of its rows, whatever their order: version and 128 bits, as `pintail-model::checksum` says. It is
    /// taken of the columns that are in the file, in the types that they have there. Empty, and not in JSON, if a table was
    /// pinned and nobody looked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value_hash: String,
    /// The snapshot that wrote the file, or read the rows that are pinned, if the table was the same then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<SnapshotId>,
    /// Columns and key.
    pub schema: TableSchema,
    /// The statement that makes it, with all constraints and defaults.
    pub ddl: String,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its indexes.
    #[serde(default)]
    pub indexes: Vec<IndexEntry>,
}

impl TableEntry {
    /// `bucket.table`, for people.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.bucket, self.table)
    }

    /// Whether its rows are in the lake that it was taken of, in the snapshot that is pinned there.
    #[must_use]
    pub fn pinned(&self) -> bool {
        self.file.is_empty()
    }

    /// Memory that its keys and indexes take while they are made, about: DuckDB keeps them as a whole.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        let schema = &self.schema;
        let number = |name: &String| {
            let column = schema.columns.iter().find(|column| column.name == *name);
            column.is_some_and(|column| {
                column.data_type.ends_with("INT") || column.data_type.ends_with("INTEGER")
            })
        };
        let key = match schema.primary_key.as_slice() {
            [] => 0,
            [only] if number(only) => NUMBER_BYTES,
            _ => TEXT_BYTES,
        };
        let unique = crate::ddl::unquoted(&self.ddl).matches(" UNIQUE").count();
        let others = (unique + schema.foreign_keys.len() + self.indexes.len()) as u64;
        self.row_count
            .saturating_mul(key + others.saturating_mul(TEXT_BYTES))
    }
}

/// Bytes of an index, by row, about. Measured: 20 million integers take between 250 and 500 MB.
const NUMBER_BYTES: u64 = 16;

/// The same for texts and for several columns, which an index keeps as a whole.
const TEXT_BYTES: u64 = 48;

/// Columns and key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// The columns, in order.
    pub columns: Vec<ColumnEntry>,
    /// Columns of the primary key; empty if there is none.
    pub primary_key: Vec<String>,
    /// Other tables of the bucket that have to be there first.
    #[serde(default)]
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEntry {
    /// Its name.
    pub name: String,
    /// Its type, in DuckDB's spelling.
    #[serde(rename = "type")]
    pub data_type: String,
    /// The type that it has in the file, where Parquet would not have kept its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_as: Option<String>,
    /// Whether it is computed from others, and so not in the file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub generated: bool,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Columns of the table.
    pub columns: Vec<String>,
    /// The other table, of the same bucket.
    pub references: String,
    /// Its columns.
    pub referenced_columns: Vec<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its name.
    pub name: String,
    /// The statement that makes it.
    pub ddl: String,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What kind of thing stands beside the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A type.
    Type,
    /// A sequence. It is made to go on where it was.
    Sequence,
    /// A macro that gives a value.
    Macro,
    /// A macro that gives a table.
    TableMacro,
    /// A view.
    View,
}

impl ObjectKind {
    /// The word for it in SQL.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Sequence => "sequence",
            Self::Macro => "macro",
            Self::TableMacro => "macro table",
            Self::View => "view",
        }
    }
}

/// Something that stands beside the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Its schema.
    pub bucket: String,
    /// Its name.
    pub name: String,
    /// The statement that makes it.
    pub ddl: String,
    /// Where a sequence goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_value: Option<i64>,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The sequences and macros that statements name, and those that these macros name in turn. A name that stands in a statement
/// may mean something else there: then one is made that nobody needs.
pub(crate) fn needed<'a>(objects: &'a [DatabaseObject], statements: &[&str]) -> Vec<&'a DatabaseObject> {
    let mut texts: Vec<String> = statements
        .iter()
        .map(|statement| statement.to_lowercase())
        .collect();
    let mut chosen = vec![false; objects.len()];
    loop {
        let next = objects.iter().zip(&chosen).position(|(object, chosen)| {
            // DuckDB compares names without regard to case.
            let name = object.name.to_lowercase();
            let kind = matches!(object.kind, ObjectKind::Sequence | ObjectKind::Macro);
            !chosen && kind && texts.iter().any(|text| text.contains(&name))
        });
        let Some(next) = next else { break };
        chosen[next] = true;
        texts.push(objects[next].ddl.to_lowercase());
    }
    let chosen = objects.iter().zip(chosen).filter(|(_, chosen)| *chosen);
    chosen.map(|(object, _)| object).collect()
}

/// What stands between the manifest and its own hash.
const SEAL: &str = ",\n  \"manifest_sha256\": \"";

/// What follows the hash.
const END: &str = "\"\n}\n";

impl Manifest {
    /// The file, and its hash.
    pub(crate) fn seal(&self) -> (Vec<u8>, String) {
        let text = serde_json::to_string_pretty(self).expect("a manifest has a JSON form");
        let body = text.strip_suffix("\n}").expect("it is an object with fields");
        let hash = file_hash::of_bytes(body.as_bytes());
        (format!("{body}{SEAL}{hash}{END}").into_bytes(), hash)
    }

    /// Reads a file, and its hash; `place` names it in errors.
    ///
    /// # Errors
    /// `Invalid` for a newer format, `Data` for what is not what was written.
    pub(crate) fn read(content: &[u8], place: &str) -> Result<(Self, String)> {
        let changed = |why: &str| {
            Error::refused(
                ErrorKind::Data,
                format!("cannot use manifest `{place}`: {why}"),
                "A manifest never changes after it was written. Put a copy of the file back, or use another snapshot: \
                 `pintail snapshot list` shows them.",
            )
        };
        let unreadable = || changed("it is no JSON of the form that was written");
        let text = std::str::from_utf8(content).map_err(|_| unreadable())?;
        let value: serde_json::Value = serde_json::from_str(text).map_err(|_| unreadable())?;
        let format = value.get("format_version").and_then(serde_json::Value::as_u64);
        if let Some(format) = format.filter(|format| *format > u64::from(FORMAT_VERSION)) {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!(
                    "cannot use manifest `{place}`: its format is {format}, and this release reads up to {FORMAT_VERSION}"
                ),
                "Use the release of Pintail that wrote it, or a newer one.",
            ));
        }
        let sealed = text.strip_suffix(END).and_then(|text| text.rsplit_once(SEAL));
        let (body, hash) = sealed.ok_or_else(unreadable)?;
        if file_hash::of_bytes(body.as_bytes()) != hash {
            return Err(changed("it was changed after it was written"));
        }
        let manifest: Self = serde_json::from_value(value).map_err(|_| unreadable())?;
        let inside = |table: &TableEntry| {
            let folder = table.stored_in.as_ref();
            !table.file.contains(['/', '\\'])
                && !table.file.starts_with('.')
                && folder.is_none_or(|folder| SnapshotId::parse(folder.as_str()).is_ok())
        };
        if !manifest.tables.iter().all(inside) {
            return Err(changed("it names a file outside of the snapshot"));
        }
        let homeless = manifest.tables.iter().any(TableEntry::pinned) && manifest.pin().is_none();
        match homeless {
            true => Err(changed("it does not say where the rows of a table are")),
            false => Ok((manifest, hash.to_owned())),
        }
    }

    /// The table, by its names as DuckDB compares them.
    #[must_use]
    pub fn table(&self, bucket: &str, table: &str) -> Option<&TableEntry> {
        self.tables.iter().find(|entry| {
            entry.bucket.eq_ignore_ascii_case(bucket) && entry.table.eq_ignore_ascii_case(table)
        })
    }

    /// The pin that its tables without files need, and the snapshot of the lake.
    #[must_use]
    pub fn pin(&self) -> Option<(&str, i64)> {
        let source = &self.source;
        source.pin.as_deref().zip(source.lake_snapshot)
    }

    /// Rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.row_count).sum()
    }

    /// [`TableEntry::index_bytes`] of all tables.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.tables.iter().map(TableEntry::index_bytes).sum()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.size_bytes).sum()
    }
}

impl SnapshotType {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Auto => "auto",
            Self::PreDrop => "pre_drop",
        }
    }
}
