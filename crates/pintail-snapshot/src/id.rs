//! Names of projects and snapshots. They are names of folders, so what is allowed is narrow, and checked once.

use std::fmt;

use jiff::Timestamp;
use pintail_model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::manifest::SnapshotType;

/// Letters of an id, at most: with room for what is added to it in a folder of 255.
const LETTERS_MAX: usize = 128;

/// A project: the folder that holds its snapshots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectId(String);

/// A snapshot of a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(String);

impl ProjectId {
    /// # Errors
    /// `Invalid` for a text that is no id.
    pub fn parse(text: &str) -> Result<Self> {
        checked("project", text).map(Self)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SnapshotId {
    /// # Errors
    /// `Invalid` for a text that is no id.
    pub fn parse(text: &str) -> Result<Self> {
        checked("snapshot", text).map(Self)
    }

    /// The id of a snapshot that was given none: its kind and the second it is taken in; the second one of the same second
    /// has `attempt` 2.
    #[must_use]
    pub fn generated(kind: SnapshotType, now: Timestamp, attempt: u32) -> Self {
        let prefix = match kind {
            SnapshotType::Manual => "snap",
            SnapshotType::Auto => "auto",
            SnapshotType::PreDrop => "auto_predrop",
        };
        let suffix = match attempt {
            0 | 1 => String::new(),
            more => format!("_{more}"),
        };
        Self(format!("{prefix}_{}{suffix}", now.strftime("%Y%m%d_%H%M%S")))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checked(what: &str, text: &str) -> Result<String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    if begins && text.len() <= LETTERS_MAX && text.chars().all(allowed) && !text.contains("..") {
        return Ok(text.to_owned());
    }
    let visible = |letter: char| match letter.is_control() {
        true => letter.escape_debug().to_string(),
        false => letter.to_string(),
    };
    let shown: String = text.chars().take(40).map(visible).collect();
    let more = if text.chars().count() > 40 { "…" } else { "" };
    Err(Error::refused(
        ErrorKind::Invalid,
        format!("`{shown}{more}` is not the id of a {what}"),
        format!(
            "It is the name of a folder: up to {LETTERS_MAX} of a-z, A-Z, 0-9, `_`, `-` and single dots, not a dot or dash first."
        ),
    ))
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
