//! Arrays on their way to lists.
//!
//! Postgres does not hold an array to the dimensions that its column declares, and lets it begin at any number. A list has
//! neither, so the source says which arrays are of another shape, and the engine refuses them.

use pintail_lake::connector::ColumnRead;
use pintail_lake::quote::{identifier, literal};
use pintail_model::Element;

use super::types::Route;
use crate::guard::Guards;

/// What arrays must not be, column by column.
pub(super) struct Misshapen(Vec<(String, String)>);

impl Misshapen {
    pub(super) fn new<'a>(reads: impl Iterator<Item = (&'a ColumnRead, Route)>) -> Self {
        Self(reads.flat_map(|(read, route)| of_column(read, route)).collect())
    }

    /// The column with the number of what is wrong, from 1; none if there is nothing that could be.
    pub(super) fn in_postgres(&self, label: &str) -> Option<String> {
        let arms: Vec<String> = self
            .0
            .iter()
            .enumerate()
            .map(|(index, (condition, _))| format!("when {condition} then {}", index + 1))
            .collect();
        (!arms.is_empty()).then(|| format!("case {} end as {}", arms.join(" "), identifier(label)))
    }

    pub(super) fn guard(&self, number: &str, guards: &mut Guards) {
        for (index, (_, reason)) in self.0.iter().enumerate() {
            guards.fail_because(format!("{number} = {}", index + 1), literal(reason));
        }
    }
}

/// Conditions of Postgres with the reason that each has. An empty array has no dimensions.
fn of_column(read: &ColumnRead, route: Route) -> Vec<(String, String)> {
    let (element, depth) = match route {
        Route::Array(element) => (element, 1),
        Route::Nested { element, depth } => (element, depth),
        _ => return Vec::new(),
    };
    let (name, value) = (&read.source.name, identifier(&read.source.name));
    let mut shapes = vec![format!("array_ndims({value}) <> {depth}")];
    shapes.extend((1..=depth).map(|level| format!("array_lower({value}, {level}) <> 1")));
    let dimensions = if depth == 1 { "dimension" } else { "dimensions" };
    let shape = (
        shapes.join(" or "),
        format!(
            "column \"{name}\" holds an array that has not {depth} {dimensions} or does not begin at 1, which a list \
             cannot hold"
        ),
    );
    // The engine makes 0 of it.
    let nan = matches!(element, Element::Decimal { .. }).then(|| {
        (
            format!("'NaN' = any({value})"),
            format!("column \"{name}\" holds NaN in an array, which a decimal cannot hold"),
        )
    });
    [shape].into_iter().chain(nan).collect()
}

/// The list, from JSON of the texts of its elements.
pub(super) fn in_engine(value: &str, element: Element, depth: u8) -> String {
    let brackets = "[]".repeat(depth.into());
    let texts = format!("{value}::json::varchar{brackets}");
    match element {
        Element::Bytes => each(&texts, depth, &|text| format!("unhex({text}[3:])")),
        // The engine would leave out the era, in silence.
        Element::Date | Element::Timestamp | Element::TimestampTz => {
            let typed = element.logical_type();
            each(&texts, depth, &|text| {
                format!(r"regexp_replace({text}, '^(\S+)( \S+)? BC$', '\1 (BC)\2')::{typed}")
            })
        }
        _ => format!("{texts}::{}{brackets}", element.logical_type()),
    }
}

/// Changes what the innermost lists hold.
fn each(list: &str, depth: u8, change: &dyn Fn(&str) -> String) -> String {
    let variable = format!("x{depth}");
    let changed = if depth <= 1 {
        change(&variable)
    } else {
        each(&variable, depth - 1, change)
    };
    format!("list_transform({list}, lambda {variable}: {changed})")
}
