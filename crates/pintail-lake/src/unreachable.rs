//! Why a server let nobody in: a long answer, made short.
//!
//! DuckDB wraps that of libpq as `Unable to connect to Postgres at "<connection string>": <answer>`, and that of MySQL
//! as `Failed to connect to MySQL database with parameters "<connection string>": <answer>. Attempted host: <host>`. The
//! reader knows the connection string, and of the answer the first line says what happened.

use crate::mysql_answer;

/// A server's answer, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreachable {
    /// What happened.
    pub(crate) what: String,
    /// The way out.
    pub(crate) hint: &'static str,
}

impl Unreachable {
    /// Finds a server's answer in a text of DuckDB.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::of_postgres(text).or_else(|| Self::of_mysql(text))
    }

    fn of_mysql(text: &str) -> Option<Self> {
        let (_, what) = mysql_answer::refusal(text)?;
        Some(Self {
            what: what.to_owned(),
            hint: hint(what),
        })
    }

    fn of_postgres(text: &str) -> Option<Self> {
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
    if has("Access denied for user") && has("to database '") {
        "Grant the user what it needs in this database: docs/connectors/mysql.md."
    } else if has("authentication failed") || has("no password supplied") || has("Access denied for user") {
        "Check `user` and `password`."
    } else if has("no pg_hba.conf entry") {
        "The server lets this user in neither from this machine nor in this way: see its `pg_hba.conf`."
    } else if has("does not exist") {
        "Check `dbname` and `user`."
    } else if has("is not allowed to connect") {
        "The server knows no user that comes from this machine: grant one access from its address."
    } else if has("is blocked because of") {
        "The server takes nobody from this machine any more, after too many failures: let its administrator say `flush hosts`."
    } else if has("Too many connections") || has("'max_user_connections'") || has("too many clients") {
        "Wait until others are done, raise the server's limit, or lower ours with `limits.source_connections`."
    } else if has("SSL is required") || has("ertificate") || has("Hostname verification") {
        "Check `ssl_mode` and `ssl_ca`, and that `host` is the name in the server's certificate."
    } else if has("Unknown database") {
        "Check `database`."
    } else if has("could not translate host name") || has("Unknown server host") {
        "Check `host`."
    } else {
        "Check `host` and `port`, and that the server is running and can be reached from this machine."
    }
}
