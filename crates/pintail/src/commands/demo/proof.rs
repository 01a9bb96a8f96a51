//! Both sides of the demo, asked by queries of their own: nothing here comes from what a run reported.

use pintail_lake::{Access, Call, Engine, Row, Session, TextTable, quote};
use pintail_model::ErrorKind;
use pintail_sync::SyncRequest;
use pintail_sync::plan::SOURCE;

use crate::diagnostics::Diagnostic;
use crate::numbers;

/// Both sides, open for looking.
pub(super) struct Proof {
    session: Session,
    /// The query that reads the whole source with the types of the lake.
    source: String,
    /// The lake's table, in SQL.
    lake: String,
    columns: String,
}

/// What one side holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    rows: u64,
    checksum: String,
}

impl Held {
    pub(super) fn row(&self, name: &str) -> Vec<String> {
        vec![name.to_owned(), numbers::count(self.rows), self.checksum.clone()]
    }
}

impl Proof {
    /// Attaches both sides of a full load.
    pub(super) fn open(request: &SyncRequest) -> Result<Self, Diagnostic> {
        let plan = pintail_sync::plan(request)?;
        let whole = plan.partitions.first().ok_or_else(|| {
            Diagnostic::new(
                ErrorKind::Internal,
                "a full load of the demo has no partition to look at",
            )
        })?;
        let engine = Engine::open(&request.engine)?;
        engine.attach("attach the shop", &request.source.attachment(SOURCE))?;
        let lake = request.destination.attach(&engine, Access::ReadOnly)?;
        let session = lake.session()?;
        session.batch(Call::new("use the lake"), "use lake")?;
        // Both sides are looked at in one transaction, which ends with the session.
        request.source.begin_snapshot(&session, SOURCE)?;
        Ok(Self {
            session,
            source: whole.scan.sql.clone(),
            lake: quote::table("lake", &plan.table, "main"),
            columns: quote::identifiers(&plan.shape.names()),
        })
    }

    /// What the source holds.
    pub(super) fn source(&self) -> Result<Held, Diagnostic> {
        self.held(&format!("({})", self.source))
    }

    /// What the lake holds.
    pub(super) fn lake(&self) -> Result<Held, Diagnostic> {
        self.held(&self.lake)
    }

    /// Rows, and the sum of their hashes: it does not depend on order, and sees what comes twice.
    fn held(&self, rows: &str) -> Result<Held, Diagnostic> {
        let sql = format!(
            "select count(*), to_hex((sum(hash({})) % 18446744073709551616)::ubigint) from {rows} as side",
            self.columns
        );
        let answer = self
            .session
            .query(Call::new("sum up one side of the demo"), &sql)?;
        let row = answer.first().cloned().unwrap_or(Row(Vec::new()));
        Ok(Held {
            rows: row
                .integer(0)
                .and_then(|rows| u64::try_from(rows).ok())
                .unwrap_or(0),
            checksum: format!("{:0>16}", row.text(1).unwrap_or_default().to_lowercase()),
        })
    }

    /// The snapshots that changed the orders since `first`: number, time, and what the table held.
    pub(super) fn snapshots(&self, first: i64) -> Result<Vec<Vec<String>>, Diagnostic> {
        let sql = format!(
            "select snapshot_id, snapshot_time::varchar
             from lake.snapshots()
             where snapshot_id >= {first}
             order by snapshot_id"
        );
        let found = self.session.query(Call::new("list the lake's snapshots"), &sql)?;
        let mut rows = Vec::new();
        for snapshot in found {
            let Some(version) = snapshot.integer(0) else {
                continue;
            };
            let held = self.ask(&format!(
                "select count(*), sum(amount), count(*) filter (status = 'packed'), count(*) filter (status = 'shipped')
                 from {} at (version => {version})",
                self.lake
            ))?;
            let time = snapshot
                .text(1)
                .and_then(|time| time.get(11..19))
                .unwrap_or_default();
            let held = held
                .rows
                .into_iter()
                .flatten()
                .map(|value| grouped(&value.unwrap_or_default()));
            rows.push(
                [version.to_string(), time.to_owned()]
                    .into_iter()
                    .chain(held)
                    .collect(),
            );
        }
        Ok(rows)
    }

    /// Asks the lake.
    pub(super) fn ask(&self, query: &str) -> Result<TextTable, Diagnostic> {
        Ok(self.session.table(Call::new("ask the lake of the demo"), query)?)
    }
}

/// A number in digits, as people read it.
fn grouped(digits: &str) -> String {
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), numbers::count);
    fraction.map_or(whole.clone(), |fraction| format!("{whole}.{fraction}"))
}
