//! A plan on paper: its statements, and what it says to people.

use std::fmt;
use std::path::Path;

use pintail_config::units::ByteSize;
use pintail_lake::relation::{Join, Query};
use pintail_lake::{Change, DestinationPlace, StageFolder};
use pintail_model::CursorValue;
use serde::Serialize;

use super::{Caps, Deletes, NullRows, PartitionPlan, PipelinePlan, PlanKind, Shown, Way, statement};
use crate::shape::COUNTED_LEAF;
use crate::spec::DeletePolicy;

/// Where a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// In the source, as it is written here.
    Source,
    /// In the engine, which reads the source through its scanner.
    Engine,
    /// In the engine or in the destination, on what it holds.
    Destination,
}

/// One statement of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Where it runs.
    pub side: Side,
    /// What it is for.
    pub purpose: &'static str,
    /// The statement. `<run>`, `<partition>`, `<n>` and `…` stand for what only a run knows.
    pub sql: String,
}

impl PipelinePlan {
    /// The statements of one partition.
    #[must_use]
    pub fn statements(&self, partition: &PartitionPlan) -> Vec<Statement> {
        let names = self.shape.names();
        let file = self.shown_file(&partition.id);
        let counted = pintail_lake::quote::identifiers(&[self.shape.counted()]);
        let counted = format!("pintail_tap(<n>, ({COUNTED_LEAF})::bigint, {counted})");
        let filter = self.shown_filter().or(Some(counted));
        let scan = partition.shown_scan.as_ref().unwrap_or(&partition.scan);
        let mut statements = match self.kind {
            PlanKind::Groups => return self.group_statements(partition),
            PlanKind::Full | PlanKind::Delta => {
                let sql = statement::stage(
                    &scan.sql,
                    &names,
                    filter.as_deref(),
                    &file,
                    self.shown.stage_options,
                );
                let first = Statement {
                    side: Side::Engine,
                    purpose: "stage the rows",
                    sql,
                };
                vec![first]
            }
            PlanKind::Hash | PlanKind::Deletes | PlanKind::Verify => self.comparing(&scan.sql),
        };
        if let (Some(sql), Way::Stream) = (&scan.pushed_down, &self.comparison.way) {
            let at = statements.len().min(1);
            let statement = Statement {
                side: Side::Source,
                purpose: "as part of it",
                sql: sql.clone(),
            };
            statements.insert(at, statement);
        }
        if self.kind == PlanKind::Hash {
            let rows = match self.shape.integer_key() {
                Some((_, source)) => {
                    format!("by `{source}`, while they are few, and else by another reading")
                }
                None => "by another reading".to_owned(),
            };
            statements.push(Statement {
                side: Side::Engine,
                purpose: "if the sums differ, stage the rows that do",
                sql: format!(
                    "-- {rows}\n{}",
                    statement::stage("…", &names, filter.as_deref(), &file, self.shown.stage_options)
                ),
            });
        }
        let key = self.shape.integer_key().map(|(staged, _)| staged);
        for question in &partition.questions {
            statements.push(Statement {
                side: Side::Engine,
                purpose: "look for rows in doubt",
                sql: statement::in_doubt(key, &file, &question.suspicious),
            });
            statements.push(Statement {
                side: Side::Source,
                purpose: "if there are any, ask about them, by key where they are few",
                sql: question.shown.clone(),
            });
        }
        if self.parity && self.kind == PlanKind::Delta {
            let sql = partition.count.clone();
            statements.push(Statement {
                side: Side::Source,
                purpose: "count the rows independently",
                sql,
            });
        }
        if partition.changed_only {
            let changed = self.shown_file(&format!("{}-changed", partition.id));
            let rows = statement::changed(&self.shown.rows, &self.shape, &partition.range, &file);
            let sql = statement::stage(
                &rows,
                &names,
                filter.as_deref(),
                &changed,
                self.shown.stage_options,
            );
            statements.push(Statement {
                side: Side::Engine,
                purpose: "keep the rows that differ",
                sql,
            });
        }
        statements
    }

    /// The statements of a delta of aggregates.
    fn group_statements(&self, partition: &PartitionPlan) -> Vec<Statement> {
        let Some(changed) = &self.changed else {
            return Vec::new();
        };
        let (rows, keys) = ("<rows that changed>", "<their keys>");
        let engine = |purpose, sql| Statement {
            side: Side::Engine,
            purpose,
            sql,
        };
        let mut statements = vec![engine("find the rows that changed", changed.rows.clone())];
        if let Some(sql) = &changed.keys {
            statements.push(engine("find those that are in no group", sql.clone()));
        }
        let groups = changed.groups(&self.shape.key, rows, keys, Some("<rows on record>"));
        statements.push(engine("find the groups that they are in or were in", groups));
        let (names, filter) = (self.shape.names(), self.shown_filter());
        let stage = |rows: &str, file: &str| {
            statement::stage(rows, &names, filter.as_deref(), file, self.shown.stage_options)
        };
        let file = self.shown_file(&partition.id);
        statements.push(engine(
            "stage these groups, named to the source by an integer or a date where they have one",
            stage(&partition.scan.sql, &file),
        ));
        let changed = self.shown_file(&format!("{}-changed", partition.id));
        let rows = statement::changed(&self.shown.rows, &self.shape, &partition.range, &file);
        statements.push(engine("keep the groups that differ", stage(&rows, &changed)));
        statements
    }

    /// The counts of the source that decide whether the run may go on.
    #[must_use]
    pub fn counts(&self) -> Vec<Statement> {
        let count = |sql: &Option<String>, purpose| {
            sql.clone().map(|sql| Statement {
                side: Side::Source,
                purpose,
                sql,
            })
        };
        let whole = count(&self.whole_count, "count the rows independently");
        let reach = self
            .reuse
            .iter()
            .flat_map(|reuse| &reuse.reach_counts)
            .map(|sql| Statement {
                side: Side::Source,
                purpose: "count the rows that a catch-up can reach",
                sql: sql.clone(),
            });
        whole
            .into_iter()
            .chain(reach)
            .chain(count(&self.null_count, "count the rows without a cursor"))
            .collect()
    }

    /// The statements that bring partitions in: all of them at once in a full load, each on its own in a delta.
    #[must_use]
    pub fn commit_statements(&self) -> Vec<Statement> {
        let file = any_partition(&self.shown.stage);
        let mut statements: Vec<Statement> = self
            .shown
            .commit
            .iter()
            .cloned()
            .map(|sql| Statement {
                side: Side::Destination,
                purpose: "commit",
                sql,
            })
            .collect();
        if let Some(filter) = self.shown_filter() {
            let names = self.shape.names();
            let sql = match self.kind {
                PlanKind::Full | PlanKind::Hash | PlanKind::Deletes | PlanKind::Verify => {
                    statement::all_of(&statement::living(&self.shown.rows_after, &self.shape), &filter)
                }
                PlanKind::Delta | PlanKind::Groups => {
                    statement::keys_of(&self.shown.rows_after, &names, &self.shape.key, &file, &filter)
                }
            };
            statements.push(Statement {
                side: Side::Destination,
                purpose: "compare",
                sql,
            });
        }
        statements
    }

    fn write_statement(&self, f: &mut fmt::Formatter<'_>, statement: &Statement) -> fmt::Result {
        let side = match statement.side {
            Side::Source => "source",
            Side::Engine => "engine",
            Side::Destination => self.shown.noun,
        };
        writeln!(f, "  {side}, {}:", statement.purpose)?;
        writeln!(f, "{}", statement::indent(&format!("{};", statement.sql), 4))
    }

    /// What the plan shows of its destination.
    pub(super) fn shown_at(&self, place: &dyn DestinationPlace) -> Shown {
        let run = self.resumes.as_ref().map_or("<run>", |run| run.as_str());
        let columns = self.shape.destination();
        let change = match self.kind {
            PlanKind::Full => Change::ReplaceAll,
            PlanKind::Delta => Change::Upsert {
                key: self.shape.key.clone(),
                newer: self.shape.followed().map(|cursor| cursor.dest.clone()),
            },
            _ if self.shape.key.is_empty() => Change::Exchange,
            PlanKind::Groups | PlanKind::Hash | PlanKind::Deletes | PlanKind::Verify => Change::Upsert {
                key: self.shape.key.clone(),
                newer: None,
            },
        };
        let mut shown = Shown {
            noun: place.noun(),
            commit: Vec::new(),
            rows: place.rows(&self.table, &columns, None),
            rows_after: place.rows(&self.table, &columns, Some("…")),
            stage: place.shown_stage(&self.table, run),
            stage_options: place.stage_options(),
        };
        let file = any_partition(&shown.stage);
        shown.commit = place.shown_commit(&self.table, &columns, &change, &file);
        shown
    }

    /// The first attempt's file of a partition.
    fn shown_file(&self, partition: &str) -> String {
        let path = self.shown.stage.clone();
        StageFolder { path }
            .file(partition, 1)
            .to_string_lossy()
            .into_owned()
    }

    fn shown_filter(&self) -> Option<String> {
        let leaf = crate::compare::given(&self.shape)
            .1
            .unwrap_or_else(|| "null".to_owned());
        let names = pintail_lake::quote::identifiers(&self.shape.names());
        self.parity
            .then(|| format!("pintail_tap(<n>, ({leaf})::bigint, {names})"))
    }

    /// Facts about the plan, as pairs of a word and a line.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let rows = self
            .table_rows
            .map(|rows| format!(", about {} rows", grouped(rows)))
            .unwrap_or_default();
        let mut lines = vec![
            ("why", self.reason.clone()),
            (
                "source",
                format!("{} {}{rows}", self.source.address, self.source.table),
            ),
            (
                "destination",
                format!("{} {}", self.destination.address, self.destination.table),
            ),
            ("columns", self.columns_line()),
        ];
        if !self.shape.key.is_empty() {
            lines.push(("key", self.shape.key.join(", ")));
        }
        if let (PlanKind::Delta | PlanKind::Groups, Some(cursor)) = (self.kind, self.shape.followed()) {
            let low = self.low.map(CursorValue::text).unwrap_or_default();
            let chosen = if cursor.chosen { ", chosen by its name" } else { "" };
            lines.push((
                "cursor",
                format!(
                    "{} ({}{chosen}), read up to {low}",
                    cursor.source, cursor.cursor_type
                ),
            ));
        }
        if let Some(again) = self.again {
            lines.push(("lookback", format!("{again}, for rows that were stamped late")));
        }
        if let Some(watermark) = self.watermark {
            lines.push(("watermark", format!("{watermark} when everything is in")));
        }
        match self.null_rows {
            NullRows::Unaffected => {}
            NullRows::Fail => lines.push(("null cursors", "end the run".to_owned())),
            NullRows::Skip => lines.push(("null cursors", "are left out and counted".to_owned())),
            NullRows::Include => lines.push(("null cursors", "are read with every run".to_owned())),
        }
        if let Some(query) = &self.relation.query {
            lines.extend(query_lines(query));
        }
        if self.append_only {
            lines.push(("updates", "none: rows are only ever added".to_owned()));
        }
        if matches!(self.kind, PlanKind::Delta | PlanKind::Groups) {
            lines.extend(self.not_covered().into_iter().map(|line| ("not covered", line)));
        }
        if self.kind == PlanKind::Hash {
            lines.push(("compare", self.comparison.to_string()));
            let travels = self.comparison.expected_bytes.map(ByteSize);
            lines.extend(travels.map(|bytes| ("travels", format!("about {bytes} of the source"))));
        }
        if matches!(self.kind, PlanKind::Groups | PlanKind::Hash | PlanKind::Deletes) {
            lines.push(("deletes", self.deletes.line()));
        }
        let parity = match (&self.shape.leaf, self.parity) {
            (_, false) => "unproven: no comparison".to_owned(),
            (Some(leaf), true) => format!("checksums by {} in steps of {}", leaf.column, leaf.width),
            (None, true) => "checksums by the hash of the row".to_owned(),
        };
        lines.push(("parity", parity));
        lines.extend(self.caps.line().map(|caps| ("limits", caps)));
        let notes = self.notes.iter().map(|note| ("note", note.clone()));
        lines.into_iter().chain(notes).collect()
    }

    /// What changes in the source a delta does not see.
    fn not_covered(&self) -> Vec<String> {
        let mut lines = vec!["rows that were deleted in the source".to_owned()];
        if let Some(query) = &self.relation.query {
            if !query.filters.is_empty() && !self.relation.grouped() {
                lines.push("rows that no longer meet the filters".to_owned());
            }
            let joined: Vec<&str> = query.joins.iter().map(|join| join.alias.as_str()).collect();
            let cursor = self.shape.followed();
            if let (Some(cursor), false) = (cursor, joined.is_empty()) {
                lines.push(format!(
                    "changes in {} that do not move `{}`",
                    joined.join(", "),
                    cursor.source
                ));
            }
        }
        lines
    }

    fn columns_line(&self) -> String {
        let shown = |read: &pintail_lake::connector::ColumnRead| {
            let (from, to) = (&read.source.name, &read.column.name);
            let renamed = if from == to {
                String::new()
            } else {
                format!(" from {from}")
            };
            format!("{to} {}{renamed}", read.column.logical_type)
        };
        self.shape
            .columns
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl fmt::Display for PipelinePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan of pipeline `{}`: {} by strategy `{}`",
            self.pipeline,
            self.kind.as_str(),
            self.strategy
        )?;
        for (word, line) in self.lines() {
            writeln!(f, "  {word:<12} {line}")?;
        }
        let (total, together) = (self.partitions.len(), self.concurrency);
        for (position, partition) in self.partitions.iter().enumerate() {
            let PartitionPlan {
                id,
                range,
                expected_rows,
                ..
            } = partition;
            let expected = match expected_rows {
                Some(rows) => format!("about {} rows", grouped(*rows)),
                None => "an unknown number of rows".to_owned(),
            };
            writeln!(f, "\npartition {} of {total}: {id}", position + 1)?;
            writeln!(f, "  reads {}, {expected}", range)?;
            if partition.done {
                writeln!(f, "  is in already")?;
                continue;
            }
            if let Some(staged) = &partition.staged {
                writeln!(f, "  is staged already, {} rows", grouped(staged.rows))?;
                continue;
            }
            for statement in self.statements(partition) {
                self.write_statement(f, &statement)?;
            }
        }
        for statement in self.counts() {
            writeln!(f)?;
            self.write_statement(f, &statement)?;
        }
        match (self.kind, total) {
            (_, 0) => return writeln!(f, "\nnothing to read, nothing to commit"),
            (PlanKind::Verify, _) => return writeln!(f, "\nand nothing else: neither side is changed"),
            (PlanKind::Full, _) => writeln!(f, "\nthen one commit for all partitions")?,
            (PlanKind::Deletes, _) => {
                writeln!(f, "\nthen one commit of the deletes; none if there are none")?;
            }
            (PlanKind::Hash, _) => writeln!(
                f,
                "\nthen one commit of the rows that differ, and of the deletes; none if both sides are equal"
            )?,
            (PlanKind::Groups, _) => writeln!(
                f,
                "\nthen one commit of the groups that differ, and of those without rows; none if all are as they were"
            )?,
            (PlanKind::Delta, _) => writeln!(
                f,
                "\nthen one commit for each partition that has rows, in this order"
            )?,
        }
        let mut purpose = "";
        for statement in self.commit_statements() {
            if purpose == statement.purpose {
                writeln!(f, "{}", statement::indent(&format!("{};", statement.sql), 4))?;
            } else {
                self.write_statement(f, &statement)?;
            }
            purpose = statement.purpose;
        }
        if together > 1 && total > 1 {
            writeln!(
                f,
                "\nup to {together} partitions are read at once, under one snapshot of the source"
            )?;
        }
        Ok(())
    }
}

/// What a query adds to the table, and takes away from it.
fn query_lines(query: &Query) -> Vec<(&'static str, String)> {
    let join = |join: &Join| format!("{} {} as {} on {}", join.kind, join.table, join.alias, join.on);
    let joins = query.joins.iter().map(|of| ("join", join(of)));
    let filters = query.filters.iter().map(|filter| ("filter", filter.clone()));
    let groups = (!query.group_by.is_empty()).then(|| ("groups", query.group_by.join(", ")));
    joins.chain(filters).chain(groups).collect()
}

impl Deletes {
    fn line(&self) -> String {
        let guard = self.spec.guard;
        let rows = match guard.rows {
            0 => String::new(),
            rows => format!(" and {} rows", grouped(rows)),
        };
        let what = match &self.spec.policy {
            DeletePolicy::Ignore => return "none: rows that are gone from the source stay".to_owned(),
            DeletePolicy::Hard => "rows that are gone from the source go".to_owned(),
            DeletePolicy::Soft { column } => {
                format!("rows that are gone from the source are marked in `{column}`")
            }
        };
        match self.allowed_for_once {
            true => format!("{what}, however many they are"),
            false => format!(
                "{what}; more than {} %{rows} of them stop the run before it writes",
                guard.share_percent
            ),
        }
    }
}

impl Caps {
    fn line(self) -> Option<String> {
        let connections = self.source_connections.map(|connections| match connections {
            1 => "1 connection to the source".to_owned(),
            _ => format!("{connections} connections to the source"),
        });
        let bandwidth = self
            .source_bytes_per_second
            .map(|bytes| format!("{}/s from it", ByteSize(bytes)));
        let time = self
            .run_for_seconds
            .map(|seconds| format!("a pause after {seconds} s"));
        let parts: Vec<String> = [connections, bandwidth, time].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// A number with separators, as people read it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The staged file of a partition that is not named.
fn any_partition(stage: &Path) -> String {
    let path = stage.to_path_buf();
    let file = StageFolder { path }.file("<partition>", 1);
    file.to_string_lossy().replace("-partition-", "<partition>")
}
