//! Tables and views that do not last, and what the engine knows of them.
//!
//! DuckDB's scanner reads once which tables and columns there are. To make it forget that is not safe while another
//! session scans: the process crashes. So what is made later is made known by itself: `create table if not exists` of
//! the engine adds it to what is remembered, and the server, which has it already, does nothing. The types that the
//! engine is told are those in which it is to write or read, whatever the server has.

use pintail_lake::database::Incoming;
use pintail_lake::{Call, Result, Session, quote};
use pintail_model::TableName;

use super::super::catalog::rows;
use super::super::quote::{literal, plain_text, table as qualified};
use super::server::{execute, executed, word};

/// What helping tables and views are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    /// A view through which the engine writes, with names of columns that it writes right.
    Into,
    /// A view through which rows are read again.
    Kept,
    /// A table of staged rows.
    Stage,
    /// A table of the keys of rows that go without replacement.
    Gone,
    /// A table of what rows have in columns that are not staged, while they are away.
    Away,
    /// A table that is to take the place of another.
    Side,
    /// The table whose place it took.
    Old,
}

impl Helper {
    fn prefix(self) -> &'static str {
        match self {
            Self::Into => "pintail_into_",
            Self::Kept => "pintail_kept_",
            Self::Stage => "pintail_stage_",
            Self::Gone => "pintail_gone_",
            Self::Away => "pintail_away_",
            Self::Side => "pintail_side_",
            Self::Old => "pintail_old_",
        }
    }
}

const DROP: &str = "drop helping tables";

/// The helpers of one attempt.
pub(super) struct Helpers<'a> {
    /// Where they lie, but for those that are to be tables.
    pub(super) database: &'a str,
    pub(super) incoming: &'a Incoming<'a>,
}

impl Helpers<'_> {
    pub(super) fn named(&self, helper: Helper) -> TableName {
        let table = self.incoming.table;
        let database = match helper {
            Helper::Side | Helper::Old => table.schema_or(self.database),
            _ => self.database,
        };
        let name = format!("{}{}_{}", helper.prefix(), word(table), self.incoming.attempt);
        TableName::new(database, name)
    }

    /// Has the server run one statement.
    pub(super) fn execute(&self, label: &str, sql: &str) -> Result<()> {
        execute(self.incoming.session, self.incoming.alias, label, sql)
    }

    /// Makes a view, and makes it known to the engine with columns of `known` types, if there are any.
    pub(super) fn make_view(
        &self,
        helper: Helper,
        query: &str,
        known: &[(&str, String)],
    ) -> Result<TableName> {
        let view = self.named(helper);
        let sql = format!("create sql security invoker view {} as {query}", qualified(&view));
        self.execute("make a helping view", &sql)?;
        if !known.is_empty() {
            make_known(self.incoming.session, self.incoming.alias, &view, known)?;
        }
        Ok(view)
    }

    /// Drops what attempts left behind that are over. The session holds the table's lock.
    pub(super) fn sweep(&self) -> Result<()> {
        let (session, alias, table) = (self.incoming.session, self.incoming.alias, self.incoming.table);
        let label = "look for helping tables of runs that are over";
        let sql = format!(
            "select {} as db, {} as name, table_type = 'VIEW' as is_view from information_schema.tables \
             where table_schema in ({}, {}) and table_name regexp '^pintail_[a-z]+_{}_[0-9a-f]{{16}}$'",
            plain_text("table_schema"),
            plain_text("table_name"),
            literal(self.database),
            literal(table.schema_or(self.database)),
            word(table)
        );
        // Some servers can crash between the two steps of a `rename table`: then this is all that is left of the table.
        let table_is_missing = self.incoming.found.is_none();
        for row in rows(session, alias, label, &sql)? {
            let (Some(database), Some(name)) = (row.text(0), row.text(1)) else {
                continue;
            };
            if table_is_missing && name.starts_with(Helper::Old.prefix()) {
                continue;
            }
            let left = TableName::new(database, name);
            tracing::info!(table = %left, "a helping table of a run that is over was dropped");
            let kind = if row.integer(2) == Some(1) {
                "view"
            } else {
                "table"
            };
            let sql = format!("drop {kind} if exists {}", qualified(&left));
            self.execute("drop a helping table of a run that is over", &sql)?;
        }
        Ok(())
    }

    /// Drops those of this attempt, in a session whose transaction is over; also if the engine was told to stop.
    pub(super) fn drop_own(&self) -> Result<()> {
        let session = self.incoming.session;
        session.batch(Call::new(DROP).protected(), "begin transaction")?;
        let dropped = self.drop_all();
        session.rollback();
        dropped
    }

    fn drop_all(&self) -> Result<()> {
        let (session, alias) = (self.incoming.session, self.incoming.alias);
        let drop = |sql: &str| session.batch(Call::new(DROP).protected(), &executed(alias, sql));
        drop("set session lock_wait_timeout = 10")?;
        let listed = |helpers: &[Helper]| {
            let names: Vec<String> = helpers
                .iter()
                .map(|helper| qualified(&self.named(*helper)))
                .collect();
            names.join(", ")
        };
        let views = listed(&[Helper::Into, Helper::Kept]);
        drop(&format!("drop view if exists {views}"))?;
        let tables = listed(&[
            Helper::Stage,
            Helper::Gone,
            Helper::Away,
            Helper::Side,
            Helper::Old,
        ]);
        drop(&format!("drop table if exists {tables}"))
    }
}

/// Lets the engine know of a table or view that the server has.
pub(super) fn make_known(
    session: &Session,
    alias: &str,
    table: &TableName,
    columns: &[(&str, String)],
) -> Result<()> {
    let columns: Vec<String> = columns
        .iter()
        .map(|(name, known)| format!("{} {known}", quote::identifier(name)))
        .collect();
    let sql = format!(
        "create table if not exists {} ({})",
        quote::table(alias, table, ""),
        columns.join(", ")
    );
    session.batch(Call::new("make a helping table known"), &sql)
}
