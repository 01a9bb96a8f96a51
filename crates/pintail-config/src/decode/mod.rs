//! Reading typed values out of nodes, collecting every mistake instead of stopping at the first.
//!
//! A *reader* is any function `(&Node, &mut Decoder) -> Option<T>`. It gives a value, or reports a problem and
//! gives nothing. The readers of this module are combined as parsers are: `list(text)`, `one_of(&[…])`,
//! `whole_number(1..)`. A reader for a mapping opens its [`Fields`], reads each by name, and finishes: keys that
//! nobody asked for are reported with the nearest key that somebody did.
//!
//! ```
//! use std::path::Path;
//!
//! use pintail_config::decode::{Decoder, text, whole_number};
//! use pintail_config::{Document, Node};
//!
//! struct Server {
//!     host: String,
//!     port: u16,
//! }
//!
//! fn server(node: &Node, decoder: &mut Decoder) -> Option<Server> {
//!     let mut fields = decoder.fields(node)?;
//!     let host = fields.required("host", text);
//!     let port = fields.with_default("port", 5432, whole_number(1..));
//!     fields.finish();
//!     Some(Server { host: host?, port })
//! }
//!
//! let no_environment = |_: &str| None;
//! let document = Document::parse(Path::new("server.yaml"), "host: db\nprot: 1", &no_environment).unwrap();
//! let problems = document.decode(server).err().unwrap();
//! assert_eq!(
//!     problems.to_string(),
//!     "server.yaml:2:1: key `prot` is not known\n  hint: did you mean `port`?"
//! );
//! ```

mod fields;
mod readers;
mod shape;

use std::path::PathBuf;

pub use fields::Fields;
pub use readers::{
    bandwidth, boolean, duration, list, mapping, one_of, positive_number, scalar, size, text, whole_number,
};
pub use shape::{Field, Shape, shape_of};

use crate::node::{Node, Value};
use crate::path::ValuePath;
use crate::problem::{Position, Problem};

/// What readers share: the file, the path to the value at hand, and the problems so far.
#[derive(Debug)]
pub struct Decoder {
    file: PathBuf,
    path: ValuePath,
    problems: Vec<Problem>,
    /// While readers are probed: what the one at work takes.
    probed: Option<Shape>,
}

impl Decoder {
    pub(crate) fn new(file: PathBuf, problems: Vec<Problem>) -> Self {
        Self {
            file,
            path: ValuePath::default(),
            problems,
            probed: None,
        }
    }

    fn for_probing() -> Self {
        Self {
            probed: Some(Shape::Any),
            ..Self::new(PathBuf::new(), Vec::new())
        }
    }

    /// Whether nothing is read, and readers only tell what they take: see [`shape_of`].
    #[must_use]
    pub fn probing(&self) -> bool {
        self.probed.is_some()
    }

    /// While readers are probed, notes what the one at work takes, and returns `true`: there is nothing to read.
    pub fn takes(&mut self, shape: impl FnOnce() -> Shape) -> bool {
        if let Some(probed) = &mut self.probed {
            *probed = shape();
        }
        self.probing()
    }

    /// What `read` takes; only while readers are probed.
    pub(crate) fn probe(&mut self, read: impl FnOnce(&mut Self)) -> Shape {
        let outer = self.probed.replace(Shape::Any);
        read(self);
        std::mem::replace(&mut self.probed, outer).unwrap_or(Shape::Any)
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Opens a mapping; a problem if the node is none.
    pub fn fields<'n, 'd>(&'d mut self, node: &'n Node) -> Option<Fields<'n, 'd>> {
        match &node.value {
            _ if self.probing() => Some(Fields::new(&[], node.position, self)),
            Value::Mapping(entries) => Some(Fields::new(entries, node.position, self)),
            _ => {
                self.expected("a mapping", node);
                None
            }
        }
    }

    /// Reports a problem with the value at hand.
    pub fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.report(at, message.into(), None);
    }

    /// Reports a problem with the value at hand, with advice.
    pub fn problem_with_hint(&mut self, at: Position, message: impl Into<String>, hint: Option<String>) {
        self.report(at, message.into(), hint);
    }

    /// Reports that something else was expected. Says what was found, never a value that could be a secret.
    pub fn expected(&mut self, what: &str, found: &Node) {
        self.expected_with_hint(what, found, None);
    }

    /// The same with advice.
    pub fn expected_with_hint(&mut self, what: &str, found: &Node, hint: Option<String>) {
        // An unresolved variable was reported when the tree was built.
        if !matches!(found.value, Value::Unresolved) {
            self.report(
                found.position,
                format!("expected {what}, found {}", found.describe()),
                hint,
            );
        }
    }

    /// How many problems there are so far.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Runs a reader one step down.
    fn at_key<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push_key(key);
        let value = read(self);
        self.path.pop();
        value
    }

    fn at_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push_index(index);
        let value = read(self);
        self.path.pop();
        value
    }

    fn report(&mut self, at: Position, message: String, hint: Option<String>) {
        self.problems.push(Problem {
            path: self.path.to_string(),
            hint,
            ..Problem::at(self.file.clone(), at, message)
        });
    }
}
