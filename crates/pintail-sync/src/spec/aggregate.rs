//! `sync_type: aggregate`: every column is grouped by or an aggregate.

use pintail_config::Position;
use pintail_config::decode::Decoder;
use pintail_config::nearest::did_you_mean;

use super::column::{ColumnSource, ColumnSpec, Role};
use super::pipeline::SyncType;

/// Functions that make one value of many, in the words of the systems that are read from.
const AGGREGATES: &[&str] = &[
    "any_value",
    "approx_count_distinct",
    "arg_max",
    "arg_min",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "first",
    "group_concat",
    "json_agg",
    "json_arrayagg",
    "json_group_array",
    "json_group_object",
    "json_object_agg",
    "json_objectagg",
    "jsonb_agg",
    "jsonb_object_agg",
    "last",
    "list",
    "max",
    "max_by",
    "median",
    "min",
    "min_by",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "product",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "total",
    "var_pop",
    "var_samp",
    "variance",
];

/// Where the parts of an aggregate stand in the file.
pub(super) struct Places {
    /// `sync_type`, or else the pipeline.
    pub(super) sync_type: Position,
    /// `group_by`, if it is there.
    pub(super) group_by: Option<Position>,
    /// The columns, or else the pipeline.
    pub(super) columns: Position,
}

/// Reports what does not make an aggregate. `columns` are the pipeline's, if all of them could be read.
pub(super) fn check(
    sync_type: SyncType,
    group_by: &[String],
    columns: Option<&[ColumnSpec]>,
    places: &Places,
    decoder: &mut Decoder,
) {
    match (sync_type, places.group_by) {
        (SyncType::RowLevel, None) => return,
        (SyncType::RowLevel, Some(at)) => {
            decoder.problem_with_hint(
                at,
                "`group_by` belongs to an aggregate",
                Some("write `sync_type: aggregate`".to_owned()),
            );
            return;
        }
        (SyncType::Aggregate, _) if group_by.is_empty() => {
            let at = places.group_by.unwrap_or(places.sync_type);
            decoder.problem_with_hint(
                at,
                "an aggregate needs `group_by`",
                Some(
                    "name the columns whose values make a group, by their names in the destination"
                        .to_owned(),
                ),
            );
            return;
        }
        (SyncType::Aggregate, _) => {}
    }
    let Some(columns) = columns else {
        return;
    };
    if columns.is_empty() {
        decoder.problem(
            places.columns,
            "an aggregate needs columns: those of `group_by`, and expressions",
        );
        return;
    }
    let at = places.group_by.unwrap_or(places.sync_type);
    for name in group_by {
        if !columns.iter().any(|column| column.dest == *name) {
            decoder.problem_with_hint(
                at,
                format!("`group_by` names `{name}`, which is no column of the destination"),
                did_you_mean(name, columns.iter().map(|column| column.dest.as_str())),
            );
        }
    }
    columns
        .iter()
        .for_each(|column| check_column(column, group_by, places.columns, decoder));
    let keyed = columns
        .iter()
        .any(|column| column.roles.contains(&Role::UniqueColumn));
    let misfit =
        |column: &&ColumnSpec| column.roles.contains(&Role::UniqueColumn) != group_by.contains(&column.dest);
    if let Some(column) = columns.iter().find(misfit).filter(|_| keyed) {
        decoder.problem(
            places.columns,
            format!(
                "the key of an aggregate are the columns of `group_by`, and `{}` is one of the two only",
                column.dest
            ),
        );
    }
}

fn check_column(column: &ColumnSpec, group_by: &[String], at: Position, decoder: &mut Decoder) {
    let name = &column.dest;
    let aggregate = match &column.source {
        ColumnSource::Column(_) | ColumnSource::Joined { .. } => false,
        ColumnSource::Expression(sql) => aggregates(sql),
        // It is computed of the group.
        ColumnSource::RowHash => true,
    };
    match (group_by.contains(name), aggregate) {
        (true, true) => decoder.problem(
            at,
            format!("column `{name}` cannot be grouped by: it is an aggregate itself"),
        ),
        (false, false) => decoder.problem_with_hint(
            at,
            format!("column `{name}` is neither grouped by nor an aggregate"),
            Some("name it in `group_by`, or write an expression like `sum(amount)`".to_owned()),
        ),
        (true, false) | (false, true) => {}
    }
}

/// Whether an aggregate function is called in an expression.
fn aggregates(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic() || "'\"_".contains(letter))
    {
        rest = &rest[start..];
        if let Some(quote) = rest.chars().next().filter(|letter| "'\"".contains(*letter)) {
            let end = rest[1..].find(quote).map_or(rest.len(), |end| end + 2);
            rest = &rest[end..];
            continue;
        }
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        if after.trim_start().starts_with('(') && AGGREGATES.contains(&word.to_lowercase().as_str()) {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::aggregates;

    #[test]
    fn an_aggregate_is_a_call_of_an_aggregate_function() {
        for aggregate in [
            "count(1)",
            "SUM (amount) * 2",
            "coalesce(max(o.at), o.now)",
            "\"sum\" + sum(a)",
        ] {
            assert!(aggregates(aggregate), "{aggregate}");
        }
        for value in [
            "cast(at as date)",
            "'sum(' || name || ')'",
            "summary(a)",
            "\"max(\"",
            "max",
        ] {
            assert!(!aggregates(value), "{value}");
        }
    }
}
