//! From files to a checked pipeline.

use std::path::{Path, PathBuf};

use pintail_config::decode::{Shape, shape_of};
use pintail_config::{Datastore, Datastores, Document, Lookup, Problem, Problems};

use super::pipeline::{self, Form, PipelineSpec};
use super::unbuilt::Collected;

/// A pipeline, and the two datastores that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedPipeline {
    /// What was asked.
    pub spec: PipelineSpec,
    /// Where it is read.
    pub source: Datastore,
    /// Where it is written.
    pub destination: Datastore,
    /// The pipeline file, as the caller named it.
    pub file: PathBuf,
    /// The datastores file.
    pub datastores_file: PathBuf,
}

impl LoadedPipeline {
    /// The folder of the pipeline file: state and metrics lie beside it, and relative paths start there.
    #[must_use]
    pub fn base(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Refuses, by name and place, what this release does not do yet and the strategy would need.
    pub fn check_built(&self, strategy: &str) -> Result<(), Problems> {
        let problem = |unbuilt: &&super::Unbuilt| match unbuilt.position {
            Some(position) => Problem::at(&self.file, position, unbuilt.to_string()),
            None => Problem::with_file(&self.file, unbuilt.to_string()),
        };
        Problems::check(self.spec.not_built_for(strategy).iter().map(problem).collect())
    }
}

/// Loads a pipeline file and the datastores file that it needs: the one that is given, or else `datastores.yaml`
/// beside the pipeline file, or else in the folder above it. Fails with the problems of both files together.
pub fn load(file: &Path, datastores: Option<&Path>, lookup: Lookup<'_>) -> Result<LoadedPipeline, Problems> {
    let document = Document::read(file, lookup);
    let datastores = match datastores.map(Path::to_owned).or_else(|| find_datastores(file)) {
        Some(path) => Datastores::load(&path, lookup),
        None => Err(Problem::with_file(
            file,
            "there is no `datastores.yaml` beside this file or in the folder above it",
        )
        .hint("write one, or name it with `--datastores FILE`")
        .into()),
    };
    let mut problems = Vec::new();
    let datastores = datastores.map_err(|wrong| problems.extend(wrong.into_vec())).ok();
    let pipeline = document
        .and_then(|document| decode(document, datastores.as_ref()))
        .map_err(|wrong| problems.extend(wrong.into_vec()))
        .ok();
    Problems::check(problems)?;
    Ok(assemble(
        pipeline.expect("a pipeline that did not load is a problem"),
        &datastores.expect("datastores that did not load are a problem"),
        file,
    ))
}

/// What a pipeline file takes.
#[must_use]
pub fn shape() -> Shape {
    let of =
        |form| shape_of(|node, decoder| pipeline::read(node, decoder, form, None, &mut Collected::default()));
    Shape::Either(vec![of(Form::Provided), of(Form::Staged)])
}

/// Loads a pipeline from a text, with datastores that are loaded already; `file` is its name for messages.
pub fn parse(
    file: &Path,
    text: &str,
    datastores: &Datastores,
    lookup: Lookup<'_>,
) -> Result<LoadedPipeline, Problems> {
    let spec = decode(Document::parse(file, text, lookup)?, Some(datastores))?;
    Ok(assemble(spec, datastores, file))
}

fn decode(document: Document, datastores: Option<&Datastores>) -> Result<PipelineSpec, Problems> {
    let mut unbuilt = Collected::default();
    let mut spec = document
        .decode(|node, decoder| pipeline::read(node, decoder, Form::of(node), datastores, &mut unbuilt))?;
    spec.unbuilt = unbuilt.0;
    Ok(spec)
}

fn assemble(mut spec: PipelineSpec, datastores: &Datastores, file: &Path) -> LoadedPipeline {
    let folder = file.parent().unwrap_or(Path::new(""));
    spec.limits.temp_folder = spec
        .limits
        .temp_folder
        .map(|temp_folder| folder.join(temp_folder));
    let named = |name: &str| {
        datastores
            .get(name)
            .expect("names of datastores were checked")
            .clone()
    };
    let destination = named(&spec.destination.datastore);
    let destination = match &spec.destination.partition_by {
        Some(columns) => destination.partitioned_by(columns),
        None => destination,
    };
    LoadedPipeline {
        source: named(&spec.source.datastore),
        destination,
        spec,
        file: file.to_owned(),
        datastores_file: datastores.file.clone(),
    }
}

fn find_datastores(file: &Path) -> Option<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    // `..` only where the path does not spell out the folder above.
    let above = match (folder.file_name(), folder.parent()) {
        (Some(_), Some(above)) => above.to_owned(),
        _ => folder.join(".."),
    };
    [folder, &above]
        .map(|folder| folder.join("datastores.yaml"))
        .into_iter()
        .find(|path| path.exists())
}
