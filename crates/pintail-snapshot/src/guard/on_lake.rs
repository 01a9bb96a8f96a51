//! Statements of users against a lake: what they take away is pinned first.
//!
//! A pin is written before the transaction of the statement begins, since SQLite ends transactions that began before a write.
//! So when the transaction has begun, its tables are looked at once more: if somebody changed one meanwhile, all begins anew.
//! Of a transaction that the user began, everything that it takes away is pinned before: it is the state that others saw.

use std::collections::BTreeSet;

use pintail_lake::quote::identifier;
use pintail_lake::{Call, Engine, Lake, LakeLocation, Session, TextTable};
use pintail_model::{ErrorKind, TableName};

use super::statement::{Destroyed, Meaning, meaning};
use super::tokens::{Statement, Token, statements};
use super::{Going, Guarded, GuardedBy, Kept, names, not_kept, refuse_hidden, request, run};
use crate::catalog::{self, FoundTable};
use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::manifest::Manifest;
use crate::pinning::catalog as of_lake;
use crate::progress::Progress;
use crate::settings::SettingKey;

/// How often a statement begins anew because somebody changed what it takes away.
const ATTEMPTS: u32 = 4;

impl ProjectFolder {
    /// Runs statements that may write to a lake, one after the other, and pins what they take away first.
    ///
    /// # Errors
    /// As [`ProjectFolder::run_guarded`]; `Invalid` also for a statement that would expire snapshots or remove files, which
    /// may be pinned.
    pub fn run_guarded_on_lake(
        &self,
        engine: &Engine,
        location: &LakeLocation,
        sql: &str,
        by: &GuardedBy,
        progress: &dyn Progress,
    ) -> Result<Guarded> {
        let statements = statements(sql);
        refuse_hidden(&statements)?;
        refuse_maintenance(&statements)?;
        let lake = Lake::attach_existing(engine, location)?;
        let guard = LakeGuard {
            folder: self,
            lake: &lake,
            by,
            progress,
        };
        let done = guard.run(&statements);
        let detached = lake.detach();
        let done = done?;
        detached?;
        Ok(done)
    }
}

/// Refuses what would take snapshots away that somebody needs.
fn refuse_maintenance(statements: &[Statement<'_>]) -> Result<()> {
    let maintains = |token: &Token| {
        let name = token.name().unwrap_or_default().to_ascii_lowercase();
        name.ends_with("expire_snapshots")
            || name.ends_with("cleanup_old_files")
            || name.ends_with("delete_orphaned_files")
            || name.starts_with("__ducklake_metadata")
    };
    let checkpoint = |statement: &&Statement<'_>| {
        let mut words = statement.tokens.iter();
        let first = words.next();
        let forced = first.is_some_and(|word| word.keyword("FORCE"));
        let word = if forced { words.next() } else { first };
        word.is_some_and(|word| word.keyword("CHECKPOINT"))
    };
    let refused =
        |statement: &&Statement<'_>| checkpoint(statement) || statement.tokens.iter().any(maintains);
    if !statements.iter().any(|statement| refused(&statement)) {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        "a statement would expire snapshots of the lake or remove its files, and some may be pinned",
        "`pintail lake maintain` does it, and leaves alone what is pinned.",
    ))
}

struct LakeGuard<'a> {
    folder: &'a ProjectFolder,
    lake: &'a Lake,
    by: &'a GuardedBy,
    progress: &'a dyn Progress,
}

impl LakeGuard<'_> {
    fn run(&self, statements: &[Statement<'_>]) -> Result<Guarded> {
        let session = self.lake.session()?;
        let default = format!("use {}.{}", Lake::NAME, identifier(&self.by.schema));
        session.batch(Call::new("use the lake"), &default)?;
        let mut done = Guarded {
            answer: TextTable {
                columns: Vec::new(),
                rows: Vec::new(),
            },
            kept: Vec::new(),
        };
        let mut in_transaction = false;
        for (index, statement) in statements.iter().enumerate() {
            let ran = match meaning(&statement.tokens) {
                Meaning::Begins => {
                    in_transaction = true;
                    let destroyed = destroyed_until_end(&statements[index + 1..]);
                    self.kept_first(&session, &destroyed, &mut done, || run(&session, statement))
                }
                Meaning::Ends => {
                    in_transaction = false;
                    run(&session, statement)
                }
                Meaning::Destroys(destroyed) if !in_transaction => {
                    let begin = || -> Result<TextTable> {
                        session.begin()?;
                        Ok(done_nothing())
                    };
                    self.kept_first(&session, &[destroyed], &mut done, begin)
                        .and_then(|_| run(&session, statement))
                        .and_then(|answer| {
                            session.batch(Call::new("commit the statement").protected(), "commit")?;
                            Ok(answer)
                        })
                }
                _ => run(&session, statement),
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

    /// Pins what is going to be taken away, and begins a transaction that sees what was pinned.
    fn kept_first(
        &self,
        session: &Session,
        destroyed: &[Destroyed],
        done: &mut Guarded,
        begin: impl Fn() -> Result<TextTable>,
    ) -> Result<TextTable> {
        for _ in 0..ATTEMPTS {
            let going = self.going(destroyed)?;
            let Some((trigger, _)) = going.first() else {
                return begin();
            };
            let tables: Vec<&FoundTable> = going.iter().map(|(_, table)| table).collect();
            let kept = self.pin(*trigger, &tables)?;
            let answer = begin()?;
            if self.same(session, &kept)? {
                done.kept.push(Kept {
                    tables: names(&tables),
                    snapshot: kept.snapshot_id,
                });
                return Ok(answer);
            }
            session.rollback();
            self.folder.delete(&kept.snapshot_id, self.by.now)?;
        }
        Err(Error::refused(
            ErrorKind::Conflict,
            "a statement was not run: others keep changing the tables of which it takes something away",
            "Try again when they are done.",
        ))
    }

    /// The tables that are there and of which something goes, each once, with the setting that keeps it.
    fn going(&self, destroyed: &[Destroyed]) -> Result<Vec<(SettingKey, FoundTable)>> {
        if destroyed.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.lake.session()?;
        session.begin()?;
        let found = catalog::tables(of_lake(&session));
        session.rollback();
        let found = found?;
        let mut going: Vec<(SettingKey, FoundTable)> = Vec::new();
        for destroyed in destroyed {
            let meant = Going {
                alias: Lake::NAME,
                schema: &self.by.schema,
            }
            .meant(&found, destroyed);
            for table in self.folder.triggered(meant, destroyed.trigger)? {
                let known = |(_, known): &(SettingKey, FoundTable)| known.named(&table.bucket, &table.table);
                if !going.iter().any(known) {
                    going.push((destroyed.trigger, table));
                }
            }
        }
        Ok(going)
    }

    fn pin(&self, trigger: SettingKey, tables: &[&FoundTable]) -> Result<Manifest> {
        let created = self
            .folder
            .create_in_lake(
                self.lake,
                &request(trigger, tables, self.by),
                self.by.now,
                self.progress,
            )
            .map_err(|error| not_kept(trigger, tables, error))?;
        Ok(created.manifest)
    }

    /// Whether the tables of a snapshot are, for a session, as they were pinned.
    fn same(&self, session: &Session, kept: &Manifest) -> Result<bool> {
        let Some((_, from)) = kept.pin() else {
            return Ok(false);
        };
        let to = self.lake.snapshot(session)?;
        let mut tables = BTreeSet::new();
        for entry in &kept.tables {
            let name = TableName::new(&entry.bucket, &entry.table);
            let before = self.lake.table_id_at(session, &name, from)?;
            let now = self.lake.table_id_at(session, &name, to)?;
            match (before, now) {
                (Some(before), Some(now)) if before == now => tables.insert(now),
                _ => return Ok(false),
            };
        }
        Ok(self.lake.changed(session, &tables, from, to)?.is_empty())
    }
}

/// What the statements of a transaction take away.
fn destroyed_until_end(statements: &[Statement<'_>]) -> Vec<Destroyed> {
    let mut destroyed = Vec::new();
    for statement in statements {
        match meaning(&statement.tokens) {
            Meaning::Destroys(what) => destroyed.push(what),
            Meaning::Ends => break,
            _ => {}
        }
    }
    destroyed
}

fn done_nothing() -> TextTable {
    TextTable {
        columns: Vec::new(),
        rows: Vec::new(),
    }
}
