//! What can go wrong in an engine or a lake, and what of DuckDB's words may be repeated.
//!
//! DuckDB's texts can hold cell values (a failed cast shows the value, a failed catalogue commit shows minima and
//! maxima of every column) and connection strings. A [`Fault`] therefore shows its text only for classes that
//! speak of names and files, after every registered secret was struck out. The rest is named by its class.

use std::path::PathBuf;
use std::time::Duration;

use pintail_model::ErrorKind;

use crate::mysql_answer::{self, MySqlAnswer};
use crate::unreachable::Unreachable;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of an engine or a lake.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A statement failed.
    #[error("cannot {label}")]
    Statement {
        /// What was tried, as "read table …", "attach …".
        label: String,
        /// DuckDB's answer.
        #[source]
        source: Fault,
    },
    /// A statement ran into its deadline and was interrupted.
    #[error("cannot {label}: no answer within {after:?}")]
    Deadline {
        /// What was tried.
        label: String,
        /// The deadline.
        after: Duration,
    },
    /// A statement was interrupted on request.
    #[error("stopped on request while trying to {label}")]
    Cancelled {
        /// What was tried.
        label: String,
    },
    /// An extension of DuckDB is neither installed nor to be had.
    #[error("cannot load DuckDB extension `{name}`")]
    Extension {
        /// Name of the extension.
        name: String,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
        /// DuckDB's answer to the last attempt.
        #[source]
        source: Fault,
    },
    /// A file or folder could not be used.
    #[error("cannot {action} `{path}`")]
    File {
        /// What was tried, as "write", "create folder".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// An object store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] pintail_storage::Error),
    /// A COMMIT was sent, and what became of it could not be found out.
    #[error("cannot tell whether the commit to table \"{table}\" took place")]
    Undecided {
        /// The table.
        table: String,
        /// What stood in the way of finding out.
        #[source]
        source: Box<Error>,
    },
    /// Somebody else committed after what a change was worked out from. Nothing was committed.
    #[error("another run committed to table \"{table}\" meanwhile: nothing was committed")]
    Overtaken {
        /// The table.
        table: String,
    },
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
}

impl Error {
    /// A refusal with a way out.
    pub fn refused(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
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
            Self::Statement { source, .. } => source.class.kind(),
            Self::Deadline { .. } => ErrorKind::Unavailable,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
            Self::Extension { .. } => ErrorKind::Unavailable,
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::Unauthorized
                }
                _ => ErrorKind::Unavailable,
            },
            Self::Storage(error) => error.kind(),
            Self::Undecided { source, .. } if source.kind() == ErrorKind::Cancelled => ErrorKind::Cancelled,
            Self::Undecided { .. } => ErrorKind::Unavailable,
            Self::Overtaken { .. } => ErrorKind::Conflict,
            Self::Refused { kind, .. } => *kind,
        }
    }

    /// Whether the same thing may succeed a moment later on a connection of its own: a connection broke, or nobody
    /// answered. A full disk, a deadline that somebody set and a lack of memory are `Unavailable` too, and stay.
    #[must_use]
    pub fn transient(&self) -> bool {
        match self {
            Self::Statement { source, .. } => source.class == FaultClass::Input,
            Self::Undecided { source, .. } => source.transient(),
            _ => false,
        }
    }

    /// The way out, where one is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Extension { name, .. } => Some(format!(
                "Run `scripts/setup`, or put `{name}.duckdb_extension` of DuckDB v{} into a folder and set \
                 PINTAIL_EXTENSION_DIR to it. `pintail doctor` shows what was found.",
                crate::DUCKDB_VERSION
            )),
            Self::Deadline { .. } => Some("Raise `limits.statement_timeout`.".to_owned()),
            Self::Undecided { source, .. } => {
                let again = "Run again when the catalogue answers: what is in the ledger is not committed a second time.";
                Some(match source.hint() {
                    Some(hint) => format!("{again} {hint}"),
                    None => again.to_owned(),
                })
            }
            Self::Overtaken { .. } => Some("Run it again.".to_owned()),
            Self::Refused { hint, .. } => hint.clone(),
            Self::Storage(error) => error.hint().map(str::to_owned),
            Self::Statement { source, .. } if source.class == FaultClass::Ended => Some(
                "Run again: what is in the ledger is not committed a second time. A lost connection to a Postgres \
                 catalogue can cause this; if it comes back, report it."
                    .to_owned(),
            ),
            Self::Statement { source, .. } if source.class == FaultClass::Denied => Some(
                "Grant the user what it needs, as `grant usage on schema …` and `grant select on …`: \
                 docs/connectors/ says what that is for each system."
                    .to_owned(),
            ),
            Self::Statement { source, .. } => Some(Unreachable::of(&source.text)?.hint.to_owned()),
            _ => None,
        }
    }
}

/// DuckDB's own classes of errors, as far as they matter for what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// A name is not known, or stands for something else.
    Name,
    /// A statement cannot be read.
    Syntax,
    /// A file or a network connection failed.
    Input,
    /// The disk is full.
    Full,
    /// A file or folder may not be used.
    Permission,
    /// Credentials were refused.
    Login,
    /// The user may not do this.
    Denied,
    /// A value cannot be converted, or does not fit.
    Value,
    /// A constraint was violated.
    Constraint,
    /// A transaction failed, or was refused by another one.
    Transaction,
    /// Memory ran out.
    Memory,
    /// A limit that somebody set was reached.
    Limit,
    /// The statement was interrupted.
    Interrupt,
    /// A fault inside DuckDB ended the whole engine: all of its sessions are of no use any more.
    Ended,
    /// Something is not supported, or not allowed, or of a newer version.
    Unsupported,
    /// Anything else.
    Other,
}

/// What client libraries say of a connection that is gone.
const LOST: &[&str] = &[
    "server closed the connection unexpectedly",
    "no connection to the server",
    "could not receive data from server",
    "could not send data to server",
    "connection has been closed unexpectedly",
    "terminating connection due to",
    "Lost connection to",
    "server has gone away",
];

impl FaultClass {
    fn of(text: &str) -> Self {
        if let Some(answer) = MySqlAnswer::of(text) {
            return answer.class;
        }
        let class = Self::named(text);
        if let (Self::Input, Some((refusal, _))) = (class, mysql_answer::refusal(text)) {
            return refusal;
        }
        // Why a file, a connection or a catalogue failed stands in the text. Only its end is looked at where it
        // quotes statements or values: `Failed to execute query "…": <reason>`. A value may say anything.
        let reason = match class {
            Self::Input => text,
            Self::Unsupported | Self::Transaction | Self::Ended | Self::Other => {
                text.rsplit("\": ").next().unwrap_or_default()
            }
            _ => return class,
        };
        let has = |part: &str| reason.contains(part);
        // An index has to lie in memory, and is made when its transaction commits.
        if has("failed to pin block of size") || has("could not allocate block of size") {
            return Self::Memory;
        }
        if has("No space left on device")
            || has("File too large")
            || has("disk full")
            || has("database or disk is full")
        {
            return Self::Full;
        }
        if has("Permission denied") || has("Read-only file system") || has("readonly database") {
            return Self::Permission;
        }
        if has("permission denied for") {
            return Self::Denied;
        }
        if has("FATAL:") && has("database \"") && has("does not exist") {
            return Self::Name;
        }
        let unknown_role = has("FATAL:") && has("role \"") && has("does not exist");
        if has("authentication failed")
            || has("no password supplied")
            || has("no pg_hba.conf entry")
            || unknown_role
        {
            return Self::Login;
        }
        if let Some(class) = refused_by_postgres(reason) {
            return class;
        }
        // The client library's own words, which a lost connection has in whatever it interrupts. Of one that was lost
        // before, it has nothing to say.
        let silent = reason.trim().is_empty() && text.contains("Failed to execute query \"");
        if class != Self::Ended && (silent || LOST.iter().any(|words| has(words))) {
            return Self::Input;
        }
        // SQLite's words for a catalogue whose disk or folder fails it.
        if has("disk I/O error") || has("unable to open database file") {
            return Self::Input;
        }
        class
    }

    /// The class by the name that DuckDB gives to the error.
    fn named(text: &str) -> Self {
        match text.split(" Error").next().unwrap_or_default() {
            "Catalog" | "Binder" => Self::Name,
            "Parser" | "Syntax" => Self::Syntax,
            "IO" | "HTTP" | "Connection" | "Network" => Self::Input,
            "Conversion" | "Mismatch Type" | "Out of Range" | "Invalid Input" | "Invalid type"
            | "Decimal" => Self::Value,
            "Constraint" => Self::Constraint,
            "TransactionContext" | "Transaction" => Self::Transaction,
            "Out of Memory" => Self::Memory,
            "INTERRUPT" => Self::Interrupt,
            "INTERNAL" | "FATAL" => Self::Ended,
            "Not implemented" | "Permission" | "Invalid Configuration" | "Missing Extension" => {
                Self::Unsupported
            }
            _ => Self::Other,
        }
    }

    /// Whether texts that DuckDB gives this class speak of names and files only.
    fn shows_text(self) -> bool {
        matches!(
            self,
            Self::Name | Self::Syntax | Self::Input | Self::Unsupported | Self::Memory
        )
    }

    fn kind(self) -> ErrorKind {
        match self {
            Self::Name => ErrorKind::NotFound,
            Self::Syntax | Self::Unsupported => ErrorKind::Invalid,
            Self::Input | Self::Full | Self::Memory | Self::Limit => ErrorKind::Unavailable,
            Self::Permission | Self::Login | Self::Denied => ErrorKind::Unauthorized,
            Self::Value => ErrorKind::Data,
            Self::Constraint | Self::Transaction => ErrorKind::Conflict,
            Self::Interrupt => ErrorKind::Cancelled,
            Self::Ended | Self::Other => ErrorKind::Internal,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Value => "a value cannot be converted, or does not fit (the value is not shown)",
            Self::Constraint => "a constraint is violated (the values are not shown)",
            Self::Transaction => "the transaction failed (details may hold values and are not shown)",
            Self::Interrupt => "the statement was interrupted",
            Self::Memory => "memory ran out (details may hold values and are not shown)",
            Self::Ended => {
                "a fault inside DuckDB ended this engine (details may hold values and are not shown)"
            }
            Self::Input => "a file or a connection failed (details may hold values and are not shown)",
            Self::Full => "the disk is full (details may hold values and are not shown)",
            Self::Limit => "a limit of the server was reached (details may hold values and are not shown)",
            Self::Permission => {
                "a file or folder may not be used (details may hold values and are not shown)"
            }
            Self::Denied => "the server denies permission (details may hold values and are not shown)",
            Self::Login => "credentials were refused (details may hold values and are not shown)",
            _ => "DuckDB reported an error (details may hold values and are not shown)",
        }
    }
}

/// Why Postgres refuses a row, by the words with which its first line begins; what comes after them may be a value.
fn refused_by_postgres(reason: &str) -> Option<FaultClass> {
    const CONSTRAINTS: &[&str] = &[
        "duplicate key value violates unique constraint",
        "could not create unique index",
        "null value in column",
        "new row for relation",
        "insert or update on table",
        "update or delete on table",
        "conflicting key value violates exclusion constraint",
    ];
    const VALUES: &[&str] = &[
        "invalid input syntax for type",
        "invalid input value for enum",
        "value too long for type",
        "numeric field overflow",
        "value for domain",
        "invalid byte sequence for encoding",
        "date/time field value out of range",
    ];
    let (_, said) = reason.split_once("ERROR:  ")?;
    let begins = |words: &[&str]| words.iter().any(|words| said.starts_with(words));
    if begins(CONSTRAINTS) {
        Some(FaultClass::Constraint)
    } else {
        begins(VALUES).then_some(FaultClass::Value)
    }
}

/// DuckDB's answer to a failed statement.
pub struct Fault {
    /// What sort of failure it is.
    pub class: FaultClass,
    /// Whether DuckDB gives it a class whose texts may be shown.
    shows_text: bool,
    text: String,
}

impl Fault {
    /// Keeps `text` after every one of `secrets` was struck out. It is classified before, for a secret may be a word
    /// that DuckDB uses.
    pub(crate) fn new(text: &str, secrets: &[String]) -> Self {
        let class = FaultClass::of(text);
        let shows_text = FaultClass::named(text).shows_text();
        let mut text = text.to_owned();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret.as_str(), "***");
        }
        Self {
            class,
            shows_text,
            text,
        }
    }

    /// The whole text of DuckDB, secrets struck out, **cell values included**: for tests, and for statements that
    /// a person typed and sees the answer of.
    #[must_use]
    pub fn raw_text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(unreachable) = Unreachable::of(&self.text) {
            return f.write_str(&unreachable.what);
        }
        if let Some(answer) = MySqlAnswer::of(&self.text) {
            return f.write_str(answer.shown().unwrap_or_else(|| self.class.describe()));
        }
        // The class may say more than DuckDB's own; whether the text may be shown, DuckDB's own decides.
        if !self.shows_text {
            return f.write_str(self.class.describe());
        }
        // Everything after the first paragraph quotes the statement, which may hold literals.
        let first = self.text.split("\n\nLINE ").next().unwrap_or_default();
        f.write_str(&without_values(first).trim().replace('\n', " "))
    }
}

/// A text without the statements that it quotes, and without the values in a Postgres server's answer.
fn without_values(text: &str) -> String {
    let mut text = text.to_owned();
    for word in [" query", " COPY", " statement"] {
        let begin = text.find(&format!("{word} \"")).map(|at| at + word.len());
        if let (Some(begin), Some(end)) = (begin, text.rfind("\": "))
            && begin < end
        {
            text.replace_range(begin..=end, "");
        }
    }
    match answer(&text) {
        None => text,
        Some((ours, server)) => format!("{ours}{}", server.without_values()),
    }
}

/// What a Postgres server says.
struct Answer<'a> {
    /// How bad it is, in the server's language.
    severity: &'a str,
    /// The first line. The others are made of values and statements.
    message: &'a str,
}

/// Takes a text apart in front of a server's answer. Whatever the language, that begins with a word, a colon and two
/// spaces.
fn answer(text: &str) -> Option<(&str, Answer<'_>)> {
    text.match_indices(":  ").find_map(|(colon, mark)| {
        let before = &text[..colon];
        let word = before.trim_end_matches(char::is_alphabetic).len();
        let (ours, severity) = before.split_at(word);
        let message = text[colon + mark.len()..].lines().next().unwrap_or_default();
        (!severity.is_empty()).then_some((ours, Answer { severity, message }))
    })
}

impl Answer<'_> {
    fn without_values(&self) -> String {
        // In another language, names cannot be told from values.
        if !["ERROR", "FATAL", "PANIC"].contains(&self.severity) {
            return "the server refused it (details may hold values and are not shown)".to_owned();
        }
        let mut shown = format!("{}: ", self.severity);
        for (index, part) in self.message.split('"').enumerate() {
            if index % 2 == 0 {
                shown.push_str(&without_bytes(part));
            } else if NAMED.iter().any(|word| shown.ends_with(word)) {
                shown.push_str(&format!("\"{part}\""));
            } else {
                shown.push_str("\"…\"");
            }
        }
        shown
    }
}

/// A text without the bytes of values: `0xe9 0x73`.
fn without_bytes(text: &str) -> String {
    let word = |word: &str| {
        let bytes = word.starts_with("0x") || word.starts_with("0X");
        if bytes { "…".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What stands before a quoted name, and not before a quoted value, in the messages of Postgres.
const NAMED: [&str; 12] = [
    "column ",
    "constraint ",
    "database ",
    "extension ",
    "function ",
    "index ",
    "relation ",
    "role ",
    "schema ",
    "table ",
    "type ",
    "user ",
];

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fault({:?}, {self})", self.class)
    }
}

impl std::error::Error for Fault {}
