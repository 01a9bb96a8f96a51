//! The table of the ledger.

use pintail_lake::database::ledger::COLUMNS;
use pintail_lake::{Result, Session};
use pintail_model::TableName;

use super::super::quote::{identifier, table as qualified};
use super::server::execute;
use super::temporary::make_known;

/// Makes the ledger where it is missing.
pub(super) fn install(session: &Session, alias: &str, ledger: &TableName) -> Result<()> {
    session.begin()?;
    let made = make(session, alias, ledger);
    session.rollback();
    made
}

fn make(session: &Session, alias: &str, ledger: &TableName) -> Result<()> {
    let label = "make the ledger of the database";
    let definitions: Vec<String> = COLUMNS
        .iter()
        .map(|name| {
            let kind = match *name {
                "partition_key" => "varchar(700) primary key",
                "row_count" | "fence" | "position" => "bigint not null",
                "cursor_column" | "watermark_type" | "watermark" => "longtext null",
                _ => "longtext not null",
            };
            format!("{} {kind}", identifier(name))
        })
        .collect();
    let sql = format!(
        "create table if not exists {} ({}) engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin",
        qualified(ledger),
        definitions.join(", ")
    );
    execute(session, alias, label, &sql)?;
    let known: Vec<(&str, String)> = COLUMNS
        .iter()
        .map(|name| match *name {
            "row_count" | "fence" | "position" => (*name, "bigint".to_owned()),
            _ => (*name, "varchar".to_owned()),
        })
        .collect();
    make_known(session, alias, ledger, &known)
}
