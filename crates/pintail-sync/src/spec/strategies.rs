//! Reading `strategies`.

use jiff::tz::TimeZone;
use pintail_config::Node;
use pintail_config::decode::{Decoder, Fields, boolean, duration, list, one_of, text, whole_number};

use super::column_map::Columns;
use super::cron;
use super::partition::{self, PartitionSpec};
use super::pipeline::identifier;
use super::strategy::{
    Compare, DeltaSpec, FullSpec, HashSpec, NullCursor, StrategyKind, StrategySpec, TuningSpec,
};
use crate::partition::PARTITIONS_MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Full,
    Delta,
    Hash,
    Aggregate,
}

const TYPES: &[(&str, Type)] = &[
    ("full", Type::Full),
    ("delta", Type::Delta),
    ("hash", Type::Hash),
    ("aggregate", Type::Aggregate),
];

const COMPARISONS: &[(&str, Compare)] = &[
    ("auto", Compare::Auto),
    ("stream", Compare::Stream),
    ("pushdown", Compare::Pushdown),
    ("stored", Compare::Stored),
];

pub(super) fn read(
    node: &Node,
    decoder: &mut Decoder,
    columns: &Columns,
    names: &mut Vec<String>,
) -> Option<StrategySpec> {
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", |node, decoder| {
        let name = identifier(node, decoder)?;
        if names.contains(&name) {
            decoder.problem(
                node.position,
                format!("another strategy is named `{name}` already"),
            );
        }
        names.push(name.clone());
        Some(name)
    });
    let strategy_type = fields.required("type", |node, decoder| {
        let strategy_type = one_of("a strategy type", TYPES)(node, decoder)?;
        if strategy_type == Type::Aggregate && !columns.grouped {
            decoder.problem(
                node.position,
                "an `aggregate` strategy belongs to a pipeline with `sync_type: aggregate`",
            );
            return None;
        }
        // It is what a delta of aggregates is.
        Some(match strategy_type {
            Type::Aggregate => Type::Delta,
            other => other,
        })
    });
    let enabled = fields.with_default("enabled", true, boolean);
    let cron = fields.optional("cron", cron::read);
    let partitions = |key, fields: &mut Fields<'_, '_>| {
        let read = |node: &Node, decoder: &mut Decoder| partition::read(node, decoder, columns);
        fields.optional(key, list(read)).unwrap_or_default()
    };
    let primary_partitions = partitions("primary_partitions", &mut fields);
    let secondary_partitions = partitions("secondary_partitions", &mut fields);
    let delta_partitions = partitions("delta_partitions", &mut fields);
    if !delta_partitions.is_empty() && !columns.grouped {
        fields.refuse(
            "delta_partitions",
            "belongs to a pipeline with `sync_type: aggregate`",
        );
    }
    let column = fields.optional("column", |node, decoder| columns.reference(node, decoder));
    let full = FullSpec {
        partitions: own(
            Type::Full,
            strategy_type,
            &mut fields,
            "partitions",
            whole_number(1_u32..=PARTITIONS_MAX),
        ),
    };
    let compare = own(
        Type::Hash,
        strategy_type,
        &mut fields,
        "compare",
        one_of("a way to compare", COMPARISONS),
    );
    let hash = HashSpec {
        compare: compare.unwrap_or_default(),
    };
    let delta = read_delta(column, &primary_partitions, strategy_type, &mut fields);
    let tuning = read_tuning(&mut fields);
    fields.finish();
    let kind = match strategy_type? {
        Type::Full => StrategyKind::Full(full),
        Type::Delta | Type::Aggregate => StrategyKind::Delta(delta),
        Type::Hash => StrategyKind::Hash(hash),
    };
    Some(StrategySpec {
        name: name?,
        kind,
        enabled,
        cron,
        primary_partitions,
        secondary_partitions,
        delta_partitions,
        tuning,
    })
}

/// Reads a key that belongs to one type of strategy alone.
fn own<T>(
    owner: Type,
    strategy_type: Option<Type>,
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    read: impl FnOnce(&Node, &mut Decoder) -> Option<T>,
) -> Option<T> {
    match strategy_type {
        Some(strategy_type) if strategy_type != owner => {
            let word = TYPES
                .iter()
                .find(|(_, own)| *own == owner)
                .map_or("", |(word, _)| *word);
            fields.refuse(key, &format!("belongs to a `{word}` strategy"));
            None
        }
        // An unknown type is reported already, and its keys are checked as far as they can be.
        _ => fields.optional(key, read),
    }
}

fn read_delta(
    column: Option<String>,
    primary_partitions: &[PartitionSpec],
    strategy_type: Option<Type>,
    fields: &mut Fields<'_, '_>,
) -> DeltaSpec {
    const POLICIES: &[(&str, NullCursor)] = &[
        ("fail", NullCursor::Fail),
        ("include", NullCursor::Include),
        ("skip", NullCursor::Skip),
    ];
    let defaults = DeltaSpec::default();
    let is_delta = strategy_type == Some(Type::Delta);
    let column = column.or_else(|| {
        primary_partitions
            .first()
            .map(|partition| partition.column.clone())
    });
    if is_delta && column.is_none() && !fields.has("column") && !fields.has("primary_partitions") {
        let at = fields.position();
        fields.decoder().problem_with_hint(
            at,
            "a `delta` strategy needs a `column`",
            Some("name the column that grows with every change of a row, like `updated_at`".to_owned()),
        );
    }
    let delta = |key, fields: &mut Fields<'_, '_>| own(Type::Delta, strategy_type, fields, key, duration);
    let margin = delta("margin", fields).unwrap_or(defaults.margin);
    let lookback = delta("lookback", fields).unwrap_or(defaults.lookback);
    let lag = delta("lag", fields);
    let null_cursor = own(
        Type::Delta,
        strategy_type,
        fields,
        "null_cursor",
        one_of("a policy", POLICIES),
    );
    let time_zone = own(Type::Delta, strategy_type, fields, "time_zone", time_zone);
    DeltaSpec {
        column,
        null_cursor: null_cursor.unwrap_or_default(),
        margin,
        lookback,
        lag,
        time_zone,
    }
}

fn read_tuning(fields: &mut Fields<'_, '_>) -> TuningSpec {
    let mut tuning = TuningSpec {
        page_size: fields.optional("page_size", whole_number(1_u32..)),
        use_pagination: fields.optional("use_pagination", boolean),
        use_sub_partition: fields.optional("use_sub_partition", boolean),
        sub_partition_step: fields.optional("sub_partition_step", whole_number(1_u64..)),
        prevent_update_unless_changed: fields.optional("prevent_update_unless_changed", boolean),
        match_row_count: fields.optional("match_row_count", boolean),
        ..TuningSpec::default()
    };
    fields.optional("pipeline_config", |node, decoder| {
        let mut fields = decoder.fields(node)?;
        tuning.batch_size = fields.optional("batch_size", whole_number(1_u32..));
        tuning.max_concurrent_batches = fields.optional("max_concurrent_batches", whole_number(1_u32..));
        fields.optional("data_fetch", data_fetch);
        fields.finish();
        Some(())
    });
    fields.optional("data_fetch", data_fetch);
    tuning
}

/// `data_fetch`: how the original fetched pages. Checked only.
fn data_fetch(node: &Node, decoder: &mut Decoder) -> Option<()> {
    let mut fields = decoder.fields(node)?;
    fields.optional("enabled", boolean);
    fields.optional("use_pagination", boolean);
    fields.optional("page_size", whole_number(1_u32..));
    fields.finish();
    Some(())
}

fn time_zone(node: &Node, decoder: &mut Decoder) -> Option<String> {
    let name = text(node, decoder)?;
    if TimeZone::get(&name).is_err() {
        decoder.expected("a time zone like `Europe/Berlin` or `UTC`", node);
        return None;
    }
    Some(name)
}
