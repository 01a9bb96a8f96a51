//! What went wrong, as a person sees it: the one place where errors become text.
//!
//! ```text
//! error: cannot read table "shop.orders" from `postgres://sync@db/shop`
//!   caused by: password authentication failed for user "sync"
//! hint: Check `user` and `password` of the datastore.
//! ```
//!
//! Several mistakes of a configuration are listed, each at its file, line and column. Texts come from errors that
//! carry neither secrets nor cell values, and nothing is added here that could.

use std::error::Error;
use std::fmt::Write;

use pintail_config::{LocationError, Problem, Problems};
use pintail_model::ErrorKind;
use pintail_model::error::EXIT_ALREADY_RUNNING;
use pintail_sync::columns::ColumnProblem;
use serde_json::{Value, json};

use crate::terminal::{self, Palette, Tone};

/// An error on its way to the user.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostic {
    /// What to do about it; decides the exit code, unless there is one of its own.
    pub(crate) kind: ErrorKind,
    code: Option<u8>,
    message: String,
    causes: Vec<String>,
    items: Vec<Item>,
    hints: Vec<String>,
    reported: bool,
}

/// One of several things that are wrong.
#[derive(Debug, Clone)]
struct Item {
    line: String,
    hint: Option<String>,
    json: Value,
}

impl Diagnostic {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            causes: Vec::new(),
            items: Vec::new(),
            hints: Vec::new(),
            reported: false,
        }
    }

    /// An error with its causes.
    pub(crate) fn of(error: &dyn Error, kind: ErrorKind, hint: Option<String>) -> Self {
        let mut diagnostic = Self::new(kind, error.to_string());
        let mut cause = error.source();
        while let Some(inner) = cause {
            diagnostic = diagnostic.cause(inner.to_string());
            cause = inner.source();
        }
        diagnostic.hints.extend(hint);
        diagnostic
    }

    /// The error of a snapshot that others are listed beside.
    pub(crate) fn of_snapshot(error: &pintail_snapshot::Error) -> Self {
        Self::of(error, error.kind(), error.hint())
    }

    /// The code with which the process ends.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code.unwrap_or_else(|| self.kind.exit_code())
    }

    /// Adds what lies behind it, unless that was said before.
    pub(crate) fn cause(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        let said = |earlier: &String| earlier.contains(text.trim());
        if !said(&self.message) && !self.causes.iter().any(said) {
            self.causes.push(text);
        }
        self
    }

    /// Adds to what happened.
    pub(crate) fn and(mut self, text: impl AsRef<str>) -> Self {
        self.message = format!("{}: {}", self.message, text.as_ref());
        self
    }

    /// Adds a way out.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// The same error, of which stdout has a report already.
    pub(crate) fn reported(self) -> Self {
        Self {
            reported: true,
            ..self
        }
    }

    /// Shows the error on stderr, and with `json` also as an object on stdout, unless that has a report of it.
    pub(crate) fn print(&self, json: bool) {
        terminal::say(self.render(Palette::stderr()));
        if json && !self.reported {
            let object = json!({ "status": "failed", "errors": self.count(), "error": self.as_json() });
            // The error itself was shown; one about showing it again helps nobody.
            let _ = terminal::data(format_args!("{object:#}"));
        }
    }

    /// The error in one line, without its hints.
    pub(crate) fn line(&self) -> String {
        let parts = std::iter::once(&self.message).chain(&self.causes);
        parts
            .map(|part| part.replace('\n', " "))
            .collect::<Vec<_>>()
            .join(": ")
    }

    /// The ways out in one line.
    pub(crate) fn hints(&self) -> String {
        self.hints.join(" ")
    }

    fn count(&self) -> usize {
        self.items.len().max(1)
    }

    fn as_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "message": self.message,
            "causes": self.causes,
            "hint": (!self.hints.is_empty()).then(|| self.hints.join("\n")),
            "problems": self.items.iter().map(|item| &item.json).collect::<Vec<_>>(),
        })
    }

    fn render(&self, palette: Palette) -> String {
        let mut text = format!(
            "{} {}",
            palette.paint(Tone::Failed, "error:"),
            indented(&self.message, "  ")
        );
        let hint = palette.paint(Tone::Hint, "hint:");
        for item in &self.items {
            let _ = write!(text, "\n  {}", item.line);
            if let Some(advice) = &item.hint {
                let _ = write!(text, "\n    {hint} {advice}");
            }
        }
        for cause in &self.causes {
            let _ = write!(text, "\n  caused by: {}", indented(cause, "    "));
        }
        for advice in self.hints.iter().flat_map(|hints| hints.lines()) {
            let _ = write!(text, "\n{hint} {advice}");
        }
        text
    }
}

impl From<&Problem> for Item {
    fn from(problem: &Problem) -> Self {
        Self {
            line: without_hint(problem),
            hint: problem.hint.clone(),
            json: json!({
                "file": problem.file.display().to_string(),
                "line": problem.position.map(|position| position.line),
                "column": problem.position.map(|position| position.column),
                "path": problem.path,
                "message": problem.message,
                "hint": problem.hint,
            }),
        }
    }
}

/// A problem at its place, whose hint is shown apart.
fn without_hint(problem: &Problem) -> String {
    Problem {
        hint: None,
        ..problem.clone()
    }
    .to_string()
}

/// `text` with every line but the first moved to the right.
fn indented(text: &str, by: &str) -> String {
    let mut lines = text.trim_end().lines();
    let mut moved = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        moved.push('\n');
        if !line.trim().is_empty() {
            moved.push_str(by);
            moved.push_str(line);
        }
    }
    moved
}

impl From<Problems> for Diagnostic {
    fn from(problems: Problems) -> Self {
        let kind = problems.kind();
        match problems.as_slice() {
            [only] => {
                let diagnostic = Self::new(kind, without_hint(only));
                match &only.hint {
                    Some(advice) => diagnostic.hint(advice),
                    None => diagnostic,
                }
            }
            several => Self {
                items: several.iter().map(Item::from).collect(),
                ..Self::new(
                    kind,
                    format!("found {} problems in the configuration", several.len()),
                )
            },
        }
    }
}

impl From<LocationError> for Diagnostic {
    fn from(error: LocationError) -> Self {
        let hint = error.hint.clone();
        Self::of(&error, error.kind(), hint)
    }
}

impl From<pintail_lake::Error> for Diagnostic {
    fn from(error: pintail_lake::Error) -> Self {
        Self::of(&error, error.kind(), error.hint())
    }
}

impl From<pintail_snapshot::Error> for Diagnostic {
    fn from(error: pintail_snapshot::Error) -> Self {
        Self::of_snapshot(&error)
    }
}

impl From<pintail_sync::Error> for Diagnostic {
    fn from(error: pintail_sync::Error) -> Self {
        let pintail_sync::Error::Columns { table, problems } = &error else {
            let running = matches!(error, pintail_sync::Error::AlreadyRunning { .. });
            return Self {
                code: running.then_some(EXIT_ALREADY_RUNNING),
                ..Self::of(&error, error.kind(), error.hint())
            };
        };
        let item = |problem: &ColumnProblem| Item {
            line: problem.message.clone(),
            hint: None,
            json: json!({ "column": problem.column, "message": problem.message, "hint": problem.hint }),
        };
        let list = Self {
            items: problems.iter().map(item).collect(),
            ..Self::new(error.kind(), format!("cannot read table \"{table}\" as asked"))
        };
        // Hints of columns are often the same, so they stand below the list.
        match error.hint() {
            Some(hints) => list.hint(hints),
            None => list,
        }
    }
}
