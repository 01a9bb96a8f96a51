//! The second configuration shape: `backends`, which define columns, and `stages`, which say what is done with them.
//!
//! It becomes the same [`PipelineSpec`](super::PipelineSpec) as the first shape. A column has one *name* in the pipeline; its
//! `expr` is its name in the table of its backend, or what the source computes for it. Which columns are written, the
//! `data_fetch` stage says, or else the destination's definitions, or else the source's.

mod backends;
mod stages;

use std::collections::BTreeMap;

use pintail_config::decode::{Decoder, Fields, list};
use pintail_config::nearest::did_you_mean;
use pintail_config::{Datastores, Node, Position, Value};

use self::backends::{Backend, Definition, backend};
use self::stages::{Fetched, Stages};
use super::backend::{BackendSpec, Side};
use super::column::{ColumnSource, ColumnSpec};
use super::column_map::{Columns, column_source};
use super::declared_type::DeclaredType;
use super::snippet;
use super::unbuilt::Collected;

/// What the two keys give.
pub(super) struct Sides {
    pub(super) source: Option<BackendSpec>,
    pub(super) destination: Option<BackendSpec>,
    pub(super) columns: Columns,
    /// Where columns and `group_by` stand.
    pub(super) columns_position: Position,
    pub(super) group_by_position: Option<Position>,
}

/// Reads `backends` and `stages`.
pub(super) fn read(
    fields: &mut Fields<'_, '_>,
    datastores: Option<&Datastores>,
    unbuilt: &mut Collected,
) -> Sides {
    let here = fields.position();
    let names = if fields.decoder().probing() {
        Vec::new()
    } else {
        names_of(fields.node("backends"))
    };
    let stages = fields.required("stages", |node, decoder| {
        stages::read(node, decoder, &names, unbuilt)
    });
    let destination = stages.as_ref().and_then(|stages| stages.destination.clone());
    let side = move |name: &str| match &destination {
        Some(destination) if destination == name => Side::Destination,
        _ => Side::Source,
    };
    let backends = fields.required("backends", |node, decoder| {
        let mut seen = Vec::new();
        let read = |node: &Node, decoder: &mut Decoder| {
            let read = backend(node, decoder, &side, datastores, unbuilt)?;
            if seen.contains(&read.name) {
                let message = format!("another backend is named `{}` already", read.name);
                decoder.problem(read.position, message);
            }
            seen.push(read.name.clone());
            Some(read)
        };
        list(read)(node, decoder)
    });
    let find = |name: Option<&String>| {
        let mut all = backends.iter().flatten();
        all.find(|backend| Some(&backend.name) == name)
    };
    let ends = stages.as_ref().and_then(|stages| {
        let (source, destination) = (find(stages.source.as_ref())?, find(stages.destination.as_ref())?);
        Some((stages, source, destination))
    });
    let Some((stages, source, destination)) = ends else {
        return Sides {
            source: None,
            destination: None,
            columns: Columns::unknown(),
            columns_position: here,
            group_by_position: None,
        };
    };
    if source.name == destination.name {
        let message = format!("backend `{}` is read and written: name another one", source.name);
        fields.decoder().problem(destination.position, message);
    }
    let pipeline = Pipeline {
        source,
        destination,
        stages,
    };
    let decoder = fields.decoder();
    let columns = pipeline.columns(decoder);
    let mut spec = source.spec.clone();
    spec.group_by = pipeline.group_by();
    pipeline.check_dedup(&columns.all, decoder);
    let fetched = stages.fetched.as_ref();
    Sides {
        source: Some(spec),
        destination: Some(destination.spec.clone()),
        columns,
        columns_position: fetched.map_or(here, |fetched| fetched.position),
        group_by_position: fetched.and_then(|fetched| fetched.group_by_position),
    }
}

/// The names of all backends, right or wrong otherwise.
fn names_of(backends: Option<&Node>) -> Vec<String> {
    let items: &[Node] = match backends.map(|node| &node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    let name = |node: &Node| match &node.get("name")?.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        _ => None,
    };
    items.iter().filter_map(name).collect()
}

/// Both ends, and what the stages say.
struct Pipeline<'a> {
    source: &'a Backend,
    destination: &'a Backend,
    stages: &'a Stages,
}

impl Pipeline<'_> {
    /// All columns, and the names by which strategies may refer to them.
    fn columns(&self, decoder: &mut Decoder) -> Columns {
        let before = decoder.problem_count();
        let all: Vec<ColumnSpec> = match &self.stages.fetched {
            Some(fetched) => self.fetched(fetched, decoder),
            None if self.destination.columns.iter().any(|column| !column.virtual_) => self.defined(decoder),
            None => {
                let own = self.source.columns.iter();
                let stored =
                    own.filter(|column| !column.virtual_ || column.hash_key || column.expr.is_some());
                stored
                    .filter_map(|column| self.column(column, Some(column), None, decoder))
                    .collect()
            }
        };
        let names: Vec<&str> = all.iter().map(|column| column.dest.as_str()).collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index]
                .iter()
                .any(|other| other.eq_ignore_ascii_case(name))
            {
                let message =
                    format!("two columns of the destination are named `{name}` (case makes no difference)");
                decoder.problem(self.destination.position, message);
            }
        }
        let hashes = all.iter().filter(|column| column.source == ColumnSource::RowHash);
        if hashes.count() > 1 {
            let message = "only one column can be the `hash_key`";
            decoder.problem(self.destination.position, message);
        }
        let complete = decoder.problem_count() == before;
        let references = self.references(&all);
        Columns::staged(all, complete, references, &self.source.spec)
    }

    /// What the `data_fetch` stage reads, and the hash that the destination keeps.
    fn fetched(&self, fetched: &Fetched, decoder: &mut Decoder) -> Vec<ColumnSpec> {
        let stored: Vec<&Definition> = self
            .destination
            .columns
            .iter()
            .filter(|column| !column.virtual_)
            .collect();
        let mut all = Vec::new();
        for read in &fetched.columns {
            let defined = stored.iter().copied().find(|column| column.name == read.name);
            if defined.is_none() && !stored.is_empty() {
                decoder.problem_with_hint(
                    read.position,
                    format!(
                        "column `{}` of stage `{}` is not in backend `{}`",
                        read.name, fetched.stage, self.destination.name
                    ),
                    did_you_mean(&read.name, stored.iter().map(|column| column.name.as_str())),
                );
                continue;
            }
            let own = self.own(&read.name);
            // What the stage says of a column comes first.
            let from = if read.expr.is_some() {
                read
            } else {
                own.unwrap_or(read)
            };
            all.extend(self.column(read, Some(from), defined, decoder));
        }
        for column in stored {
            if column.hash_key {
                all.extend(self.column(column, None, Some(column), decoder));
            } else if !fetched.columns.iter().any(|read| read.name == column.name) {
                decoder.problem_with_hint(
                    column.position,
                    format!(
                        "column `{}` of backend `{}` is not read by stage `{}`",
                        column.name, self.destination.name, fetched.stage
                    ),
                    did_you_mean(
                        &column.name,
                        fetched.columns.iter().map(|read| read.name.as_str()),
                    ),
                );
            }
        }
        all
    }

    /// The columns that the destination defines.
    fn defined(&self, decoder: &mut Decoder) -> Vec<ColumnSpec> {
        let mut all = Vec::new();
        for column in self.destination.columns.iter().filter(|column| !column.virtual_) {
            let own = self.own(&column.name);
            if own.is_none() && !self.source.columns.is_empty() && !column.hash_key {
                decoder.problem_with_hint(
                    column.position,
                    format!(
                        "column `{}` of backend `{}` is not in backend `{}`",
                        column.name, self.destination.name, self.source.name
                    ),
                    did_you_mean(
                        &column.name,
                        self.source.columns.iter().map(|own| own.name.as_str()),
                    ),
                );
                continue;
            }
            all.extend(self.column(column, own, Some(column), decoder));
        }
        all
    }

    fn own(&self, name: &str) -> Option<&Definition> {
        self.source.columns.iter().find(|column| column.name == name)
    }

    /// A column named as `named` is, read as `from` says, and stored as `stored` says.
    fn column(
        &self,
        named: &Definition,
        from: Option<&Definition>,
        stored: Option<&Definition>,
        decoder: &mut Decoder,
    ) -> Option<ColumnSpec> {
        let own = self.own(&named.name);
        let told: Vec<&Definition> = [stored, Some(named), own].into_iter().flatten().collect();
        let first = |part: fn(&Definition) -> Option<DeclaredType>| told.iter().find_map(|told| part(told));
        let data_type = first(|told| told.data_type);
        let hash_key = told.iter().any(|told| told.hash_key);
        let source = if hash_key {
            check_hash_type(named, data_type, decoder)?;
            ColumnSource::RowHash
        } else {
            self.source_of(named, from, decoder)?
        };
        let dest = match stored.and_then(|stored| stored.expr.as_ref()) {
            Some(expr) => name_in_table(expr, decoder)?,
            None => named.name.clone(),
        };
        let mut roles = stored.unwrap_or(named).roles.clone();
        if let Some(own) = own {
            roles.extend(&own.roles);
        }
        Some(ColumnSpec {
            source,
            dest,
            roles,
            data_type,
            length: told.iter().find_map(|told| told.length),
            nullable: told.iter().find_map(|told| told.nullable),
            hash_column: told.iter().all(|told| told.hash_column),
        })
    }

    fn source_of(
        &self,
        named: &Definition,
        from: Option<&Definition>,
        decoder: &mut Decoder,
    ) -> Option<ColumnSource> {
        let from = from.unwrap_or(named);
        let Some(expr) = &from.expr else {
            if from.virtual_ {
                let message = format!(
                    "column `{}` is virtual and has no `expr`: nothing can be read for it",
                    named.name
                );
                decoder.problem(from.position, message);
                return None;
            }
            return Some(ColumnSource::Column(named.name.clone()));
        };
        let source = column_source(expr, decoder, Some(&self.source.spec))?;
        if let ColumnSource::Expression(sql) = &source {
            snippet::check(sql, expr, decoder)?;
        }
        Some(source)
    }

    /// The names of columns in the destination by whose values rows become groups.
    fn group_by(&self) -> Vec<String> {
        let names = self.stages.fetched.iter().flat_map(|fetched| &fetched.group_by);
        let dest = |name: &String| {
            let stored = self
                .destination
                .columns
                .iter()
                .find(|column| column.name == *name && !column.virtual_);
            let expr = stored.and_then(|stored| stored.expr.as_ref());
            expr.and_then(plain_text).unwrap_or_else(|| name.clone())
        };
        names.map(dest).collect()
    }

    /// What strategies call columns, where it is none of the names in the map.
    fn references(&self, all: &[ColumnSpec]) -> BTreeMap<String, String> {
        let grouped = !self.group_by().is_empty();
        let mut references = BTreeMap::new();
        for column in &self.source.columns {
            let known = all.iter().any(|known| known.dest == column.name);
            let field = match &column.expr {
                Some(expr) => plain_text(expr),
                None => (!column.virtual_).then(|| column.name.clone()),
            };
            // Changed rows are looked for in the table itself.
            if let Some(field) = field.filter(|_| grouped || !known) {
                references.insert(column.name.clone(), field);
            }
        }
        let aliases = self.destination.columns.iter().filter(|column| column.virtual_);
        for column in aliases {
            if let Some(field) = column.expr.as_ref().and_then(plain_text) {
                references.entry(column.name.clone()).or_insert(field);
            }
        }
        references
    }

    /// Rows are told apart by the key anyway, so a `dedup` stage may name nothing else.
    fn check_dedup(&self, all: &[ColumnSpec], decoder: &mut Decoder) {
        for (key, position) in &self.stages.dedup_keys {
            if !all.is_empty() && !all.iter().any(|column| column.dest == *key) {
                let known = all.iter().map(|column| column.dest.as_str());
                decoder.problem_with_hint(
                    *position,
                    format!("`dedup_keys` names `{key}`, which is no column of the destination"),
                    did_you_mean(key, known),
                );
            }
        }
    }
}

/// A hash is kept as a number or as text.
fn check_hash_type(named: &Definition, data_type: Option<DeclaredType>, decoder: &mut Decoder) -> Option<()> {
    let fits = matches!(
        data_type,
        None | Some(DeclaredType::Integer | DeclaredType::BigInt | DeclaredType::Text)
    );
    if !fits {
        let message = format!(
            "`hash_key` column `{}` has to be of type `bigint` or `varchar`",
            named.name
        );
        decoder.problem(named.position, message);
    }
    fits.then_some(())
}

/// The name that a column has in the destination's table.
fn name_in_table(expr: &Node, decoder: &mut Decoder) -> Option<String> {
    let name = plain_text(expr);
    if name.is_none() {
        decoder.expected("a name, because nothing is computed in the destination", expr);
    }
    name
}

/// A text that is a name and nothing else.
fn plain_text(node: &Node) -> Option<String> {
    let Value::Scalar { text, .. } = &node.value else {
        return None;
    };
    let letters = |letter: char| letter.is_alphanumeric() || "_$".contains(letter);
    let plain = |part: &str| !part.is_empty() && part.chars().all(letters);
    let name = text.split('.').next_back()?;
    text.split('.').all(plain).then(|| name.to_owned())
}
