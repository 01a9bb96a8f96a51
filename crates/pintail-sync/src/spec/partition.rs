//! `primary_partitions`, `secondary_partitions` and `delta_partitions` of a strategy.

use pintail_config::Node;
use pintail_config::decode::{Decoder, boolean, one_of, whole_number};

use super::column_map::Columns;
use super::declared_type::{DeclaredType, data_type};

/// One dimension by which a strategy partitions its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSpec {
    /// `column`: the column that is cut into ranges.
    pub column: String,
    /// `step`: width of a range, in `step_unit` for times and in the column's own unit else. Default: parts of about as
    /// many rows, by what the source knows. `None` too for `type: value`, where every value is a partition of its own
    /// (the file says `step: -1`).
    pub step: Option<u64>,
    /// `step_unit`: unit of `step` for times. Default: seconds.
    pub step_unit: StepUnit,
    /// `data_type`: what the column holds. Default: what the source says.
    pub data_type: Option<DeclaredType>,
    /// `bounded`: whether only the newest range is looked at. Default `false`, because changes to old rows would be
    /// missed.
    pub bounded: bool,
}

impl PartitionSpec {
    /// `step`, in a unit that all ranges of one column have in common; a month counts as 31 days, and a year as 366.
    pub(super) fn width(&self) -> Option<u64> {
        const DAY: u64 = 86_400;
        let unit = match self.step_unit {
            StepUnit::Second => 1,
            StepUnit::Minute => 60,
            StepUnit::Hour => 3_600,
            StepUnit::Day => DAY,
            StepUnit::Week => 7 * DAY,
            StepUnit::Month => 31 * DAY,
            StepUnit::Year => 366 * DAY,
        };
        self.step.map(|step| step.saturating_mul(unit))
    }
}

/// `step_unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUnit {
    /// `second`.
    Second,
    /// `minute`.
    Minute,
    /// `hour`.
    Hour,
    /// `day`.
    Day,
    /// `week`.
    Week,
    /// `month`: a month of the calendar.
    Month,
    /// `year`: a year of the calendar.
    Year,
}

const STEP_UNITS: &[(&str, StepUnit)] = &[
    ("second", StepUnit::Second),
    ("minute", StepUnit::Minute),
    ("hour", StepUnit::Hour),
    ("day", StepUnit::Day),
    ("week", StepUnit::Week),
    ("month", StepUnit::Month),
    ("year", StepUnit::Year),
];

pub(super) fn read(node: &Node, decoder: &mut Decoder, columns: &Columns) -> Option<PartitionSpec> {
    const KINDS: &[(&str, bool)] = &[("range", false), ("value", true)];
    let mut fields = decoder.fields(node)?;
    let column = fields.required("column", |node, decoder| columns.reference(node, decoder));
    let by_value = fields.with_default("type", false, one_of("a kind of partition", KINDS));
    if fields.decoder().probing() {
        // The other form of it, which depends on what `type` says.
        fields.optional("step", whole_number(-1_i64..=-1));
    }
    let step = if by_value {
        fields.optional("step", whole_number(-1_i64..=-1)).map(|_| None)
    } else {
        Some(fields.optional("step", whole_number(1_u64..)))
    };
    let step_unit = fields.with_default(
        "step_unit",
        StepUnit::Second,
        one_of("a unit of time", STEP_UNITS),
    );
    let data_type = fields.optional("data_type", data_type);
    let bounded = fields.with_default("bounded", false, boolean);
    fields.finish();
    Some(PartitionSpec {
        column: column?,
        step: if by_value { None } else { step? },
        step_unit,
        data_type,
        bounded,
    })
}
