//! `stages`: what is done with rows, one after the other.
//!
//! Pintail's own stages are always the same, so of these only a part says something: which backend is read and which is
//! written, and what the `data_fetch` stage reads. The others are checked.

use pintail_config::decode::{Decoder, Fields, boolean, list, one_of, scalar, text, whole_number};
use pintail_config::nearest::did_you_mean;
use pintail_config::{Node, Position};

use super::backends::{Definition, definition};
use crate::spec::backend::Side;
use crate::spec::unbuilt::Collected;

/// What the stages say.
pub(super) struct Stages {
    /// The backend that is read.
    pub(super) source: Option<String>,
    /// The backend that is written.
    pub(super) destination: Option<String>,
    /// What `data_fetch` reads, if it says so.
    pub(super) fetched: Option<Fetched>,
    /// The keys of `dedup` stages, with their places.
    pub(super) dedup_keys: Vec<(String, Position)>,
}

/// What a stage reads.
pub(super) struct Fetched {
    pub(super) stage: String,
    pub(super) columns: Vec<Definition>,
    pub(super) position: Position,
    pub(super) group_by: Vec<String>,
    pub(super) group_by_position: Option<Position>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Partition,
    ChangeDetection,
    DataFetch,
    Transform,
    Enrich,
    Dedup,
    Batcher,
    Populate,
}

const KINDS: &[(&str, Kind)] = &[
    ("partition", Kind::Partition),
    ("change_detection", Kind::ChangeDetection),
    ("data_fetch", Kind::DataFetch),
    ("transform", Kind::Transform),
    ("enrich", Kind::Enrich),
    ("dedup", Kind::Dedup),
    ("batcher", Kind::Batcher),
    ("populate", Kind::Populate),
];

struct Stage {
    name: String,
    kind: Kind,
    enabled: bool,
    source: Option<End>,
    destination: Option<End>,
    dedup_keys: Vec<(String, Position)>,
}

/// `source` or `destination` of a stage.
struct End {
    /// A backend, or another stage that has one.
    name: String,
    position: Position,
    columns: Option<(Vec<Definition>, Position)>,
    group_by: Vec<String>,
    group_by_position: Option<Position>,
}

/// Reads `stages`. `backends` are the names that they can refer to.
pub(super) fn read(
    node: &Node,
    decoder: &mut Decoder,
    backends: &[String],
    unbuilt: &mut Collected,
) -> Option<Stages> {
    let mut names = Vec::new();
    let read = |node: &Node, decoder: &mut Decoder| stage(node, decoder, &mut names, unbuilt);
    let mut stages = list(read)(node, decoder)?;
    stages.retain(|stage| stage.enabled);
    for (kind, word) in [
        (Kind::ChangeDetection, "change_detection"),
        (Kind::Populate, "populate"),
    ] {
        if !stages.iter().any(|stage| stage.kind == kind) {
            decoder.problem(
                node.position,
                format!("there is no enabled stage of type `{word}`"),
            );
        }
    }
    let resolver = Resolver {
        stages: &stages,
        backends,
    };
    let source = resolver.the_one(Side::Source, decoder);
    let destination = resolver.the_one(Side::Destination, decoder);
    let dedup_keys = stages
        .iter_mut()
        .flat_map(|stage| std::mem::take(&mut stage.dedup_keys));
    let dedup_keys = dedup_keys.collect();
    let fetch = stages.into_iter().find(|stage| stage.kind == Kind::DataFetch);
    let fetched = fetch.and_then(|stage| {
        let end = stage.source?;
        let (columns, position) = end.columns?;
        Some(Fetched {
            stage: stage.name,
            columns,
            position,
            group_by: end.group_by,
            group_by_position: end.group_by_position,
        })
    });
    Some(Stages {
        source,
        destination,
        fetched,
        dedup_keys,
    })
}

fn stage(
    node: &Node,
    decoder: &mut Decoder,
    names: &mut Vec<String>,
    unbuilt: &mut Collected,
) -> Option<Stage> {
    const STRATEGIES: &[(&str, ())] = &[("full", ()), ("delta", ()), ("hash", ())];
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", |node, decoder| {
        let name = text(node, decoder)?;
        if names.contains(&name) {
            decoder.problem(node.position, format!("another stage is named `{name}` already"));
        }
        names.push(name.clone());
        Some(name)
    });
    let kind = fields.required("type", one_of("a kind of stage", KINDS));
    let enabled = fields.with_default("enabled", true, boolean);
    fields.optional("applicable_on", one_of("a strategy type", STRATEGIES));
    let source = fields.optional("source", end);
    let destination = fields.optional("destination", end);
    let dedup_keys = config(&mut fields, kind);
    let unbuilt_kind = kind.filter(|kind| matches!(kind, Kind::Transform | Kind::Enrich));
    if unbuilt_kind.is_some() || fields.decoder().probing() {
        // What they do is read when they are built.
        for key in ["transformations", "dimensions"] {
            fields.optional(key, |_, _| Some(()));
        }
    }
    for (end, key) in [(&source, "source"), (&destination, "destination")] {
        if kind.is_some_and(|kind| enabled && kind.needs(key)) && end.is_none() && !fields.has(key) {
            let at = fields.position();
            fields.decoder().problem(at, format!("key `{key}` is missing"));
        }
    }
    fields.finish();
    if let Some(kind) = unbuilt_kind.filter(|_| enabled) {
        let word = KINDS
            .iter()
            .find(|(_, known)| *known == kind)
            .map_or("", |(word, _)| *word);
        unbuilt.pipeline(format!("`{word}` stages"), node.position);
    }
    Some(Stage {
        name: name?,
        kind: kind?,
        enabled,
        source,
        destination,
        dedup_keys,
    })
}

impl Kind {
    fn needs(self, key: &str) -> bool {
        match self {
            Self::Partition | Self::ChangeDetection | Self::DataFetch => true,
            Self::Populate => key == "destination",
            Self::Transform | Self::Enrich | Self::Dedup | Self::Batcher => false,
        }
    }
}

/// Reads what a stage has of its own; returns the keys of a `dedup` stage.
fn config(fields: &mut Fields<'_, '_>, kind: Option<Kind>) -> Vec<(String, Position)> {
    let keys = fields.optional("config", |node, decoder| {
        let mut fields = decoder.fields(node)?;
        let mut keys = Vec::new();
        let probing = fields.decoder().probing();
        if probing || matches!(kind, None | Some(Kind::Dedup)) {
            let key = |node: &Node, decoder: &mut Decoder| Some((text(node, decoder)?, node.position));
            keys = fields.optional("dedup_keys", list(key)).unwrap_or_default();
        }
        if probing
            || matches!(
                kind,
                None | Some(Kind::Batcher | Kind::DataFetch | Kind::Populate)
            )
        {
            for key in [
                "target_batch_size",
                "batch_size",
                "max_concurrent_batches",
                "page_size",
            ] {
                fields.optional(key, whole_number(1_u32..));
            }
            fields.optional("use_pagination", boolean);
        }
        fields.finish();
        Some(keys)
    });
    keys.unwrap_or_default()
}

fn end(node: &Node, decoder: &mut Decoder) -> Option<End> {
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", |node, decoder| {
        Some((scalar(node, decoder)?, node.position))
    });
    let columns_position = fields.position_of("columns");
    let columns = fields.optional("columns", list(definition));
    let group_by_position = fields.position_of("group_by");
    let group_by = fields.optional("group_by", list(text)).unwrap_or_default();
    fields.finish();
    let (name, position) = name?;
    Some(End {
        name,
        position,
        columns: columns.zip(columns_position),
        group_by,
        group_by_position,
    })
}

/// Looks up what stages refer to.
struct Resolver<'a> {
    stages: &'a [Stage],
    backends: &'a [String],
}

impl Resolver<'_> {
    /// The one backend that all stages mean by their source or destination.
    fn the_one(&self, side: Side, decoder: &mut Decoder) -> Option<String> {
        let mut found: Option<(&str, String)> = None;
        let counts = |stage: &&Stage| {
            let key = match side {
                Side::Source => "source",
                Side::Destination => "destination",
            };
            stage.kind.needs(key)
        };
        for stage in self.stages.iter().filter(counts) {
            let Some(end) = stage.end(side) else {
                continue;
            };
            let backend = self.backend(end, side, decoder)?;
            match &found {
                Some((other, known)) if *known != backend => {
                    let verb = match side {
                        Side::Source => "reads",
                        Side::Destination => "writes to",
                    };
                    decoder.problem(
                        end.position,
                        format!(
                            "stage `{}` {verb} backend `{backend}`, and stage `{other}` {verb} backend `{known}`: a pipeline has \
                             one of them",
                            stage.name
                        ),
                    );
                    return None;
                }
                Some(_) => {}
                None => found = Some((stage.name.as_str(), backend)),
            }
        }
        found.map(|(_, backend)| backend)
    }

    /// The backend that an end means, by way of other stages or not.
    fn backend(&self, end: &End, side: Side, decoder: &mut Decoder) -> Option<String> {
        let (mut name, mut passed) = (end.name.as_str(), Vec::new());
        loop {
            if self.backends.iter().any(|backend| backend == name) {
                return Some(name.to_owned());
            }
            if passed.contains(&name) {
                let circle: Vec<String> = passed.iter().map(|stage| format!("`{stage}`")).collect();
                decoder.problem(
                    end.position,
                    format!(
                        "the stages {} refer to each other in a circle",
                        circle.join(" and ")
                    ),
                );
                return None;
            }
            passed.push(name);
            let stage = self.stages.iter().find(|stage| stage.name == name);
            let Some(next) = stage.and_then(|stage| stage.end(side)) else {
                let known = self.backends.iter().map(String::as_str);
                decoder.problem_with_hint(
                    end.position,
                    format!("there is neither a backend nor an enabled stage `{name}` to refer to"),
                    did_you_mean(name, known),
                );
                return None;
            };
            name = &next.name;
        }
    }
}

impl Stage {
    fn end(&self, side: Side) -> Option<&End> {
        match side {
            Side::Source => self.source.as_ref(),
            Side::Destination => self.destination.as_ref(),
        }
    }
}
