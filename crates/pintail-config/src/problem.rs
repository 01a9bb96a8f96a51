//! What is wrong with a configuration: every mistake at once, each at its file, line and column.
//!
//! ```text
//! found 2 problems in pipeline.yaml
//! pipeline.yaml:4:1: key `partition_stp` is not known
//!   hint: did you mean `partition_step`?
//! pipeline.yaml:31:16: strategies[0].page_size: expected a whole number, found the text `ten`
//! ```
//!
//! A message never contains a value that could be a secret; see [`crate::secrecy`].

use std::fmt;
use std::path::{Path, PathBuf};

use pintail_model::ErrorKind;

/// A place in a file. Both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the caller named it.
    pub file: PathBuf,
    /// Where in the file, or `None` if the file as a whole is the problem.
    pub position: Option<Position>,
    /// Which value, like `strategies[0].column`; empty for the whole document.
    pub path: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it, where we can say.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with a file as a whole.
    pub fn with_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            position: None,
            path: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    /// A problem at one place of a file.
    pub fn at(file: impl Into<PathBuf>, position: Position, message: impl Into<String>) -> Self {
        Self {
            position: Some(position),
            ..Self::with_file(file, message)
        }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(position) = self.position {
            write!(f, "{position}:")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All mistakes of one load: never empty, in the order of the files and of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Err` with all `problems` in order, or `Ok` if there are none.
    pub fn check(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
        Err(Self(problems))
    }

    /// The mistakes, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// The mistakes, to be joined with those of another file.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// A wrong configuration is always the reader's to change.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = self.0.iter().map(|problem| problem.file.as_path()).collect();
        files.dedup();
        files
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() > 1 {
            let files: Vec<String> = self
                .files()
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            writeln!(f, "found {} problems in {}", self.0.len(), files.join(" and "))?;
        }
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
