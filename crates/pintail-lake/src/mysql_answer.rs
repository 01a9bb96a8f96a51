//! What a MySQL or MariaDB server answered, inside a text of DuckDB.
//!
//! DuckDB wraps it as `Failed to execute MySQL query "<statement>": <answer>`, all under one class of error. Answers
//! name their object in single quotes, and in the same quotes values: only those that speak of names are shown.

use crate::error::FaultClass;

/// How answers begin, and what they mean. Those before [`FaultClass::Value`] and [`FaultClass::Constraint`] hold names
/// only.
const BEGINNINGS: &[(&str, FaultClass)] = &[
    ("Access denied for user", FaultClass::Login),
    ("Access denied", FaultClass::Denied),
    ("Unknown database", FaultClass::Name),
    ("Unknown column", FaultClass::Name),
    ("Unknown table", FaultClass::Name),
    ("Lost connection", FaultClass::Input),
    ("MySQL server has gone away", FaultClass::Input),
    ("Server has gone away", FaultClass::Input),
    ("Connection was killed", FaultClass::Input),
    ("Can't connect", FaultClass::Input),
    ("Too many connections", FaultClass::Input),
    ("Server shutdown in progress", FaultClass::Input),
    ("Query execution was interrupted", FaultClass::Input),
    ("Deadlock found", FaultClass::Transaction),
    ("Lock wait timeout", FaultClass::Transaction),
    ("Table definition has changed", FaultClass::Transaction),
    ("Record has changed since last read", FaultClass::Transaction),
    (
        "Cannot execute statement in a READ ONLY transaction",
        FaultClass::Unsupported,
    ),
    ("Duplicate entry", FaultClass::Constraint),
    ("Cannot add or update a child row", FaultClass::Constraint),
    ("Cannot delete or update a parent row", FaultClass::Constraint),
    ("CONSTRAINT", FaultClass::Constraint),
    ("Column '", FaultClass::Constraint),
    ("Incorrect ", FaultClass::Value),
    ("Data too long", FaultClass::Value),
    ("Data truncated", FaultClass::Value),
    ("Out of range value", FaultClass::Value),
    ("Invalid ", FaultClass::Value),
    ("You have an error in your SQL syntax", FaultClass::Syntax),
];

/// A server's answer to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MySqlAnswer<'a> {
    pub(crate) class: FaultClass,
    text: &'a str,
}

impl<'a> MySqlAnswer<'a> {
    /// Finds a server's answer in a text of DuckDB.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        if !text.contains(" MySQL query \"") && !text.contains("Failed to run query \"") {
            return None;
        }
        // Only the end is the server's: the statement before it may say anything.
        let (_, answer) = text.rsplit_once("\": ")?;
        let answer = answer.lines().next().unwrap_or_default().trim();
        Some(Self {
            class: class(answer),
            text: answer,
        })
    }

    /// The answer, if it holds no values.
    pub(crate) fn shown(self) -> Option<&'a str> {
        matches!(
            self.class,
            FaultClass::Login
                | FaultClass::Denied
                | FaultClass::Name
                | FaultClass::Input
                | FaultClass::Transaction
                | FaultClass::Unsupported
        )
        .then_some(self.text)
    }
}

fn class(answer: &str) -> FaultClass {
    if answer.contains("command denied to user") {
        return FaultClass::Denied;
    }
    if answer.starts_with("Table '") && answer.ends_with("doesn't exist") {
        return FaultClass::Name;
    }
    if answer.starts_with("The table '") && answer.ends_with("is full") {
        return FaultClass::Full;
    }
    BEGINNINGS
        .iter()
        .find(|(beginning, _)| answer.starts_with(beginning))
        .map_or(FaultClass::Other, |(_, class)| *class)
}
