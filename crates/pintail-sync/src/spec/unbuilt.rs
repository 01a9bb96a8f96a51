//! What a pipeline asks for that this release does not do yet.

use std::fmt;

use pintail_config::Position;

/// One thing that is not built yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbuilt {
    /// The strategy that asks for it, or `None` if every strategy of the pipeline needs it.
    pub strategy: Option<String>,
    /// What it is, in words: "a `hash` strategy".
    pub what: String,
    /// Where the pipeline file asks for it; `None` without a file.
    pub position: Option<Position>,
}

impl fmt::Display for Unbuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this release does not support {} yet", self.what)
    }
}

/// Collects what is not built while a pipeline is read.
#[derive(Debug, Default)]
pub(super) struct Collected(pub(super) Vec<Unbuilt>);

impl Collected {
    /// Something that every strategy needs.
    pub(super) fn pipeline(&mut self, what: impl Into<String>, position: Position) {
        self.0.push(Unbuilt {
            strategy: None,
            what: what.into(),
            position: Some(position),
        });
    }
}
