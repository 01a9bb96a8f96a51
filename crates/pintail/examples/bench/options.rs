//! What can be asked for: `--rows`, `--rounds`, `--only`, `--binary`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::section::Section;

/// What to measure.
pub(crate) struct Options {
    pub(crate) rows: u64,
    pub(crate) rounds: usize,
    /// In the order in which they run.
    pub(crate) sections: Vec<Section>,
    /// The program that is measured.
    pub(crate) binary: PathBuf,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            rows: 5_000_000,
            rounds: 3,
            sections: Section::ALL.to_vec(),
            binary: PathBuf::from("target/debug/pintail"),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().with_context(|| format!("`{name}` needs a value"))?;
            match name.as_str() {
                "--rows" => options.rows = value.parse().context("`--rows` takes a number")?,
                "--rounds" => options.rounds = value.parse().context("`--rounds` takes a number")?,
                "--only" => options.sections = chosen(value)?,
                "--binary" => options.binary = PathBuf::from(value),
                _ => bail!("unknown option `{name}`: there are --rows, --rounds, --only and --binary"),
            }
        }
        ensure!(options.rows > 0, "`--rows` takes a number above 0");
        ensure!(options.rounds > 0, "`--rounds` takes a number above 0");
        ensure!(
            options.binary.exists(),
            "`{}` is missing: run `cargo build -p pintail`",
            options.binary.display()
        );
        Ok(options)
    }
}

/// The sections that a list names, in the order in which they run anyway.
fn chosen(list: &str) -> Result<Vec<Section>> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    for name in &names {
        ensure!(
            Section::ALL.iter().any(|section| section.name() == *name),
            "unknown section `{name}`: there are {}",
            Section::ALL.map(Section::name).join(", ")
        );
    }
    let chosen = Section::ALL.into_iter();
    Ok(chosen.filter(|section| names.contains(&section.name())).collect())
}
