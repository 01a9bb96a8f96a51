//! Whether the source's versions of its rows tell what changed since both sides were last equal. Pure.
//!
//! What was kept then holds as long as nothing but rows of the source can have changed since. Whenever something else may
//! have, both sides are read, and the sums are kept anew.

use pintail_lake::digest::{DigestLeaves, Lineage};
use pintail_model::checksum;

use super::way::request;
use super::{ASKED_FOR, Comparison, Draft, Facts, Keep, PipelinePlan, SOURCE, Sums, Way};
use crate::state::Baseline;

/// Numbers of transactions have 32 bits: beyond half of them nobody can say which of two came first.
const TRANSACTIONS_MAX: i64 = 1 << 31;

/// Compares versions if what is kept of them holds, and both sides if it does not.
///
/// # Errors
/// Why the source has no versions that could be compared.
pub(super) fn choose(draft: &Draft<'_>, plan: &PipelinePlan) -> Result<Comparison, String> {
    let facts = draft.facts;
    if let Some(hidden) = &facts.hidden {
        return Err(format!(
            "what the source shows may change without its rows: {hidden}"
        ));
    }
    if facts.table.pages.is_none() || facts.table.storage_identity.is_none() {
        return Err("the source does not tell where the rows of the table lie".to_owned());
    }
    let compared = fingerprint(draft, plan);
    let baseline = facts.history.baseline.as_ref();
    let known = baseline.filter(|baseline| baseline.compared == compared);
    let leaves = known.and_then(|baseline| leaves_of(baseline, plan));
    let request = request(draft, plan, leaves)?;
    let digest = draft.connector.row_versions(SOURCE, &request)?;
    let sums = Sums {
        leaves: request.leaves,
        digest,
    };
    let read = |reason: String, keep| Comparison {
        way: Way::Stream,
        reason,
        keep,
        expected_bytes: None,
    };
    let lineage = match facts.versions.as_ref().map(|versions| &versions.lineage) {
        Some(Ok(lineage)) => lineage,
        Some(Err(reason)) => return Ok(read(format!("`stored` has nothing to go by: {reason}"), None)),
        None => return Ok(read("`stored` has nothing to go by".to_owned(), None)),
    };
    let keep = Some(Keep {
        baseline: now(facts, compared, lineage, &sums),
        sums: sums.clone(),
    });
    Ok(
        match baseline.map(|baseline| broken(facts, baseline, keep.as_ref())) {
            None => read(
                "`stored` has nothing to go by: no comparison has kept any sums yet".to_owned(),
                keep,
            ),
            Some(Some(reason)) => read(format!("`stored` has nothing to go by: {reason}"), keep),
            Some(None) => Comparison {
                way: Way::Stored(sums),
                reason: ASKED_FOR.to_owned(),
                keep,
                expected_bytes: None,
            },
        },
    )
}

/// What sums hold for that are taken now.
fn now(facts: &Facts, compared: String, lineage: &Lineage, sums: &Sums) -> Baseline {
    let (width, bits) = match &sums.leaves {
        DigestLeaves::Ranges { width, .. } => (Some(*width), None),
        DigestLeaves::Buckets { bits, .. } => (None, Some(*bits)),
    };
    Baseline {
        compared,
        lineage: lineage.identity.clone(),
        transactions: lineage.transactions,
        storage: facts.table.storage_identity.clone().unwrap_or_default(),
        table_id: facts.found.as_ref().map(|table| table.table_id),
        ledger_key: facts.ledger.as_ref().map(|entry| entry.key.clone()),
        token: facts
            .versions
            .as_ref()
            .and_then(|versions| versions.token.clone()),
        width,
        bits,
        kept_at: facts.now,
    }
}

/// Why sums that are kept say nothing about now.
fn broken(facts: &Facts, then: &Baseline, keep: Option<&Keep>) -> Option<String> {
    let now = &keep?.baseline;
    let noun = facts.noun;
    let reason = if then.compared != now.compared {
        "the pipeline, or a column of its tables, is another one than before".to_owned()
    } else if then.lineage != now.lineage {
        "the server is another one, or was restored or upgraded".to_owned()
    } else if then.storage != now.storage {
        "the source's table was written anew".to_owned()
    } else if now.transactions < then.transactions {
        "the server was set back to an earlier state".to_owned()
    } else if now.transactions - then.transactions >= TRANSACTIONS_MAX {
        "so many transactions have passed that their numbers cannot be told apart".to_owned()
    } else if (then.table_id, &then.ledger_key) != (now.table_id, &now.ledger_key) {
        format!("another run has written to the {noun} since")
    } else if then.token != now.token {
        format!("somebody else has written to the {noun}'s table since")
    } else {
        return None;
    };
    Some(reason)
}

/// The leaves in which sums are kept.
fn leaves_of(baseline: &Baseline, plan: &PipelinePlan) -> Option<DigestLeaves> {
    let key = plan.shape.only(&plan.shape.key).columns;
    match (baseline.width, baseline.bits, key.as_slice()) {
        (Some(width), _, [key]) => Some(DigestLeaves::Ranges {
            key: Box::new(key.clone()),
            width,
        }),
        (None, Some(bits), _) => Some(DigestLeaves::Buckets { key, bits }),
        _ => None,
    }
}

/// Names what is compared: the columns, the key and the tables.
fn fingerprint(draft: &Draft<'_>, plan: &PipelinePlan) -> String {
    let text = format!("1 {} {:?}", plan.hash, plan.compared);
    format!(
        "{:016x} {}",
        checksum::bytes_word(text.as_bytes()),
        draft.facts.source_identity
    )
}
