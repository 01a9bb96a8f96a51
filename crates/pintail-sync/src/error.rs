//! What can go wrong in a sync, in words for the person who has to do something about it.

use std::path::PathBuf;

use pintail_lake::{Error as LakeError, FaultClass};
use pintail_model::{ErrorKind, TableName};

use crate::columns::ColumnProblem;
use crate::spec::Unbuilt;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a sync.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Columns that cannot be carried as asked: all of them.
    #[error("cannot read table \"{table}\" as asked: {}", list(problems))]
    Columns {
        /// The table of the source.
        table: TableName,
        /// One entry a column.
        problems: Vec<ColumnProblem>,
    },
    /// Something that was chosen and is not built yet.
    #[error("{}", unbuilt(what))]
    NotBuilt {
        /// What it is.
        what: Vec<Unbuilt>,
    },
    /// Another run of the same pipeline holds its lock.
    #[error("pipeline `{pipeline}` is already running{}", holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default())]
    AlreadyRunning {
        /// The pipeline.
        pipeline: String,
        /// Who holds the lock, as far as it said.
        holder: Option<String>,
    },
    /// Rows without a cursor, where the policy is to stop.
    #[error("cannot follow table \"{table}\": the cursor column `{column}` is NULL in {}", counted(*rows))]
    NullCursor {
        /// The table of the source.
        table: TableName,
        /// The cursor.
        column: String,
        /// How many.
        rows: u64,
    },
    /// A value that cannot be carried.
    #[error("cannot read {} of table \"{table}\", partition `{partition}`: a value has no lossless home", column.as_ref().map_or_else(|| "a column".to_owned(), |column| format!("column `{column}`")))]
    Value {
        /// The table of the source.
        table: TableName,
        /// The column, where it could be found.
        column: Option<String>,
        /// The partition.
        partition: String,
        /// DuckDB's answer.
        #[source]
        source: Box<LakeError>,
    },
    /// A column that was declared to hold no NULL holds some.
    #[error(
        "column `{column}` of table \"{table}\" is declared `nullable: false`, and is NULL in {} of partition `{partition}`",
        counted(*rows)
    )]
    UnexpectedNull {
        /// The table of the source.
        table: TableName,
        /// The column of the destination.
        column: String,
        /// The partition.
        partition: String,
        /// How many.
        rows: u64,
    },
    /// A join that finds several rows for one.
    #[error(
        "table \"{table}\" as it is joined has {} with more than one row",
        if *keys == 1 { format!("1 key (`{}`)", key.join("`, `")) } else { format!("{keys} keys (`{}`)", key.join("`, `")) }
    )]
    KeysTwice {
        /// The table of the source.
        table: TableName,
        /// The key in the destination.
        key: Vec<String>,
        /// How many keys.
        keys: u64,
    },
    /// Groups that no key tells apart.
    #[error(
        "{} no value in key ({}) of table \"{table}\"",
        if *groups == 1 { "1 group has".to_owned() } else { format!("{groups} groups have") },
        key.join(", ")
    )]
    GroupsWithoutValue {
        /// The table.
        table: String,
        /// What they are grouped by.
        key: Vec<String>,
        /// How many.
        groups: u64,
    },
    /// A changed row, where rows are only ever added.
    #[error(
        "{} of partition `{partition}` would change table \"{table}\", and `supports_update: false` says that rows are only ever added to it",
        counted(*rows)
    )]
    Update {
        /// The table of the destination.
        table: TableName,
        /// The partition.
        partition: String,
        /// How many.
        rows: u64,
    },
    /// A partition whose rows could not be placed.
    #[error("cannot commit partition `{partition}`")]
    Partition {
        /// The partition.
        partition: String,
        /// Why.
        #[source]
        source: LakeError,
    },
    /// The state file could not be used.
    #[error("cannot {action} state `{path}`")]
    State {
        /// What was tried.
        action: &'static str,
        /// The state file.
        path: PathBuf,
        /// SQLite's answer.
        #[source]
        source: rusqlite::Error,
    },
    /// A file or folder could not be used.
    #[error("cannot {action} `{path}`")]
    File {
        /// What was tried, as "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// An engine or a lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A request that can be refused without trying.
    #[error("{message}")]
    Refused {
        /// What to do about it.
        kind: ErrorKind,
        /// What was asked, and why it is refused.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The run's time is up. Never leaves this crate: a run that pauses is no failure.
    #[error("the time of pipeline `{pipeline}` is up")]
    TimeUp {
        /// The pipeline.
        pipeline: String,
    },
    /// The run was stopped on request, between two commits.
    #[error("pipeline `{pipeline}` was stopped on request")]
    Stopped {
        /// The pipeline.
        pipeline: String,
    },
}

impl Error {
    /// A refusal with a way out.
    pub(crate) fn refused(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            kind,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Columns { problems, .. } if problems.iter().all(|problem| problem.unknown) => {
                ErrorKind::NotFound
            }
            Self::Columns { .. } | Self::NotBuilt { .. } => ErrorKind::Invalid,
            Self::AlreadyRunning { .. } => ErrorKind::Conflict,
            Self::NullCursor { .. }
            | Self::Value { .. }
            | Self::UnexpectedNull { .. }
            | Self::KeysTwice { .. }
            | Self::GroupsWithoutValue { .. }
            | Self::Update { .. } => ErrorKind::Data,
            Self::Partition { source, .. } => source.kind(),
            Self::State { source, .. } => state_kind(source),
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::Unauthorized
                }
                _ => ErrorKind::Unavailable,
            },
            Self::Lake(error) => error.kind(),
            Self::Refused { kind, .. } => *kind,
            Self::Stopped { .. } | Self::TimeUp { .. } => ErrorKind::Cancelled,
        }
    }

    /// Whether it is worth trying again: see [`LakeError::transient`].
    #[must_use]
    pub fn transient(&self) -> bool {
        match self {
            Self::Lake(error) | Self::Partition { source: error, .. } => error.transient(),
            _ => false,
        }
    }

    /// The way out, where one is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Columns { problems, .. } => {
                // Most hints of one table are the same: each is said once.
                let mut hints: Vec<&str> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
                hints.dedup();
                (!hints.is_empty()).then(|| hints.join("\n"))
            }
            Self::NotBuilt { .. } => Some("Choose another strategy with `--strategy`, or take it out of the pipeline.".to_owned()),
            Self::AlreadyRunning { .. } => Some("Wait for it to end. Its state can be read with `pintail state show`.".to_owned()),
            Self::NullCursor { .. } => Some(
                "Fill the column, or set `null_cursor` of the strategy: `include` reads these rows with every run, \
                 `skip` leaves them out."
                    .to_owned(),
            ),
            Self::Value { .. } => Some(
                "Nothing was committed. Declare another `data_type` for the column in `column_map` (`text` carries \
                 every value), or correct the value in the source."
                    .to_owned(),
            ),
            Self::UnexpectedNull { .. } => Some("Nothing was committed. Take `nullable: false` out of `column_map`.".to_owned()),
            Self::KeysTwice { .. } => Some(
                "It was not committed. Make the join find one row at most, or name the columns that tell the rows apart \
                 with `roles: [unique_column]` in `column_map`."
                    .to_owned(),
            ),
            Self::GroupsWithoutValue { .. } => Some(
                "Groups whose rows may go are compared as copies then; where rows stay that are gone (`policy: soft` or `ignore`), \
                 group by expressions that are never NULL, like `coalesce(user_id, 0)`."
                    .to_owned(),
            ),
            Self::Update { .. } => Some(
                "It was not committed. Take `supports_update: false` out of the pipeline to let rows change.".to_owned(),
            ),
            Self::Partition { source, .. } => source.hint(),
            Self::Lake(error) => error.hint(),
            Self::Refused { hint, .. } => hint.clone(),
            Self::Stopped { .. } => Some("Start it again: it goes on where it was stopped.".to_owned()),
            Self::State { .. } | Self::File { .. } | Self::TimeUp { .. } => None,
        }
    }

    /// Whether somebody else committed after what a change was worked out from: it is to be worked out again.
    pub(crate) fn overtaken(&self) -> bool {
        matches!(
            self,
            Self::Lake(LakeError::Overtaken { .. })
                | Self::Partition {
                    source: LakeError::Overtaken { .. },
                    ..
                }
        )
    }

    /// Whether this is a value that a scan could not carry.
    pub(crate) fn value_fault(error: &LakeError) -> bool {
        matches!(error, LakeError::Statement { source, .. } if source.class == FaultClass::Value)
    }
}

fn state_kind(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::PermissionDenied) => {
            ErrorKind::Unauthorized
        }
        Some(rusqlite::ErrorCode::NotADatabase) => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

fn counted(rows: u64) -> String {
    match rows {
        1 => "1 row".to_owned(),
        _ => format!("{rows} rows"),
    }
}

fn list(problems: &[ColumnProblem]) -> String {
    problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

fn unbuilt(what: &[Unbuilt]) -> String {
    what.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
