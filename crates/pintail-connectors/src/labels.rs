//! Names of columns between a source and the engine.

use std::collections::BTreeSet;

use pintail_lake::connector::ColumnRead;

/// A name for each column, in order: its own, unless a column is read more than once. The engine does not tell names
/// apart by case.
pub(crate) fn labels(columns: &[ColumnRead]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let repeated = columns
        .iter()
        .any(|read| !seen.insert(read.source.name.to_lowercase()));
    let label = |(index, read): (usize, &ColumnRead)| {
        if repeated {
            format!("c{index}")
        } else {
            read.source.name.clone()
        }
    };
    columns.iter().enumerate().map(label).collect()
}

/// `wish`, with as many underscores as it takes to be none of `labels`.
pub(crate) fn unused_label(wish: &str, labels: &[String]) -> String {
    let mut label = wish.to_owned();
    while labels.iter().any(|taken| taken.eq_ignore_ascii_case(&label)) {
        label.push('_');
    }
    label
}
