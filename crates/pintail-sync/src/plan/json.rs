//! A plan as JSON, for programs.

use pintail_model::CursorValue;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::{Caps, PipelinePlan, PlanKind, Statement};

impl Serialize for PipelinePlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Column<'a> {
            source: &'a str,
            source_type: &'a str,
            dest: &'a str,
            data_type: String,
            nullable: bool,
        }
        #[derive(Serialize)]
        struct Partition<'a> {
            id: &'a str,
            range: String,
            expected_rows: Option<u64>,
            done: bool,
            staged: bool,
            statements: Vec<Statement>,
        }
        let columns: Vec<Column<'_>> = self
            .shape
            .columns
            .iter()
            .map(|read| Column {
                source: &read.source.name,
                source_type: &read.source.source_type,
                dest: &read.column.name,
                data_type: read.column.logical_type.to_string(),
                nullable: read.column.nullable,
            })
            .collect();
        let partitions: Vec<Partition<'_>> = self
            .partitions
            .iter()
            .map(|partition| Partition {
                id: &partition.id,
                range: partition.range.to_string(),
                expected_rows: partition.expected_rows,
                done: partition.done,
                staged: !partition.done && partition.staged.is_some(),
                statements: if partition.done || partition.staged.is_some() {
                    Vec::new()
                } else {
                    self.statements(partition)
                },
            })
            .collect();
        let mut plan = serializer.serialize_struct("PipelinePlan", 20)?;
        plan.serialize_field("pipeline", &self.pipeline)?;
        plan.serialize_field("strategy", &self.strategy)?;
        plan.serialize_field("kind", &self.kind)?;
        plan.serialize_field("reason", &self.reason)?;
        plan.serialize_field("resumes", &self.resumes)?;
        plan.serialize_field("source", &self.source)?;
        plan.serialize_field("destination", &self.destination)?;
        plan.serialize_field("columns", &columns)?;
        plan.serialize_field("key", &self.shape.key)?;
        plan.serialize_field("cursor", &self.shape.followed())?;
        plan.serialize_field("low", &self.low.map(CursorValue::text))?;
        plan.serialize_field("watermark", &self.watermark.map(CursorValue::text))?;
        plan.serialize_field("null_rows", &self.null_rows)?;
        plan.serialize_field("parity", &self.parity)?;
        plan.serialize_field("concurrency", &self.concurrency)?;
        plan.serialize_field("partitions", &partitions)?;
        plan.serialize_field("counts", &self.counts())?;
        plan.serialize_field(
            "commit",
            &if partitions.is_empty() || self.kind == PlanKind::Verify {
                Vec::new()
            } else {
                self.commit_statements()
            },
        )?;
        plan.serialize_field("notes", &self.notes)?;
        if self.kind == PlanKind::Hash {
            plan.serialize_field("compare", &self.comparison.said())?;
        }
        if self.caps != Caps::default() {
            plan.serialize_field("limits", &self.caps)?;
        }
        plan.end()
    }
}
