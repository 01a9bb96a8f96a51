//! What the source said of the versions of its rows when both sides were last proven equal.

use jiff::Timestamp;
use pintail_model::{Checksum, LeafChecksums, PartitionKey};
use rusqlite::{OptionalExtension, params};

use super::State;
use crate::error::Result;

/// What sums of versions are kept, and what they hold for. The sums themselves are read apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// Names what was compared.
    pub compared: String,
    /// The source's history.
    pub lineage: String,
    /// Its transactions until then.
    pub transactions: i64,
    /// The file of its table.
    pub storage: String,
    /// The destination's number of the table.
    pub table_id: Option<i64>,
    /// The newest entry of the destination's ledger.
    pub ledger_key: Option<PartitionKey>,
    /// What changes with the destination's rows.
    pub token: Option<String>,
    /// Keys of a leaf, where leaves are ranges.
    pub width: Option<i64>,
    /// Bits of the digest of the key, where they are not.
    pub bits: Option<u32>,
    /// When both sides were equal.
    pub kept_at: Timestamp,
}

/// Bytes of a leaf.
const LEAF: usize = 32;

impl State {
    /// What is kept of `pipeline`, but for the sums.
    pub fn baseline(&self, pipeline: &str) -> Result<Option<Baseline>> {
        if self.version()? < 2 {
            // Whoever only looks does not bring the tables up to date.
            return Ok(None);
        }
        let failed = self.failed("read");
        self.connection
            .query_row(
                "select compared, lineage, transactions, storage, table_id, ledger_key, token, width, bits, kept_at
                 from baselines where pipeline = ?",
                [pipeline],
                |row| {
                    let kept_at: String = row.get(9)?;
                    Ok(Baseline {
                        compared: row.get(0)?,
                        lineage: row.get(1)?,
                        transactions: row.get(2)?,
                        storage: row.get(3)?,
                        table_id: row.get(4)?,
                        ledger_key: row.get::<_, Option<String>>(5)?.map(PartitionKey::from_stored),
                        token: row.get(6)?,
                        width: row.get(7)?,
                        bits: row.get(8)?,
                        kept_at: kept_at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
                    })
                },
            )
            .optional()
            .map_err(failed)
    }

    /// The sums of the versions that are kept.
    pub fn baseline_leaves(&self, pipeline: &str) -> Result<LeafChecksums> {
        let failed = self.failed("read");
        let bytes: Option<Vec<u8>> = self
            .connection
            .query_row(
                "select leaves from baselines where pipeline = ?",
                [pipeline],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?;
        Ok(decode(&bytes.unwrap_or_default()))
    }

    /// Keeps sums instead of those that were kept before.
    pub fn keep_baseline(
        &mut self,
        pipeline: &str,
        baseline: &Baseline,
        leaves: &LeafChecksums,
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "insert or replace into baselines
                     (pipeline, compared, lineage, transactions, storage, table_id, ledger_key, token, width, bits, leaves,
                      kept_at)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    pipeline,
                    baseline.compared,
                    baseline.lineage,
                    baseline.transactions,
                    baseline.storage,
                    baseline.table_id,
                    baseline.ledger_key.as_ref().map(PartitionKey::as_str),
                    baseline.token,
                    baseline.width,
                    baseline.bits,
                    encode(leaves),
                    baseline.kept_at.to_string()
                ],
            )?;
            Ok(())
        })
    }

    /// Forgets what is kept.
    pub fn forget_baseline(&mut self, pipeline: &str) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute("delete from baselines where pipeline = ?", [pipeline])?;
            Ok(())
        })
    }
}

fn encode(leaves: &LeafChecksums) -> Vec<u8> {
    let leaf = |(leaf, checksum): (&i64, &Checksum)| {
        let words = [leaf.cast_unsigned(), checksum.rows, checksum.sum, checksum.mixed];
        words.map(u64::to_le_bytes).concat()
    };
    leaves.0.iter().flat_map(leaf).collect()
}

fn decode(bytes: &[u8]) -> LeafChecksums {
    let leaf = |bytes: &[u8]| {
        let word = |index: usize| {
            let bytes = bytes[index * 8..][..8].try_into();
            u64::from_le_bytes(bytes.expect("eight bytes"))
        };
        let checksum = Checksum {
            rows: word(1),
            sum: word(2),
            mixed: word(3),
        };
        (word(0).cast_signed(), checksum)
    };
    LeafChecksums(bytes.chunks_exact(LEAF).map(leaf).collect())
}
