//! What of a database is to be captured.

use pintail_model::{ErrorKind, TableName};

use super::CreateRequest;
use crate::catalog::{self, Catalog, FoundTable};
use crate::error::{Error, Result};
use crate::manifest::{DatabaseObject, TableEntry, needed};
use crate::table_file::TableFile;

/// What there is to capture.
#[derive(Default)]
pub(crate) struct Looked {
    pub(crate) tables: Vec<(FoundTable, TableFile)>,
    /// Tables of which everything is known.
    pub(crate) known: Vec<TableEntry>,
    pub(crate) objects: Vec<DatabaseObject>,
    pub(crate) warnings: Vec<String>,
}

impl Looked {
    /// Looks at a database, as the session of `catalog` sees it. `address` names it in errors.
    pub(crate) fn at(catalog: Catalog<'_>, request: &CreateRequest, address: &str) -> Result<Self> {
        let tables = chosen(catalog::tables(catalog)?, &request.tables, address)?;
        let files = tables
            .iter()
            .map(|table| TableFile::of(&table.name(), &table.schema.columns))
            .collect::<Result<Vec<_>>>()?;
        let (objects, warnings) = objects(catalog, request, &tables)?;
        Ok(Self {
            tables: tables.into_iter().zip(files).collect(),
            known: Vec::new(),
            objects,
            warnings,
        })
    }
}

/// With all tables, everything that stands beside them; with some, what the statements of these name.
fn objects(
    catalog: Catalog<'_>,
    request: &CreateRequest,
    tables: &[FoundTable],
) -> Result<(Vec<DatabaseObject>, Vec<String>)> {
    let (objects, warnings) = catalog::objects(catalog)?;
    if request.tables.is_empty() {
        return Ok((objects, warnings));
    }
    let statements: Vec<&str> = tables.iter().map(|table| table.ddl.as_str()).collect();
    let objects = needed(&objects, &statements).into_iter().cloned().collect();
    Ok((objects, Vec::new()))
}

/// The tables that are meant.
fn chosen(found: Vec<FoundTable>, wanted: &[TableName], address: &str) -> Result<Vec<FoundTable>> {
    for name in wanted {
        let known = found
            .iter()
            .any(|table| table.named(name.schema_or("main"), &name.table));
        if !known {
            return Err(Error::refused(
                ErrorKind::NotFound,
                format!("{address} has no table \"{name}\""),
                "Write `table` for one of schema `main`, or `schema.table`; a part with dots stands in double quotes.",
            ));
        }
    }
    let meant = |table: &FoundTable| {
        wanted
            .iter()
            .any(|name| table.named(name.schema_or("main"), &name.table))
    };
    Ok(match wanted {
        [] => found,
        _ => found.into_iter().filter(meant).collect(),
    })
}
