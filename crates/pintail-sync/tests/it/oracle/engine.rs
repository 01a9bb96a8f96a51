//! What the engine itself writes: DuckDB files, lakes, and folders of Parquet files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pintail_lake::connector::Attachment;
use pintail_lake::{Call, Engine, EngineSettings, extension, quote};
use pintail_model::{CursorType, CursorValue, Secret};
use tempfile::TempDir;

use super::history::Change;
use super::model::{Order, Orders, Written};
use super::stamped::{Applications, Embedded, Stamped};

/// What holds the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// Who writes has the file to itself, from the beginning to the end.
    DuckDb,
    /// A lake of others: small changes lie in its catalogue.
    Lake,
    /// Two files, written anew with every change.
    Parquet,
}

pub(super) struct EngineTable {
    holder: Holder,
    folder: TempDir,
    engine: Engine,
    applications: Applications,
    rows: Orders,
}

impl EngineTable {
    pub(super) fn new(holder: Holder) -> Self {
        let settings = EngineSettings {
            threads: 1,
            ..EngineSettings::default()
        };
        Self {
            holder,
            folder: tempfile::tempdir().expect("a temporary folder"),
            engine: Engine::open(&settings).expect("an engine"),
            applications: Applications::new(),
            rows: Orders::new(),
        }
    }

    fn path(&self, end: &str) -> PathBuf {
        self.folder
            .path()
            .join(format!("{}{end}", self.applications.table()))
    }

    /// Brings rows of a database into the state that they are to be in.
    fn change(&self, ids: &BTreeSet<i64>) {
        let table = format!("d.main.{}", quote::identifier(self.applications.table()));
        let gone = |id: &&i64| self.holder == Holder::Lake || !self.rows.contains_key(*id);
        let gone: Vec<String> = ids.iter().filter(gone).map(i64::to_string).collect();
        let put: Vec<String> = ids
            .iter()
            .filter_map(|id| Some(self.values(*id, self.rows.get(id)?)))
            .collect();
        let mut statements = vec!["begin transaction".to_owned()];
        if !gone.is_empty() {
            statements.push(format!("delete from {table} where id in ({})", gone.join(", ")));
        }
        if !put.is_empty() {
            // A key that is deleted and inserted in one transaction is taken for one that stands twice.
            let insert = match self.holder {
                Holder::DuckDb => "insert or replace into",
                Holder::Lake | Holder::Parquet => "insert into",
            };
            statements.push(format!("{insert} {table} values {}", put.join(", ")));
        }
        statements.push("commit".to_owned());
        self.execute(&statements.join("; "));
    }

    /// Writes all rows: those with even ids into one file, the others into another.
    fn export(&self) {
        let folder = self.path("");
        std::fs::create_dir_all(&folder).expect("a folder");
        for half in 0..2 {
            let rows = self.rows.iter().filter(|(id, _)| *id % 2 == half);
            let rows: Vec<String> = rows.map(|(id, row)| self.values(*id, row)).collect();
            let rows = match rows.is_empty() {
                true => format!("select * from ({}) limit 0", self.typed_nulls()),
                false => format!("values {}", rows.join(", ")),
            };
            let file = folder.join(format!("{half}.parquet"));
            self.execute(&format!(
                "copy (select * from ({rows}) as rows (id, value, note, price, updated_at, ratio)) to {}",
                quote::literal(&file.to_string_lossy())
            ));
        }
    }

    /// A row of NULLs that have the types of the columns.
    fn typed_nulls(&self) -> String {
        let types = [
            "bigint",
            "bigint",
            "varchar",
            "decimal(12,2)",
            self.cursor_type(),
            "double",
        ];
        let nulls = types.map(|name| format!("null::{name}"));
        format!("values ({})", nulls.join(", "))
    }

    fn cursor_type(&self) -> &'static str {
        match self.applications.setting().cursor {
            CursorType::Integer => "bigint",
            CursorType::Date => "date",
            CursorType::Timestamp => "timestamp",
            CursorType::TimestampTz => "timestamptz",
        }
    }

    /// A row in the engine's SQL.
    fn values(&self, id: i64, row: &Order) -> String {
        let note = row
            .note
            .as_deref()
            .map_or_else(|| "null".to_owned(), quote::literal);
        let sign = if row.cents < 0 { "-" } else { "" };
        let cents = row.cents.unsigned_abs();
        let ratio = row
            .ratio
            .map_or_else(|| "null".to_owned(), |ratio| format!("'{}'", ratio.text()));
        let cursor_type = self.applications.setting().cursor;
        let zone = if cursor_type == CursorType::TimestampTz {
            "+00"
        } else {
            ""
        };
        let cursor = row.cursor.map_or_else(
            || "null".to_owned(),
            |cursor| match cursor_type {
                CursorType::TimestampTz => format!("'{}{zone}'", CursorValue::Timestamp(cursor).text()),
                kind => format!("'{}'", CursorValue::from_number(kind, cursor).text()),
            },
        );
        format!(
            "({id}::bigint, {}::bigint, {note}::varchar, '{sign}{}.{:02}'::decimal(12,2), {cursor}::{}, {ratio}::double)",
            row.value,
            cents / 100,
            cents % 100,
            self.cursor_type()
        )
    }

    /// Executes statements on the database `d`, if there is one, and lets go of it.
    fn execute(&self, statements: &str) {
        let attach = match self.holder {
            Holder::DuckDb => Some(format!(
                "attach {} as d",
                quote::literal(&self.path(".duckdb").to_string_lossy())
            )),
            Holder::Lake => Some(format!(
                "attach {} as d (data_path {})",
                quote::literal(&format!("ducklake:sqlite:{}", self.path(".sqlite").display())),
                quote::literal(&self.path("_data").to_string_lossy())
            )),
            Holder::Parquet => None,
        };
        let attached = attach.is_some();
        let attachment = Attachment {
            extensions: match self.holder {
                Holder::Lake => vec![extension::DUCKLAKE, extension::SQLITE],
                Holder::DuckDb | Holder::Parquet => Vec::new(),
            },
            statements: attach.map(Secret::new).into_iter().collect(),
            secrets: Vec::new(),
        };
        let run = || {
            self.engine.attach("attach the source", &attachment)?;
            let session = self.engine.session()?;
            session.batch(Call::new("write to the source"), statements)?;
            match attached {
                true => session.batch(Call::new("let go of the source"), "detach d"),
                false => Ok(()),
            }
        };
        run().unwrap_or_else(|error: pintail_lake::Error| panic!("{statements}: {error:?}"));
    }
}

impl Embedded for EngineTable {
    fn name(&self) -> &'static str {
        match self.holder {
            Holder::DuckDb => "a DuckDB file",
            Holder::Lake => "a lake of others",
            Holder::Parquet => "Parquet files",
        }
    }

    fn any_float(&self) -> bool {
        true
    }

    fn applications(&self) -> &Applications {
        &self.applications
    }

    fn applications_mut(&mut self) -> &mut Applications {
        &mut self.applications
    }

    fn make(&mut self) {
        self.rows.clear();
        let key = match self.holder {
            Holder::DuckDb => " primary key",
            Holder::Lake => "",
            Holder::Parquet => return self.export(),
        };
        let required = match self.applications.setting().nulls {
            None => " not null",
            Some(_) => "",
        };
        self.execute(&format!(
            "create table d.main.{} (id bigint{key}, value bigint not null, note varchar, price decimal(12,2), \
             updated_at {}{required}, ratio double)",
            quote::identifier(self.applications.table()),
            self.cursor_type()
        ));
    }

    fn has_key(&self) -> bool {
        self.holder == Holder::DuckDb
    }

    fn address(&self) -> String {
        match self.holder {
            Holder::DuckDb => format!("duckdb:{}", self.path(".duckdb").display()),
            Holder::Lake => format!(
                "ducklake:sqlite:{}?data_path={}",
                self.path(".sqlite").display(),
                self.path("_data").display()
            ),
            Holder::Parquet => format!("files:{}/", self.folder.path().display()),
        }
    }

    fn apply(&mut self, changes: &[Stamped]) -> Written {
        let mut written = Written::new();
        for (at, Change { id, what }) in changes {
            let row = self.applications.row(*at, what);
            match &row {
                Some(row) => self.rows.insert(*id, row.clone()),
                None => self.rows.remove(id),
            };
            written.push((*id, row));
        }
        let ids: BTreeSet<i64> = written.iter().map(|(id, _)| *id).collect();
        match self.holder {
            _ if ids.is_empty() => {}
            Holder::Parquet => self.export(),
            Holder::DuckDb | Holder::Lake => self.change(&ids),
        }
        written
    }

    fn at_once(&self) -> bool {
        self.holder == Holder::DuckDb
    }
}
