//! Who is told how far the work is.

/// What is done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is compared with an earlier snapshot.
    Comparing,
    /// It is written to its file.
    Writing,
    /// Its file is read back.
    Proving,
    /// Its file is checked against its hash.
    Checking,
    /// It is filled from its file.
    Restoring,
    /// What was filled is read again.
    Verifying,
}

impl Step {
    /// As in "writing shop.orders".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Comparing => "comparing",
            Self::Writing => "writing",
            Self::Proving => "reading back",
            Self::Checking => "checking",
            Self::Restoring => "restoring",
            Self::Verifying => "verifying",
        }
    }
}

/// Is told how far the work is, by any thread.
pub trait Progress: Sync {
    /// So many tables or files are to be done.
    fn began(&self, tables: u64) {
        let _ = tables;
    }

    /// Something else is done now.
    fn step(&self, step: Step, table: &str) {
        let _ = (step, table);
    }

    /// One of them is done.
    fn done(&self, table: &str) {
        let _ = table;
    }
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Progress for Unwatched {}
