//! How the demo speaks: numbered steps, and under each what happened, in numbers.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use pintail_sync::SyncReport;

use super::folder::Folder;
use crate::diagnostics::Diagnostic;
use crate::terminal::{self, Palette, Tone};
use crate::{numbers, summary};

type Told = Result<(), Diagnostic>;

pub(super) fn title(folder: &Folder) -> Told {
    terminal::data(format_args!(
        "A shop, a lake, and a worker that will not survive. Everything lies in {}",
        folder.path().display()
    ))
}

pub(super) fn step(number: u8, title: &str) -> Told {
    let number = Palette::stdout().paint(Tone::Hint, &format!("{number}."));
    terminal::data(format_args!("\n{number} {title}"))
}

pub(super) fn line(text: impl Display) -> Told {
    terminal::data(format_args!("   {text}"))
}

pub(super) fn report(report: &SyncReport) -> Told {
    line(summary::line(report, &report.pipeline, Palette::stdout()))
}

/// A query, as it is typed.
pub(super) fn query(sql: &str) -> Told {
    terminal::data(format_args!("\n     {sql}\n"))
}

/// Columns of texts; all but the first are aligned to the right.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> Told {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| {
        all.iter()
            .filter_map(|row| row.get(column))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    for row in &all {
        let cells = row.iter().enumerate().map(|(column, text)| {
            let width = width(column);
            if column == 0 {
                format!("{text:<width$}")
            } else {
                format!("{text:>width$}")
            }
        });
        line(format_args!(
            "  {}",
            cells.collect::<Vec<_>>().join("  ").trim_end()
        ))?;
    }
    Ok(())
}

/// Where everything is, and what to try.
pub(super) fn end(folder: &Folder, took: Duration) -> Told {
    let path = folder.path();
    let program = program();
    let lake = quoted(&folder.lake());
    let (pipeline, shop) = (
        quoted(&folder.pipeline()),
        quoted(&format!("sqlite:{}", folder.shop().display())),
    );
    let files = [
        ("shop.db", "the shop"),
        (
            "lake.sqlite, lake/",
            "the lake: its catalogue and its Parquet files",
        ),
        ("pipeline.yaml, datastores.yaml", "what was run"),
        ("data/", "state, reports and logs of every run"),
    ];
    terminal::data(format_args!(
        "\nThat took {}. What is where, in {}:",
        numbers::duration(took),
        path.display()
    ))?;
    for (name, what) in files {
        line(format_args!("{name:<32} {what}"))?;
    }
    terminal::data("\nTry next:")?;
    line(format_args!(
        "{program} sql {lake} 'select status, count(*), sum(amount) from shop.orders group by all'"
    ))?;
    line(format_args!(
        "{program} run --config {pipeline} --strategy everything --plan"
    ))?;
    line(format_args!(
        "{program} copy {shop} customers {}",
        quoted(&format!("{}&schema=shop", folder.lake()))
    ))
}

/// The program as it was called.
fn program() -> String {
    std::env::args()
        .next()
        .map_or_else(|| "pintail".to_owned(), |name| quoted(&name))
}

/// A word as a shell reads it.
fn quoted(word: &(impl AsRef<Path> + ?Sized)) -> String {
    let word = word.as_ref().display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-:+,".contains(letter);
    if word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
