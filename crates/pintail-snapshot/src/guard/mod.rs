//! Statements of users that take tables or all of their rows away, and the snapshot that is taken first.
//!
//! ```text
//! drop table · truncate · delete without where · alter table … drop · create or replace table
//!     begin ─▶ snapshot of the table ─▶ the statement ─▶ commit          no snapshot, no statement
//! ```
//!
//! Which of them are kept first is a setting, at four levels. Statements that would make names mean something else (`use`,
//! `attach`) or hide what is run (`prepare`) are refused: what they take away could not be told.

mod on_lake;
mod statement;
mod tokens;

use jiff::Timestamp;
use pintail_lake::quote::identifier;
use pintail_lake::{Access, Call, DatabaseFile, Engine, Session, TextTable};
use pintail_model::{ErrorKind, TableName};
use serde::Serialize;

use self::statement::{Destroyed, Meaning, What, meaning};
use self::tokens::{Statement, statements};
use crate::capture::{Capture, CreateRequest, Origin};
use crate::catalog::{self, Catalog, FoundTable};
use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::SnapshotType;
use crate::progress::Progress;
use crate::settings::SettingKey;

const ALIAS: &str = "pintail_guarded";

/// Statements that were run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// The answer to the last one.
    pub answer: TextTable,
    /// What was kept first.
    pub kept: Vec<Kept>,
}

/// A snapshot that was taken in front of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its tables.
    pub tables: Vec<String>,
}

/// Whose statements are run, and when.
#[derive(Debug, Clone)]
pub struct GuardedBy {
    /// Who, for the snapshots.
    pub created_by: String,
    /// The schema of names without one.
    pub schema: String,
    /// The time, for the names of snapshots.
    pub now: Timestamp,
}

impl ProjectFolder {
    /// Runs statements that may write, one after the other, and keeps what they take away first.
    ///
    /// # Errors
    /// `Invalid` for a statement whose effect cannot be told, [`Error::Kept`] if a snapshot cannot be taken: that
    /// statement, and those after it, were not run.
    pub fn run_guarded(
        &self,
        engine: &Engine,
        database: &DatabaseFile,
        sql: &str,
        by: &GuardedBy,
        progress: &dyn Progress,
    ) -> Result<Guarded> {
        let statements = statements(sql);
        refuse_hidden(&statements)?;
        database.attach(engine, ALIAS, Access::ReadWrite, None)?;
        let guard = Guard {
            folder: self,
            engine,
            database,
            by,
            progress,
        };
        let done = guard.run(&statements);
        let detached = database.detach(engine, ALIAS);
        let done = done?;
        detached?;
        Ok(done)
    }

    /// Those of `tables` that are kept before such a statement.
    fn triggered(&self, tables: Vec<FoundTable>, trigger: SettingKey) -> Result<Vec<FoundTable>> {
        let settings = self.settings()?;
        let on = |table: &FoundTable| {
            settings
                .effective(trigger, Some((&table.bucket, &table.table)))
                .value
                .on()
        };
        Ok(tables.into_iter().filter(on).collect())
    }
}

/// Refuses statements behind which nobody sees what goes.
fn refuse_hidden(statements: &[Statement<'_>]) -> Result<()> {
    for statement in statements {
        if let Meaning::Hides(how) = meaning(&statement.tokens) {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!("a statement {how}, so what others take away could not be kept first"),
                "Run the statements that it is about directly, with full names.",
            ));
        }
    }
    Ok(())
}

/// What names in statements mean.
struct Going<'a> {
    /// The name under which the database is attached.
    alias: &'a str,
    /// The schema of names without one.
    schema: &'a str,
}

impl Going<'_> {
    /// The tables that are there and go. What is not there, the statement itself says.
    fn meant(&self, found: &[FoundTable], destroyed: &Destroyed) -> Vec<FoundTable> {
        let is = |table: &FoundTable, parts: &[String]| match parts {
            [name] => table.named(self.schema, name),
            [database, name] if database.eq_ignore_ascii_case(self.alias) => table.named("main", name),
            [bucket, name] => table.named(bucket, name),
            [database, bucket, name] => {
                database.eq_ignore_ascii_case(self.alias) && table.named(bucket, name)
            }
            _ => false,
        };
        let going = |table: &&FoundTable| match &destroyed.what {
            What::Tables(names) => names.iter().any(|parts| is(table, parts)),
            What::Schema(parts) => parts
                .last()
                .is_some_and(|schema| table.bucket.eq_ignore_ascii_case(schema)),
        };
        found.iter().filter(going).cloned().collect()
    }
}

struct Guard<'a> {
    folder: &'a ProjectFolder,
    engine: &'a Engine,
    database: &'a DatabaseFile,
    by: &'a GuardedBy,
    progress: &'a dyn Progress,
}

impl Guard<'_> {
    fn run(&self, statements: &[Statement<'_>]) -> Result<Guarded> {
        let session = self.engine.session()?;
        let default = format!("use {}.{}", identifier(ALIAS), identifier(&self.by.schema));
        session.batch(Call::new("use the database"), &default)?;
        let mut done = Guarded {
            answer: TextTable {
                columns: Vec::new(),
                rows: Vec::new(),
            },
            kept: Vec::new(),
        };
        let mut in_transaction = false;
        for statement in statements {
            let ran = match meaning(&statement.tokens) {
                Meaning::Destroys(destroyed) => {
                    self.destroy(&session, statement, &destroyed, in_transaction, &mut done)
                }
                other => {
                    in_transaction = match other {
                        Meaning::Begins => true,
                        Meaning::Ends => false,
                        _ => in_transaction,
                    };
                    run(&session, statement)
                }
            };
            match ran {
                Ok(answer) => done.answer = answer,
                Err(error) => {
                    session.rollback();
                    return Err(error);
                }
            }
        }
        if in_transaction {
            // As DuckDB does when a connection goes.
            session.rollback();
        }
        Ok(done)
    }

    /// Keeps what a statement takes away and runs it, in one transaction.
    fn destroy(
        &self,
        session: &Session,
        statement: &Statement<'_>,
        destroyed: &Destroyed,
        in_transaction: bool,
        done: &mut Guarded,
    ) -> Result<TextTable> {
        if !in_transaction {
            session.begin()?;
        }
        let catalog = Catalog {
            session,
            alias: ALIAS,
        };
        let going = Going {
            alias: ALIAS,
            schema: &self.by.schema,
        };
        let tables = going.meant(&catalog::tables(catalog)?, destroyed);
        let tables = self.folder.triggered(tables, destroyed.trigger)?;
        if !tables.is_empty() {
            done.kept.push(self.keep(catalog, destroyed.trigger, &tables)?);
        }
        let answer = run(session, statement)?;
        if !in_transaction {
            session.batch(Call::new("commit the statement").protected(), "commit")?;
        }
        Ok(answer)
    }

    fn keep(&self, catalog: Catalog<'_>, trigger: SettingKey, tables: &[FoundTable]) -> Result<Kept> {
        let capture = Capture {
            folder: self.folder,
            engine: self.engine,
            catalog,
            origin: Origin::File(self.database),
            now: self.by.now,
            progress: self.progress,
        };
        let tables: Vec<&FoundTable> = tables.iter().collect();
        let created = capture
            .take(&request(trigger, &tables, self.by))
            .map_err(|error| not_kept(trigger, &tables, error))?;
        Ok(Kept {
            snapshot: created.manifest.snapshot_id,
            tables: names(&tables),
        })
    }
}

/// The snapshot that keeps what a statement takes away.
fn request(trigger: SettingKey, tables: &[&FoundTable], by: &GuardedBy) -> CreateRequest {
    CreateRequest {
        tables: tables
            .iter()
            .map(|table| TableName::new(&table.bucket, &table.table))
            .collect(),
        snapshot_type: match trigger {
            SettingKey::DropTable | SettingKey::DropColumn => SnapshotType::PreDrop,
            _ => SnapshotType::Auto,
        },
        description: Some(format!(
            "Before {} {}",
            trigger.statement(),
            names(tables).join(", ")
        )),
        created_by: by.created_by.clone(),
        ..CreateRequest::default()
    }
}

/// Why a statement was not run.
fn not_kept(trigger: SettingKey, tables: &[&FoundTable], error: Error) -> Error {
    Error::Kept {
        what: format!(
            "{} of table \"{}\"",
            trigger.statement(),
            names(tables).join("\", \"")
        ),
        source: Box::new(error),
    }
}

fn names(tables: &[&FoundTable]) -> Vec<String> {
    tables.iter().map(|table| table.name()).collect()
}

fn run(session: &Session, statement: &Statement<'_>) -> Result<TextTable> {
    Ok(session.table(Call::new("run the statement"), statement.text)?)
}
