//! Why a Postgres server let nobody in: libpq's long answer, made short.
//!
//! DuckDB wraps it as `Unable to connect to Postgres at "<connection string>": <answer>`. The reader knows the
//! connection string, and of the answer the first line says what happened.

/// A server's answer, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreachable {
    /// What happened.
    pub(crate) what: String,
    /// The way out.
    pub(crate) hint: &'static str,
}

impl Unreachable {
    /// Finds libpq's answer in a text of DuckDB.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let (_, answer) = text.split_once("Unable to connect to Postgres at \"")?;
        let (_, answer) = answer.split_once("\": ")?;
        let line = answer.lines().next()?.trim();
        let what = match line.split_once("FATAL:  ") {
            Some((_, reason)) => reason,
            None => line,
        };
        Some(Self {
            what: what.to_owned(),
            hint: hint(line),
        })
    }
}

fn hint(line: &str) -> &'static str {
    let has = |part: &str| line.contains(part);
    if has("authentication failed") || has("no password supplied") {
        "Check `user` and `password`."
    } else if has("no pg_hba.conf entry") {
        "The server lets this user in neither from this machine nor in this way: see its `pg_hba.conf`."
    } else if has("does not exist") {
        "Check `dbname` and `user`."
    } else if has("could not translate host name") {
        "Check `host`."
    } else {
        "Check `host` and `port`, and that the server is running and can be reached from this machine."
    }
}
