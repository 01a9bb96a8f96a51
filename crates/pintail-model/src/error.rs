//! The eight kinds of error that leave a crate. A kind says what the reader has to do, not what went wrong inside.

use serde::{Deserialize, Serialize};

/// What to do about an error. Every crate's error type maps itself to one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request or the configuration is wrong: change it.
    Invalid,
    /// A named object does not exist: check the name.
    NotFound,
    /// Credentials or permissions were refused: fix them.
    Unauthorized,
    /// Somebody else holds or changed the object: wait, or decide who goes first.
    Conflict,
    /// A system cannot be reached or is short of a resource: try again later.
    Unavailable,
    /// The data itself cannot be carried as asked: look at the named table, column and partition.
    Data,
    /// The work was stopped on request: start it again when wanted.
    Cancelled,
    /// A fault of Pintail: report it.
    Internal,
}

impl ErrorKind {
    /// The process exit code of this kind, as documented in `docs/exit-codes.md`.
    ///
    /// 1 is an internal fault and 2 what command-line parsers use for bad usage; 7 is left for a parity
    /// mismatch, which is a finding and not an error, 8 for a pipeline that is already running, which a scheduler
    /// may take for no error at all; 130 is what a shell reports for an interrupt.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Invalid => 2,
            Self::NotFound => 3,
            Self::Unauthorized => 4,
            Self::Unavailable => 5,
            Self::Data => 6,
            Self::Conflict => 9,
            Self::Cancelled => 130,
        }
    }

    /// The kind as it appears in logs and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Unauthorized => "unauthorized",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Data => "data",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// The exit code of a run whose two sides differ.
pub const EXIT_PARITY_MISMATCH: u8 = 7;

/// The exit code of a run whose pipeline is already running.
pub const EXIT_ALREADY_RUNNING: u8 = 8;

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
