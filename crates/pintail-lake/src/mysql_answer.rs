//! What a MySQL or MariaDB server answered, inside a text of DuckDB.
//!
//! DuckDB wraps it as `Failed to execute MySQL query "<statement>": <answer>`, all under one class of error. Answers
//! name their object in single quotes, and in the same quotes values: only those that speak of names are shown. A server
//! that lets nobody in is quoted as `Failed to connect to MySQL database with parameters "<connection string>": <answer>`.

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
    ("Got an error reading communication packets", FaultClass::Input),
    ("Got timeout reading communication packets", FaultClass::Input),
    ("WSREP has not yet prepared node", FaultClass::Input),
    // Somebody set this limit, and the same statement meets it again.
    (
        "Query execution was interrupted (max_statement_time exceeded)",
        FaultClass::Limit,
    ),
    (
        "Query execution was interrupted, maximum statement execution time exceeded",
        FaultClass::Limit,
    ),
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
    ("The MariaDB server is running with", FaultClass::Denied),
    ("The MySQL server is running with", FaultClass::Denied),
    ("Field '", FaultClass::Name),
    ("Identifier name '", FaultClass::Name),
    ("Incorrect column name", FaultClass::Name),
    ("Incorrect table name", FaultClass::Name),
    ("Incorrect database name", FaultClass::Name),
    ("Specified key was too long", FaultClass::Unsupported),
    ("Row size too large", FaultClass::Unsupported),
    ("Too big ", FaultClass::Unsupported),
    ("Column length too big", FaultClass::Unsupported),
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
        // Of a connection that breaks between two rows, the client library has nothing to say.
        if answer.is_empty() {
            return Some(Self {
                class: FaultClass::Input,
                text: "the connection was lost",
            });
        }
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
                | FaultClass::Limit
                | FaultClass::Transaction
                | FaultClass::Unsupported
        )
        .then_some(self.text)
    }
}

/// Why a server let nobody in, from a text of DuckDB; its class, and the server's words.
pub(crate) fn refusal(text: &str) -> Option<(FaultClass, &str)> {
    let (_, answer) = text.split_once("Failed to connect to MySQL database with parameters \"")?;
    let (_, answer) = answer.rsplit_once("\": ")?;
    let line = answer.lines().next()?;
    let end = line
        .find(". Attempted host: ")
        .or_else(|| line.find(". First attempted host: "));
    let answer = &line[..end.unwrap_or(line.len())];
    Some((class_of_refusal(answer), answer))
}

/// What is left is that nobody answered, or that somebody hung up: a server that is full, or starts, says so in many
/// ways.
fn class_of_refusal(answer: &str) -> FaultClass {
    let has = |part: &str| answer.contains(part);
    let host = answer.starts_with("Host '");
    if has("Access denied")
        || has("password has expired")
        || (host && (has("is not allowed to connect") || has("is blocked because of")))
        || has("Connections using insecure transport are prohibited")
    {
        return FaultClass::Login;
    }
    // What breaks while both sides agree on a key is called an error of TLS, too.
    if has("SSL is required") || has("certificate") || has("Certificate") || has("Hostname verification") {
        return FaultClass::Login;
    }
    if has("Unknown database") {
        return FaultClass::Name;
    }
    let method = answer.starts_with("Plugin ") || answer.starts_with("Authentication plugin ");
    if method && (has("could not be loaded") || has("cannot be loaded")) {
        return FaultClass::Unsupported;
    }
    if has("resource (current value") && !has("'max_user_connections'") {
        return FaultClass::Limit;
    }
    FaultClass::Input
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
