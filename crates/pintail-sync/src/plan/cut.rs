//! Cutting a full load into partitions: by what, into how many, and what there is to say of it.
//!
//! ```text
//! declared ranges ─▶ the source's pages ─▶ an integer or time whose spread is known ─▶ bounds of a sample ─▶ whole
//! ```
//!
//! A frequent value is never divided: then partitions are fewer and uneven, and the plan says so.

use pintail_lake::connector::{Capabilities, SourceColumn, TableDescription};
use pintail_model::{CursorType, CursorValue, KeyValue, LogicalType, Range};

use super::{Asked, PartitionPlan};
use crate::partition::{self, PARTITIONS_MAX};
use crate::shape::cursor_type_of;
use crate::spec::{FullSpec, PartitionSpec, PipelineSpec, Role};

/// Tables from this size on are read in several partitions, so that a crash does not cost the whole scan.
const LARGE_BYTES: u64 = 2 << 30;
/// About the size of such a partition.
const PARTITION_BYTES: u64 = 1 << 30;
/// Tables from this size on are worth several connections.
const SIDE_BY_SIDE_BYTES: u64 = 64 << 20;
/// Columns of a key that are compared at most: more of them divide next to nothing.
const COLUMNS_MAX: usize = 3;

/// Where the source would cut a table: the columns, and bounds between the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The columns that were asked about; none if nobody asked.
    pub columns: Vec<String>,
    /// Values of them, in order.
    pub values: Vec<Vec<KeyValue>>,
}

/// How a table is to be cut.
pub struct Wish<'a> {
    spec: &'a PipelineSpec,
    table: &'a TableDescription,
    declared: Vec<(&'a PartitionSpec, &'a SourceColumn)>,
    forced: Option<u64>,
}

/// A table, cut.
pub(super) struct Cut {
    pub(super) ranges: Vec<Range>,
    pub(super) notes: Vec<String>,
}

impl<'a> Wish<'a> {
    /// What a full load by `strategy` wishes for.
    #[must_use]
    pub fn new(
        spec: &'a PipelineSpec,
        asked: &Asked,
        strategy: &str,
        settings: &FullSpec,
        table: &'a TableDescription,
    ) -> Self {
        // Groups are computed all at once, and nobody knows how their values are spread.
        let grouped = !spec.source.group_by.is_empty();
        let strategy = spec.strategy(strategy).filter(|_| !grouped);
        let declared = strategy
            .iter()
            .flat_map(|strategy| {
                strategy
                    .primary_partitions
                    .iter()
                    .map(move |declared| (strategy, declared))
            })
            .filter_map(|(strategy, declared)| {
                let column = table.column(spec.source_column(&declared.column))?;
                let narrowest = strategy.partition(|name| spec.source_column(name) == column.name);
                Some((narrowest.unwrap_or(declared), column))
            })
            .collect();
        Self {
            spec,
            table,
            declared,
            forced: asked
                .partitions
                .or(settings.partitions)
                .filter(|_| !grouped)
                .map(u64::from),
        }
    }

    /// The columns whose bounds a source that `can` so much has to be asked for, and how many parts they should make; `None`
    /// if what is known of the table is enough.
    #[must_use]
    pub fn question(&self, can: &Capabilities) -> Option<(Vec<SourceColumn>, u64)> {
        let parts = self.parts();
        let columns: Vec<SourceColumn> = match self.declared.as_slice() {
            [] if parts == 1 || self.pages().is_some() => return None,
            // Where each range costs a scan of the table, nobody has to ask for that.
            [] if self.forced.is_none() && !can.key_ranges => return None,
            [] => match self.known_column() {
                Some(column) if self.well_known(column) => return None,
                Some(column) => vec![column.clone()],
                None => self.key_columns(),
            },
            [(declared, column)] if self.by_step(declared, column) => return None,
            several => several.iter().map(|(_, column)| (*column).clone()).collect(),
        };
        (!columns.is_empty()).then_some((columns, self.declared_parts().unwrap_or(parts)))
    }

    pub(super) fn cut(&self, bounds: &Bounds) -> Cut {
        let parts = self.parts();
        if let Some(cut) = self.cut_as_declared(bounds) {
            return cut;
        }
        if parts == 1 {
            let why = match (self.forced, self.table.bytes) {
                (Some(_), _) => "one partition was asked for",
                (None, Some(_)) => "the table is small, and is read as one partition",
                (None, None) => {
                    "the source does not tell how large the table is, so it is read as one partition"
                }
            };
            return Cut::new(vec![Range::Whole], self.unused_step(why));
        }
        if let Some(pages) = self.pages() {
            let why = "ranges of the source's pages cost less than ranges of a key";
            return Cut::new(partition::pages(pages, parts), self.unused_step(why));
        }
        if let Some(column) = self.known_column()
            && (self.well_known(column) || bounds.values.is_empty())
        {
            return self.cut_by_spread(column, parts);
        }
        match bounds.values.len() {
            0 => {
                let why = "it is read as one partition: the source has neither pages nor a key whose spread is known";
                Cut::new(vec![Range::Whole], Some(why.to_owned()))
            }
            _ => sampled(bounds, parts),
        }
    }

    /// `parts` ranges of the source's pages in place of a whole table that the engine would read over one connection. None if
    /// the table is small, or somebody said into how many parts it is to be cut.
    pub(super) fn side_by_side(&self, parts: usize) -> Option<Cut> {
        let nothing_said = self.forced.is_none() && self.declared.is_empty();
        let large = self.table.bytes.is_some_and(|bytes| bytes > SIDE_BY_SIDE_BYTES);
        let pages = self.pages().filter(|_| nothing_said && large && parts > 1)?;
        let why = "ranges of the source's pages are read side by side";
        let ranges = partition::pages(pages, parts as u64);
        Some(Cut::new(ranges, self.unused_step(why)))
    }

    /// How many partitions there should be.
    fn parts(&self) -> u64 {
        let large = self.table.bytes.filter(|bytes| *bytes > LARGE_BYTES);
        let most = u64::from(PARTITIONS_MAX);
        match (self.forced, large) {
            (Some(parts), _) => parts.clamp(1, most),
            (None, Some(bytes)) => bytes.div_ceil(PARTITION_BYTES).min(most),
            (None, None) => 1,
        }
    }

    /// Where ranges are declared, a table is cut however small it is.
    fn declared_parts(&self) -> Option<u64> {
        const AT_LEAST: u64 = 8;
        (!self.declared.is_empty()).then(|| self.forced.unwrap_or_else(|| self.parts().max(AT_LEAST)))
    }

    fn pages(&self) -> Option<u64> {
        self.table.pages.filter(|pages| *pages > 0)
    }

    /// Whether a declared column can be cut by its step.
    fn by_step(&self, declared: &PartitionSpec, column: &SourceColumn) -> bool {
        self.forced.is_none() && declared.step.is_some() && spread(column).is_some()
    }

    fn cut_as_declared(&self, bounds: &Bounds) -> Option<Cut> {
        let (declared, column) = *self.declared.first()?;
        let parts = self.declared_parts()?;
        if let ([_], Some((kind, least, most))) = (self.declared.as_slice(), spread(column)) {
            return Some(match declared.step.filter(|_| self.forced.is_none()) {
                None if self.well_known(column) || bounds.values.is_empty() => {
                    self.cut_by_spread(column, parts)
                }
                None => sampled(bounds, parts),
                Some(step) if kind == CursorType::Integer => {
                    Cut::new(partition::key_steps(&column.name, least, most, step), None)
                }
                Some(step) => {
                    let value = |number| CursorValue::from_number(kind, number);
                    let (least, most) = (value(least), value(most));
                    let ranges = partition::time_steps(&column.name, least, most, step, declared.step_unit);
                    Cut::new(ranges, None)
                }
            });
        }
        let note = || {
            format!(
                "`primary_partitions` are not used: the source cannot tell how the values of `{}` are spread",
                column.name
            )
        };
        Some(match bounds.values.len() {
            0 => Cut::new(vec![Range::Whole], Some(note())),
            _ => sampled(bounds, parts),
        })
    }

    /// Ranges of a column whose spread is known.
    fn cut_by_spread(&self, column: &SourceColumn, parts: u64) -> Cut {
        let (name, histogram) = (&column.name, &column.histogram);
        let Some((kind, least, most)) = spread(column) else {
            return Cut::new(vec![Range::Whole], None);
        };
        let step = self.spec.partition_step.filter(|_| self.declared.is_empty());
        let ranges = match (kind, self.forced, step) {
            (CursorType::Integer, None, Some(step)) => {
                return Cut::new(partition::key_steps(name, least, most, step), None);
            }
            (CursorType::Integer, ..) => partition::keys(name, histogram, parts),
            _ => partition::times(name, kind, histogram, parts),
        };
        let forced = self
            .forced
            .and_then(|_| self.unused_step("the number of partitions was given"));
        let frequent = frequent(name, ranges.len() as u64, parts);
        Cut {
            ranges,
            notes: forced.into_iter().chain(frequent).collect(),
        }
    }

    /// The column whose ranges cut the table: the declared one, or else one of the key.
    fn known_column(&self) -> Option<&'a SourceColumn> {
        let names = self.partition_column().into_iter();
        let declared = names.filter_map(|name| self.table.column(name));
        let of_key = self.table.key.iter().filter_map(|name| self.table.column(name));
        let integer = |column: &&SourceColumn| column.logical_type.is_some_and(LogicalType::is_integer);
        declared
            .chain(of_key.filter(integer))
            .find(|column| spread(column).is_some())
    }

    /// Whether it is known how the values of a column are spread, and not only how far they reach; or it does not matter.
    fn well_known(&self, column: &SourceColumn) -> bool {
        column.histogram.len() > 2 || self.forced.is_none() && self.spec.partition_step.is_some()
    }

    fn partition_column(&self) -> Option<&str> {
        let spec = self.spec;
        let by_role = || {
            let column = spec
                .columns
                .iter()
                .find(|column| column.roles.contains(&Role::PartitionColumn));
            column.map(|column| column.dest.as_str())
        };
        let named = spec.partition_column.as_deref().or_else(by_role)?;
        Some(spec.source_column(named))
    }

    /// The columns of the key, or the partition column, as far as ranges compare their types.
    fn key_columns(&self) -> Vec<SourceColumn> {
        let declared: Vec<&str> = self.partition_column().into_iter().collect();
        let key: Vec<&str> = self.table.key.iter().map(String::as_str).collect();
        // What the table does not tell, the pipeline may.
        let unique = self.spec.unique_columns();
        let unique: Vec<&str> = unique
            .map(|column| self.spec.source_column(&column.dest))
            .collect();
        let names = [declared, key, unique]
            .into_iter()
            .find(|names| !names.is_empty());
        names
            .into_iter()
            .flatten()
            .map_while(|name| self.table.column(name).filter(|column| comparable(column)))
            .take(COLUMNS_MAX)
            .cloned()
            .collect()
    }

    /// A step that was declared and is not used needs a word.
    fn unused_step(&self, why: &str) -> Option<String> {
        let step = self.spec.partition_step.is_some();
        step.then(|| format!("`partition_step` is not used: {why}"))
    }
}

impl Cut {
    fn new(ranges: Vec<Range>, note: Option<String>) -> Self {
        Self {
            ranges,
            notes: note.into_iter().collect(),
        }
    }
}

/// Ranges between the bounds of a sample.
fn sampled(bounds: &Bounds, parts: u64) -> Cut {
    let ranges = partition::between(&bounds.columns, bounds.values.clone());
    let note = frequent(&bounds.columns.join("`, `"), ranges.len() as u64, parts);
    Cut::new(ranges, note)
}

/// What is said where there are fewer ranges than there should be.
fn frequent(columns: &str, ranges: u64, parts: u64) -> Option<String> {
    (ranges < parts).then(|| {
        format!("{ranges} partitions instead of {parts}: a frequent value of `{columns}` is not divided")
    })
}

/// Type, smallest and largest known value of a column that can be cut by them.
fn spread(column: &SourceColumn) -> Option<(CursorType, i64, i64)> {
    let kind = cursor_type_of(column.logical_type?)?;
    let (least, most) = (*column.histogram.first()?, *column.histogram.last()?);
    (column.histogram.len() > 1).then_some((kind, least, most))
}

/// Whether a source can compare values of a column with bounds.
fn comparable(column: &SourceColumn) -> bool {
    let kind = column.logical_type;
    matches!(kind, Some(LogicalType::Text | LogicalType::Uuid)) || kind.and_then(cursor_type_of).is_some()
}

/// About how many rows of a table lie in one of `parts` ranges of a full load.
pub(super) fn expected_rows(table: &TableDescription, range: &Range, parts: u64) -> Option<u64> {
    let rows = table.rows?;
    let by_histogram = |column: &str, low: Option<i64>, high: Option<i64>| {
        let histogram = &table.column(column)?.histogram;
        let (low, high) = (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX));
        (histogram.len() > 1).then(|| partition::expected(histogram, rows, low, high))
    };
    match range {
        Range::Pages { first, end } => {
            let pages = table.pages.filter(|pages| *pages > 0)?;
            let taken = end.unwrap_or(pages).saturating_sub(*first);
            u64::try_from(u128::from(rows) * u128::from(taken) / u128::from(pages)).ok()
        }
        Range::Key {
            column, low, high, ..
        } => by_histogram(column, *low, *high),
        Range::Keys {
            columns, low, high, ..
        } => {
            let number = |bound: &Option<Vec<KeyValue>>| match bound.as_deref() {
                Some([KeyValue::Number(number)]) => Some(number.number()),
                _ => None,
            };
            let known = match columns.as_slice() {
                [column] if number(low).is_some() || number(high).is_some() => {
                    by_histogram(column, number(low), number(high))
                }
                _ => None,
            };
            // A sample cuts into equal parts.
            known.or(Some(rows / parts.max(1)))
        }
        _ => Some(rows),
    }
}

/// What is said where one partition holds much more than its share.
pub(super) fn unevenness(partitions: &[PartitionPlan]) -> Option<String> {
    let rows = |partition: &PartitionPlan| partition.expected_rows.unwrap_or(0);
    let total: u64 = partitions.iter().map(rows).sum();
    let largest = partitions.iter().max_by_key(|partition| rows(partition))?;
    let uneven = partitions.len() > 2 && rows(largest) / 3 > total / partitions.len() as u64;
    uneven.then(|| {
        format!(
            "partition `{}` holds about {} of {total} rows",
            largest.id,
            rows(largest)
        )
    })
}
