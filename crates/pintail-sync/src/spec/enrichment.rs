//! `enrichment`: columns that are looked up elsewhere or computed. Not built yet: it is read and checked, and
//! refused where it is enabled and a strategy is chosen.

use pintail_config::decode::{Decoder, boolean, list, mapping, scalar, text, whole_number};
use pintail_config::{Node, Options};

use super::unbuilt::Collected;

/// `enrichment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrichmentSpec {
    /// `enabled`: whether it takes place. Default `true`, since somebody wrote it down.
    pub enabled: bool,
    /// `cache_backend`: where looked-up rows are kept: `redis` or `memory`.
    pub cache_backend: Option<String>,
    /// `cache_config.maxsize`: rows that are kept.
    pub cache_rows_max: Option<u64>,
    /// `cache_config.ttl`: seconds for which they are kept.
    pub cache_seconds: Option<u64>,
    /// `dimensions`: the lookups.
    pub dimensions: Vec<DimensionSpec>,
    /// `transformations`: the computed columns.
    pub transformations: Vec<TransformationSpec>,
}

/// One entry of `dimensions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DimensionSpec {
    /// `name`.
    pub name: String,
    /// `join_key`: the column of the pipeline that is looked up.
    pub join_key: String,
    /// `source.type`: the system that is looked up in.
    pub system: String,
    /// `source.config`: where in it. Names of datastores are checked when lookups are built.
    pub config: Options,
    /// `fields`: what is taken over.
    pub fields: Vec<FieldSpec>,
}

/// One entry of `fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpec {
    /// `source`: the column of the dimension.
    pub source: String,
    /// `dest`: the column of the destination.
    pub dest: String,
}

/// One entry of `transformations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformationSpec {
    /// `columns`: what is computed from.
    pub columns: Vec<String>,
    /// `transform`: the computation.
    pub transform: String,
    /// `dest`: the column of the destination.
    pub dest: String,
}

pub(super) fn read(node: &Node, decoder: &mut Decoder, unbuilt: &mut Collected) -> Option<EnrichmentSpec> {
    let mut fields = decoder.fields(node)?;
    let enabled = fields.with_default("enabled", true, boolean);
    let cache_backend = fields.optional("cache_backend", text);
    let (cache_rows_max, cache_seconds) = fields.optional("cache_config", cache).unwrap_or_default();
    let dimensions = fields.optional("dimensions", list(dimension)).unwrap_or_default();
    let transformations = fields
        .optional("transformations", list(transformation))
        .unwrap_or_default();
    fields.finish();
    if enabled {
        unbuilt.pipeline("`enrichment`", node.position);
    }
    Some(EnrichmentSpec {
        enabled,
        cache_backend,
        cache_rows_max,
        cache_seconds,
        dimensions,
        transformations,
    })
}

fn cache(node: &Node, decoder: &mut Decoder) -> Option<(Option<u64>, Option<u64>)> {
    let mut fields = decoder.fields(node)?;
    let rows_max = fields.optional("maxsize", whole_number(1_u64..));
    let seconds = fields.optional("ttl", whole_number(0_u64..));
    fields.finish();
    Some((rows_max, seconds))
}

fn dimension(node: &Node, decoder: &mut Decoder) -> Option<DimensionSpec> {
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", text);
    let join_key = fields.required("join_key", text);
    let source = fields.required("source", |node, decoder| {
        let mut fields = decoder.fields(node)?;
        let system = fields.required("type", text);
        let config = fields.required("config", mapping(|_, node, decoder| scalar(node, decoder)));
        fields.finish();
        Some((system?, config?.into_iter().collect()))
    });
    let taken = fields.required("fields", list(field));
    fields.finish();
    let (system, config) = source?;
    Some(DimensionSpec {
        name: name?,
        join_key: join_key?,
        system,
        config,
        fields: taken?,
    })
}

fn field(node: &Node, decoder: &mut Decoder) -> Option<FieldSpec> {
    let mut fields = decoder.fields(node)?;
    let source = fields.required("source", text);
    let dest = fields.required("dest", text);
    fields.finish();
    Some(FieldSpec {
        source: source?,
        dest: dest?,
    })
}

fn transformation(node: &Node, decoder: &mut Decoder) -> Option<TransformationSpec> {
    let mut fields = decoder.fields(node)?;
    let columns = fields.required("columns", list(text));
    let transform = fields.required("transform", text);
    let dest = fields.required("dest", text);
    fields.finish();
    Some(TransformationSpec {
        columns: columns?,
        transform: transform?,
        dest: dest?,
    })
}
