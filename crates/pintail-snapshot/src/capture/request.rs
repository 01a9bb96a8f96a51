//! What a snapshot is asked to be, and what it became.

use pintail_model::TableName;

use crate::id::SnapshotId;
use crate::manifest::{Manifest, SnapshotType};

/// ZSTD as DuckDB chooses it by itself.
pub const COMPRESSION_LEVEL: u8 = 3;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The name; made of type and time if there is none.
    pub id: Option<SnapshotId>,
    /// The branch of the project. Default `main`.
    pub branch: String,
    /// These tables only. Default: all, and what stands beside them.
    pub tables: Vec<TableName>,
    /// Why it is taken.
    pub snapshot_type: SnapshotType,
    /// In somebody's words.
    pub description: Option<String>,
    /// Who takes it.
    pub created_by: String,
    /// Whether it is kept until somebody releases it.
    pub hold: bool,
    /// Whether files are read back before the snapshot counts. It costs about a third of the time, and without it the snapshot
    /// says `unproven`.
    pub read_back: bool,
    /// Level of ZSTD, 1 to 22. Default 3: higher ones take much longer for a few percent.
    pub compression_level: u8,
    /// Write files also of a lake, instead of pinning its snapshot: the files outlive the lake.
    pub export: bool,
}

impl Default for CreateRequest {
    fn default() -> Self {
        Self {
            id: None,
            branch: "main".to_owned(),
            tables: Vec::new(),
            snapshot_type: SnapshotType::Manual,
            description: None,
            created_by: String::new(),
            hold: false,
            read_back: true,
            compression_level: COMPRESSION_LEVEL,
            export: false,
        }
    }
}

/// A snapshot that was taken.
#[derive(Debug, Clone)]
pub struct Created {
    /// What it is.
    pub manifest: Manifest,
    /// SHA-256 that stands at the end of the manifest.
    pub manifest_sha256: String,
}
