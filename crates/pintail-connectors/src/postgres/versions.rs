//! Versions of rows: what Postgres keeps of each without a look into it.
//!
//! Whoever writes a row gives it the number of their transaction, `xmin`. Freezing leaves it as it is (since version 9.4), and
//! so do VACUUM, ANALYZE and locks of rows. The sum of a leaf hashes it together with the key, so that changes do not cancel
//! each other out.
//!
//! What it does not tell, and who looks instead:
//! - Numbers come again after 2³² transactions: [`lineage`] counts all of them.
//! - Another server, one that was upgraded, and one that another timeline made have the same numbers for other rows: the
//!   lineage names them. A data folder that was put back from a copy goes back in transactions, too, as long as it has not
//!   caught up with what was lost.
//! - A table that is written anew (TRUNCATE, VACUUM FULL, CLUSTER, most of ALTER TYPE) has another file: its identity.
//! - A text that Postgres makes from other things than the row changes without it. The label of an enum can be renamed, so
//!   columns of types that somebody made are refused.

use pintail_lake::connector::ColumnRead;
use pintail_lake::digest::{Digest, DigestLeaves, DigestRequest, Lineage};
use pintail_lake::quote::identifier;
use pintail_lake::{Result, Session};
use pintail_model::Range;

use super::catalog;
use super::digest::{leaf, row_digest};
use super::scan::{from, query};
use super::types::{Route, route, written_by_itself};

pub(super) fn sums(alias: &str, request: &DigestRequest) -> std::result::Result<Digest, String> {
    if request.relation.query.is_some() {
        return Err("rows of joins, filters and expressions have no versions".to_owned());
    }
    let unfit: Vec<String> = request
        .columns
        .iter()
        .filter(|read| !follows_its_row(read))
        .map(|read| format!("`{}` ({})", read.source.name, read.source.source_type))
        .collect();
    if !unfit.is_empty() {
        return Err(format!(
            "the text of {} can change without its row",
            unfit.join(", ")
        ));
    }
    let key = match &request.leaves {
        DigestLeaves::Ranges { key, .. } => format!("{}::bigint", identifier(&key.source.name)),
        DigestLeaves::Buckets { key, .. } => row_digest(key)?,
    };
    let sql = format!(
        "select leaf, count(*) as rows, sum(version)::text as versions from (select {} as leaf, \
         hashint8extended({key}, xmin::text::bigint) as version from {} offset 0) as r group by leaf",
        leaf(&request.leaves)?,
        from(&request.relation, &Range::Whole)
    );
    Ok(Digest {
        sql: format!(
            "select leaf::bigint, rows::bigint, versions::hugeint\nfrom {}",
            query(alias, &sql)
        ),
        pushed_down: sql,
    })
}

/// Whether what arrives of a column changes only with its row.
fn follows_its_row(read: &ColumnRead) -> bool {
    match route(&read.source, read.column.logical_type) {
        Some(Route::AsText) => written_by_itself(&read.source.source_type),
        Some(_) => true,
        None => false,
    }
}

pub(super) fn lineage(session: &Session, alias: &str) -> Result<std::result::Result<Lineage, String>> {
    let sql = "select pg_is_in_recovery() as standby, \
         case when not pg_is_in_recovery() then concat_ws(' ', \
           (select system_identifier from pg_control_system()), \
           left(pg_walfile_name(pg_current_wal_lsn()), 8), \
           current_setting('server_version_num')::int / 10000, \
           (select oid from pg_database where datname = current_database())) end as identity, \
         pg_snapshot_xmax(pg_current_snapshot())::text::bigint as transactions";
    let rows = catalog::rows(session, alias, "look up the history of the source", sql)?;
    let found = rows.first();
    Ok(
        match found.map(|row| (row.text(1), row.integer(2), row.boolean(0))) {
            Some((Some(identity), Some(transactions), false)) => Ok(Lineage {
                identity: identity.to_owned(),
                transactions,
            }),
            Some((_, _, true)) => Err("the server is a standby".to_owned()),
            _ => Err("the server does not tell its history".to_owned()),
        },
    )
}
