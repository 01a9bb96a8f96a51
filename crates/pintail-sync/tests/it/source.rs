//! A source for tests: a DuckDB file behind the connector contract, which says of time what the test tells it to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use pintail_lake::connector::{
    Attachment, Capabilities, ColumnRead, Connector, ListedTable, OldestTransaction, ReadPoint, Scan,
    ScanRequest, SnapshotId, SourceColumn, TableDescription, TableKind,
};
use pintail_lake::digest::{Digest, DigestLeaves, DigestRequest};
use pintail_lake::relation::{Dialect, Relation};
use pintail_lake::{Call, Error, Result, Session, quote};
use pintail_model::{CursorType, CursorValue, ErrorKind, KeyValue, LogicalType, Range, Secret, TableName};

/// What the source says, beside its rows.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) oldest: OldestTransaction,
    pub(crate) zone_offset_micros: i64,
    pub(crate) time_zone: Option<String>,
    pub(crate) capabilities: Capabilities,
    /// Whether it sums up its rows by itself.
    pub(crate) sums_up: bool,
    /// Added to every count: a source that loses rows on the way.
    pub(crate) miscounts_by: i64,
    /// Rows of a page.
    pub(crate) page_rows: u64,
    /// Bytes that the table claims to have.
    pub(crate) bytes: Option<u64>,
    /// What identifies the table beyond its name.
    pub(crate) table_identity: Option<String>,
    /// What identifies its columns beyond their names.
    pub(crate) column_identity: Option<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            oldest: OldestTransaction::None,
            zone_offset_micros: 0,
            time_zone: Some("UTC".to_owned()),
            capabilities: Capabilities {
                page_ranges: true,
                range_pushdown: true,
                key_ranges: true,
                shared_snapshot: true,
                oldest_transaction: true,
                own_catalogue: false,
                parallel_scans: true,
            },
            sums_up: false,
            miscounts_by: 0,
            page_rows: 100,
            bytes: None,
            table_identity: None,
            column_identity: None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct FileSource {
    pub(crate) path: PathBuf,
    pub(crate) script: Arc<Mutex<Script>>,
}

impl FileSource {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            script: Arc::default(),
        }
    }

    fn script(&self) -> Script {
        self.script.lock().expect("no holder panics").clone()
    }
}

fn logical(duckdb: &str) -> Option<LogicalType> {
    Some(match duckdb {
        "BOOLEAN" => LogicalType::Boolean,
        "SMALLINT" => LogicalType::Int16,
        "INTEGER" => LogicalType::Int32,
        "BIGINT" => LogicalType::Int64,
        "DOUBLE" => LogicalType::Float64,
        "VARCHAR" => LogicalType::Text,
        "DATE" => LogicalType::Date,
        "TIMESTAMP" => LogicalType::Timestamp,
        "TIMESTAMP WITH TIME ZONE" => LogicalType::TimestampTz,
        "DECIMAL(12,2)" => LogicalType::Decimal {
            precision: 12,
            scale: 2,
        },
        _ => return None,
    })
}

fn condition(range: &Range, page_rows: u64) -> String {
    match range {
        Range::Whole => "true".to_owned(),
        Range::Pages { first, end } => {
            let end = end
                .map(|end| format!(" and rowid < {}", end * page_rows))
                .unwrap_or_default();
            format!("rowid >= {}{end}", first * page_rows)
        }
        Range::Key {
            column,
            low,
            high,
            with_null,
        } => {
            let column = quote::identifier(column);
            let low = low
                .map(|low| format!(" and {column} >= {low}"))
                .unwrap_or_default();
            let high = high
                .map(|high| format!(" and {column} < {high}"))
                .unwrap_or_default();
            let null = if *with_null {
                format!(" or {column} is null")
            } else {
                String::new()
            };
            format!("(true{low}{high}){null}")
        }
        Range::Cursor { column, low, high } => {
            let column = quote::identifier(column);
            let low = low
                .map(|low| format!("{column} >= {} and ", literal(low)))
                .unwrap_or_default();
            format!("{low}{column} < {}", literal(*high))
        }
        Range::CursorNull { column } => format!("{} is null", quote::identifier(column)),
        Range::Listed { column, values } => {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            format!("{} in ({})", quote::identifier(column), values.join(", "))
        }
        Range::Keys {
            columns,
            low,
            high,
            with_null,
        } => {
            let names: Vec<String> = columns.iter().map(|column| quote::identifier(column)).collect();
            let bound = |operator: &str, values: &Option<Vec<KeyValue>>| {
                let values: Option<Vec<String>> = values.as_ref().map(|values| {
                    let literal = |value: &KeyValue| match value {
                        KeyValue::Number(number) => literal(*number),
                        KeyValue::Text(text) | KeyValue::Uuid(text) => quote::literal(text),
                    };
                    values.iter().map(literal).collect()
                });
                values.map_or_else(
                    || "true".to_owned(),
                    |values| format!("({}) {operator} ({})", names.join(", "), values.join(", ")),
                )
            };
            let null: Vec<String> = names.iter().map(|name| format!("{name} is null")).collect();
            let (low, high, null) = (bound(">=", low), bound("<", high), null.join(" or "));
            match with_null {
                true => format!("(({low} and {high}) or {null})"),
                false => format!("({low} and {high} and not ({null}))"),
            }
        }
    }
}

fn from(alias: &str, relation: &Relation) -> String {
    let dialect = Dialect {
        identifier: &quote::identifier,
        table: &|table| quote::table(alias, table, "main"),
    };
    match relation.derived(&dialect, &["rowid"]) {
        Some(query) => format!("{query} as s"),
        None => quote::table(alias, &relation.table, "main"),
    }
}

fn literal(value: CursorValue) -> String {
    let text = quote::literal(&value.text());
    match value {
        CursorValue::Integer(number) => number.to_string(),
        CursorValue::Date(_) => format!("{text}::date"),
        CursorValue::Timestamp(_) => format!("{text}::timestamp"),
        CursorValue::TimestampTz(_) => format!("{text}::timestamptz"),
    }
}

impl Connector for FileSource {
    fn system(&self) -> &'static str {
        "file"
    }

    fn address(&self) -> String {
        "file:shop".to_owned()
    }

    fn identity(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn capabilities(&self) -> Capabilities {
        self.script().capabilities
    }

    fn attachment(&self, alias: &str) -> Attachment {
        let path = quote::literal(&self.path.to_string_lossy());
        Attachment {
            extensions: Vec::new(),
            statements: vec![Secret::new(format!(
                "attach {path} as {} (read_only)",
                quote::identifier(alias)
            ))],
            secrets: Vec::new(),
        }
    }

    fn tables(&self, session: &Session, alias: &str) -> Result<Vec<ListedTable>> {
        let rows = session.query_with(
            Call::new("list the tables"),
            "select table_name from duckdb_tables() where database_name = ? order by 1",
            &[alias],
        )?;
        let listed = |name: &str| ListedTable {
            name: TableName::bare(name),
            kind: TableKind::Table,
        };
        Ok(rows.iter().filter_map(|row| row.text(0).map(listed)).collect())
    }

    fn describe(&self, session: &Session, alias: &str, table: &TableName) -> Result<TableDescription> {
        let call = Call::new("describe a table");
        let columns = session.query_with(
            call,
            "select column_name, data_type, is_nullable from duckdb_columns()
             where database_name = ? and table_name = ? order by column_index",
            &[alias, &table.table],
        )?;
        if columns.is_empty() {
            return Err(Error::refused(
                ErrorKind::NotFound,
                format!("table \"{table}\" does not exist"),
                "Look again.",
            ));
        }
        let key = session.query_with(
            call,
            "select unnest(constraint_column_names) from duckdb_constraints()
             where database_name = ? and table_name = ? and constraint_type = 'PRIMARY KEY'",
            &[alias, &table.table],
        )?;
        let qualified = quote::table(alias, table, "main");
        let rows = session.query(call, &format!("select count(*) from {qualified}"))?[0]
            .integer(0)
            .unwrap_or(0);
        let rows = u64::try_from(rows).expect("a count");
        let script = self.script();
        let mut described = Vec::new();
        for row in &columns {
            let (name, kind) = (row.text(0).expect("a name"), row.text(1).expect("a type"));
            let logical_type = logical(kind);
            let unit = match logical_type {
                Some(LogicalType::Int16 | LogicalType::Int32 | LogicalType::Int64) => "",
                Some(LogicalType::Timestamp | LogicalType::TimestampTz) => "epoch_us",
                _ => "none",
            };
            let mut histogram = Vec::new();
            if unit != "none" && rows > 0 {
                let column = quote::identifier(name);
                let sql = format!(
                    "select {unit}(min({column}))::bigint, {unit}(max({column}))::bigint from {qualified}"
                );
                let found = &session.query(call, &sql)?[0];
                histogram.extend([found.integer(0), found.integer(1)].into_iter().flatten());
            }
            described.push(SourceColumn {
                name: name.to_owned(),
                source_type: kind.to_lowercase(),
                logical_type,
                carrier: None,
                origin: None,
                nullable: row.boolean(2),
                identity: script.column_identity.clone(),
                histogram,
            });
        }
        Ok(TableDescription {
            name: TableName::new("main", &table.table),
            identity: script.table_identity.clone(),
            indexed: described.iter().map(|column| column.name.clone()).collect(),
            columns: described,
            key: key
                .iter()
                .filter_map(|row| row.text(0).map(str::to_owned))
                .collect(),
            rows: Some(rows),
            pages: script
                .capabilities
                .page_ranges
                .then(|| rows.div_ceil(script.page_rows)),
            bytes: script.bytes,
            storage_identity: Some("1".to_owned()),
        })
    }

    fn reads_as(&self, column: &SourceColumn, wanted: LogicalType) -> bool {
        wanted == LogicalType::Text || column.logical_type == Some(LogicalType::Text)
    }

    fn reads_queries(&self) -> bool {
        true
    }

    fn read_point(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        (column, kind): (&str, CursorType),
        now: Timestamp,
    ) -> Result<ReadPoint> {
        let cursor_max = if kind == CursorType::Integer {
            let table = from(alias, relation);
            let sql = format!("select max({})::bigint from {table}", quote::identifier(column));
            session.query(Call::new("read the largest cursor"), &sql)?[0].integer(0)
        } else {
            None
        };
        let Script {
            oldest,
            zone_offset_micros,
            time_zone,
            ..
        } = self.script();
        Ok(ReadPoint {
            now,
            zone_offset_micros,
            time_zone,
            oldest,
            cursor_max,
            seen_at: now,
        })
    }

    fn begin_snapshot(&self, session: &Session, _alias: &str) -> Result<Option<SnapshotId>> {
        session.begin()?;
        Ok(self
            .script()
            .capabilities
            .shared_snapshot
            .then(|| SnapshotId("1".to_owned())))
    }

    fn join_snapshot(&self, session: &Session, _alias: &str, _snapshot: &SnapshotId) -> Result<()> {
        session.begin()
    }

    fn scan(&self, alias: &str, request: &ScanRequest) -> Scan {
        let read = |read: &ColumnRead| {
            let (source, column) = (quote::identifier(&read.source.name), &read.column);
            if read.source.logical_type == Some(column.logical_type) {
                format!("{source} as {}", quote::identifier(&column.name))
            } else {
                format!(
                    "{source}::{} as {}",
                    column.logical_type,
                    quote::identifier(&column.name)
                )
            }
        };
        let columns: Vec<String> = request.columns.iter().map(read).collect();
        let table = from(alias, &request.relation);
        let condition = condition(&request.range, self.script().page_rows);
        Scan {
            sql: format!("select {}\nfrom {table}\nwhere {condition}", columns.join(", ")),
            pushed_down: None,
        }
    }

    fn digest(&self, alias: &str, request: &DigestRequest) -> std::result::Result<Digest, String> {
        if !self.script().sums_up {
            return Err("the source has no function for that".to_owned());
        }
        let names: Vec<&str> = request
            .columns
            .iter()
            .map(|read| read.column.name.as_str())
            .collect();
        let scan = ScanRequest {
            relation: request.relation.clone(),
            columns: request.columns.clone(),
            range: Range::Whole,
        };
        let rows = format!("({})", self.scan(alias, &scan).sql);
        let sql = request.leaves.sums(&rows, &names);
        Ok(Digest {
            pushed_down: sql.clone(),
            sql,
        })
    }

    fn scan_leaves(
        &self,
        alias: &str,
        request: &ScanRequest,
        leaves: &DigestLeaves,
        wanted: &[i64],
    ) -> Option<Scan> {
        let rows = format!("({})", self.scan(alias, request).sql);
        Some(Scan {
            sql: leaves.rows_of(&rows, wanted),
            pushed_down: None,
        })
    }

    fn count(&self, alias: &str, relation: &Relation, range: &Range) -> String {
        let Script {
            miscounts_by,
            page_rows,
            ..
        } = self.script();
        let more = if miscounts_by == 0 {
            String::new()
        } else {
            format!(" + {miscounts_by}")
        };
        let table = from(alias, relation);
        format!(
            "select count(*){more} from {table} where {}",
            condition(range, page_rows)
        )
    }
}
