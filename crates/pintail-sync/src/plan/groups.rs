//! The plan of a delta of aggregates: the groups of rows that changed, computed anew.
//!
//! Rows that changed are looked for from the watermark on and without an upper bound: whatever a group counts has to be on
//! record, also what is newer than the watermark will be. What they count in now the source tells, what they counted in
//! before is [on record](crate::memberships).

use pintail_lake::connector::{ColumnRead, ScanRequest, SourceColumn, TableDescription};
use pintail_lake::relation::{Output, OutputValue, Query};
use pintail_lake::{Relation, quote};
use pintail_model::{Column, CursorValue, LogicalType, Range};

use super::delta::{self, Window};
use super::{Choice, Draft, NullRows, PartitionPlan, PipelinePlan, PlanKind, SOURCE, reuse};
use crate::error::Result;
use crate::memberships::Memberships;
use crate::partition;
use crate::plan::Facts;
use crate::spec::{DeltaSpec, NullCursor};

/// Names of the key and the cursor beside the groups.
const KEY: &str = "pintail_key_";
const CURSOR: &str = "pintail_cursor";

/// How changed rows are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Names of the key in what follows, and in the kept files.
    pub key: Vec<String>,
    /// Yields keys and groups of changed rows, as they are now.
    pub rows: String,
    /// Yields keys of changed rows, whether they are in a group or not; `None` if all of them are.
    pub keys: Option<String>,
}

/// Lays out what is kept of rows and groups: for every plan that writes groups which a delta may follow.
pub(super) fn memberships(draft: &Draft<'_>) -> Option<Memberships> {
    let (facts, relation) = (draft.facts, Members::new(draft).ok()?);
    facts.shape.followed()?;
    Some(Memberships {
        kept: facts.kept.clone()?,
        identity: relation.identity(facts),
        ledger: facts.ledger.as_ref().map(|entry| entry.run.clone()),
        all: relation.scan(draft, Range::Whole),
    })
}

/// Why the groups of changed rows cannot be told, as the end of a sentence.
pub(super) fn obstacle(draft: &Draft<'_>) -> Option<String> {
    let check = || {
        if draft.spec.deletes.mark().is_some() {
            return Err("with `policy: soft`, groups that are gone are marked".to_owned());
        }
        if let Err(obstacle) = &draft.facts.shape.cursor {
            return Err(obstacle.clone());
        }
        Members::new(draft)?;
        let members = memberships(draft).ok_or("nothing is kept of rows and groups")?;
        members.kept.files(&members.identity, members.ledger.as_ref())?;
        Ok(())
    };
    check().err()
}

pub(super) fn plan(
    draft: &Draft<'_>,
    choice: Choice,
    settings: &DeltaSpec,
    low: CursorValue,
) -> Result<PipelinePlan> {
    let facts = draft.facts;
    let hash = draft.hash(PlanKind::Groups, &choice.strategy, Some(settings));
    let mut plan = draft.plan(choice, PlanKind::Groups, hash);
    plan.low = Some(low);
    let (Ok(members), Some(cursor), Some(main)) =
        (Members::new(draft), facts.shape.followed().cloned(), &facts.main)
    else {
        return Ok(plan);
    };
    let main = Relation::from(&main.name);
    plan.null_rows = delta::null_rows(&cursor, settings);
    if matches!(plan.null_rows, NullRows::Fail | NullRows::Skip) {
        let range = Range::CursorNull {
            column: cursor.source.clone(),
        };
        plan.null_count = Some(draft.connector.count(SOURCE, &main, &range));
    }
    let Window { bound, from } = delta::look(draft, &mut plan, settings, low)?;
    let Some(high) = bound.high else {
        return Ok(plan);
    };
    plan.watermark = bound.watermark().filter(|high| *high > low);
    if from >= high {
        plan.notes
            .push(format!("nothing to read: everything below {low} was read before"));
        return Ok(plan);
    }
    plan.again = Some(from).filter(|from| *from < low);
    let with_null = settings.null_cursor == NullCursor::Include && cursor.nullable;
    let ranges = |column: &str| {
        let column = column.to_owned();
        let null = with_null.then(|| Range::CursorNull {
            column: column.clone(),
        });
        let changed = Range::Cursor {
            column,
            low: Some(from),
            high: reuse::far(cursor.cursor_type),
        };
        [changed].into_iter().chain(null)
    };
    // In parentheses: a scan may end with a limit.
    let united = |scans: Vec<String>| match scans.as_slice() {
        [scan] => scan.clone(),
        scans => format!("({})", scans.join(")\nunion all\n(")),
    };
    let rows = united(ranges(CURSOR).map(|range| members.scan(draft, range)).collect());
    let keys = members.partial.then(|| {
        let scan = |range| members.scan_keys(draft, &main, range);
        united(ranges(&cursor.source).map(scan).collect())
    });
    plan.changed = Some(Changed {
        key: members.key_names(),
        rows,
        keys,
    });
    let mut partition =
        PartitionPlan::new(draft.connector, &facts.relation, &facts.shape, Range::Whole, None);
    let range = ranges(&cursor.source).next();
    partition.id = range.as_ref().map(partition::id).unwrap_or_default();
    partition.watermark = plan.watermark;
    plan.partitions.push(partition);
    Ok(plan)
}

/// The rows of groups with their keys: a relation.
struct Members {
    relation: Relation,
    /// The key, in the relation.
    key: Vec<ColumnRead>,
    groups: Vec<ColumnRead>,
    /// Whether rows of the main table may be in no group.
    partial: bool,
}

impl Members {
    /// # Errors
    /// Why there is none, as the end of a sentence.
    fn new(draft: &Draft<'_>) -> std::result::Result<Self, String> {
        let facts = draft.facts;
        let (Some(main), Some(query)) = (&facts.main, &facts.relation.query) else {
            return Err("the pipeline does not group".to_owned());
        };
        if main.key.is_empty() {
            return Err(format!(
                "table \"{}\" has no key, so nobody can tell where a row was before",
                main.name
            ));
        }
        let own = |name: String, column: &str| Output {
            name,
            value: OutputValue::Column {
                alias: query.alias.clone(),
                column: column.to_owned(),
            },
        };
        let groups = query.outputs.iter();
        let mut outputs: Vec<Output> = groups
            .filter(|output| query.group_by.contains(&output.name))
            .cloned()
            .collect();
        let mut key = Vec::new();
        for (name, number) in main.key.iter().zip(1..) {
            let label = format!("{KEY}{number}");
            key.push(key_column(draft, main, name, &label)?);
            outputs.push(own(label, name));
        }
        if let Some(cursor) = facts.shape.followed() {
            outputs.push(own(CURSOR.to_owned(), &cursor.source));
        }
        let columns = facts.shape.columns.iter();
        Ok(Self {
            relation: Relation {
                table: facts.relation.table.clone(),
                query: Some(Query {
                    outputs,
                    group_by: Vec::new(),
                    ..query.clone()
                }),
            },
            key,
            groups: columns
                .filter(|read| facts.shape.told_apart_by().contains(&read.column.name))
                .cloned()
                .collect(),
            partial: !query.joins.is_empty() || !query.filters.is_empty(),
        })
    }

    fn key_names(&self) -> Vec<String> {
        self.key.iter().map(|read| read.column.name.clone()).collect()
    }

    /// A name for what is kept: it cannot be read as anything else.
    fn identity(&self, facts: &Facts) -> String {
        let columns: Vec<(&str, &Column)> = self
            .key
            .iter()
            .chain(&self.groups)
            .map(|read| (read.source.source_type.as_str(), &read.column))
            .collect();
        format!("{} {columns:?}", facts.source_identity)
    }

    fn scan(&self, draft: &Draft<'_>, range: Range) -> String {
        let request = ScanRequest {
            relation: self.relation.clone(),
            columns: self.key.iter().chain(&self.groups).cloned().collect(),
            range,
        };
        draft.connector.scan(SOURCE, &request).sql
    }

    /// The keys of rows of the main table, whether they are in a group or not.
    fn scan_keys(&self, draft: &Draft<'_>, main: &Relation, range: Range) -> String {
        let names = draft.facts.main.iter().flat_map(|main| &main.key);
        let columns = self.key.iter().zip(names).map(|(read, name)| {
            let mut read = read.clone();
            read.source.name.clone_from(name);
            read
        });
        let request = ScanRequest {
            relation: main.clone(),
            columns: columns.collect(),
            range,
        };
        draft.connector.scan(SOURCE, &request).sql
    }
}

fn key_column(
    draft: &Draft<'_>,
    main: &TableDescription,
    name: &str,
    label: &str,
) -> std::result::Result<ColumnRead, String> {
    let missing = || {
        format!(
            "column `{name}` of the key of table \"{}\" cannot be read",
            main.name
        )
    };
    let column = main.column(name).ok_or_else(missing)?;
    let text = draft.connector.reads_as(column, LogicalType::Text);
    let as_text = text.then_some(LogicalType::Text);
    let logical_type = column.logical_type.or(as_text).ok_or_else(missing)?;
    Ok(ColumnRead {
        source: SourceColumn {
            name: label.to_owned(),
            histogram: Vec::new(),
            ..column.clone()
        },
        column: Column {
            name: label.to_owned(),
            logical_type,
            nullable: true,
            origin: None,
        },
    })
}

impl Changed {
    /// Yields the groups that changed rows are in or were in. `kept` are the files on record, `rows` and `keys` what the two
    /// scans yielded.
    #[must_use]
    pub fn groups(&self, group_by: &[String], rows: &str, keys: &str, kept: Option<&str>) -> String {
        let (groups, key) = (quote::identifiers(group_by), quote::identifiers(&self.key));
        let before = kept.map(|kept| {
            format!("\nunion all\nselect {groups} from {kept} as kept semi join (select {key} from {keys}) as changed using ({key})")
        });
        format!(
            "select distinct {groups}\nfrom (\nselect {groups} from {rows}{}\n) as affected",
            before.unwrap_or_default()
        )
    }
}
