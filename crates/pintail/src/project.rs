//! The folder of a project: where its settings, datastores and pipelines are, and where runs keep what they remember.
//!
//! ```text
//! project/global_config.yaml       settings, or none
//!         datastores.yaml
//!         pipelines/orders.yaml    or beside the two above
//! ```

use std::path::{Path, PathBuf};

use pintail_config::GlobalConfig;
use pintail_config::global::FILE_NAME;
use pintail_sync::DataFolders;
use pintail_sync::spec::LoadedPipeline;

use crate::diagnostics::Diagnostic;

/// The variables that `${…}` stands for.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What is known of a project beside its pipelines.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) global: Option<GlobalConfig>,
}

impl Project {
    /// The project of a pipeline file: with the settings of `given`, or of the file beside it or in the folder above.
    pub(crate) fn of(pipeline: &Path, given: Option<&Path>) -> Result<Self, Diagnostic> {
        let folder = pipeline.parent().unwrap_or(Path::new(""));
        Self::load(given, &[folder.to_owned(), above(folder)])
    }

    /// The project in the current folder.
    pub(crate) fn here(given: Option<&Path>) -> Result<Self, Diagnostic> {
        Self::load(given, &[PathBuf::new()])
    }

    fn load(given: Option<&Path>, folders: &[PathBuf]) -> Result<Self, Diagnostic> {
        let found = || {
            let mut files = folders.iter().map(|folder| folder.join(FILE_NAME));
            files.find(|file| file.exists())
        };
        let file = given.map(Path::to_owned).or_else(found);
        let global = file
            .map(|file| GlobalConfig::load(&file, &variable))
            .transpose()?;
        Ok(Self { global })
    }

    /// The datastores file that the command line names, or else the settings.
    pub(crate) fn datastores<'a>(&'a self, given: Option<&'a Path>) -> Option<&'a Path> {
        given.or_else(|| self.global.as_ref()?.build_system.datastores_path.as_deref())
    }

    /// The folder of pipeline files, if the settings name one.
    pub(crate) fn pipelines(&self) -> Option<&Path> {
        self.global.as_ref()?.build_system.user_config_dir.as_deref()
    }

    /// Where runs of a pipeline keep what they remember and report: in `data/` beside it, or where the settings say.
    pub(crate) fn data(&self, pipeline: &Path) -> DataFolders {
        let beside = DataFolders::below(pipeline.parent().unwrap_or(Path::new("")).join("data"));
        let Some(storage) = self.global.as_ref().map(|global| &global.storage) else {
            return beside;
        };
        DataFolders {
            state: storage.state_dir.clone().unwrap_or(beside.state),
            logs: storage.logs_dir.clone().unwrap_or(beside.logs),
            metrics: storage.metrics_dir.clone().unwrap_or(beside.metrics),
        }
    }

    /// Loads a pipeline of the project.
    pub(crate) fn pipeline(
        &self,
        file: &Path,
        datastores: Option<&Path>,
    ) -> Result<LoadedPipeline, Diagnostic> {
        if !file.exists() {
            // Nothing beside a missing file matters: the reader sees one problem and not two.
            pintail_config::Document::read(file, &variable)?;
        }
        Ok(pintail_sync::spec::load(
            file,
            self.datastores(datastores),
            &variable,
        )?)
    }
}

/// The folder above, with `..` only where the path does not spell it out.
fn above(folder: &Path) -> PathBuf {
    match (folder.file_name(), folder.parent()) {
        (Some(_), Some(above)) => above.to_owned(),
        _ => folder.join(".."),
    }
}
