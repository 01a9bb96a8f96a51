//! What a reader takes, told by the reader itself.
//!
//! [`shape_of`] runs a reader without a document. Every primitive reader then notes what it would take instead of reading
//! it, and every mapping the keys that are asked of it. So a schema for editors cannot drift from what loads: it is read
//! off the code that loads. A reader that decides by what it finds says so with [`Decoder::probing`].

use crate::decode::Decoder;
use crate::node::{Node, Value};
use crate::problem::Position;

/// The values that a reader takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Anything.
    Any,
    /// A text that is not empty.
    Text,
    /// Any single value.
    Scalar,
    /// `true` or `false`.
    Boolean,
    /// A whole number, with its smallest and largest value.
    WholeNumber(Option<i128>, Option<i128>),
    /// A number above 0.
    PositiveNumber,
    /// A number of seconds, or a text like `5m`.
    Duration,
    /// A number of bytes, or a text like `64 MiB`.
    Size,
    /// One of these words.
    Words(Vec<&'static str>),
    /// A list.
    List(Box<Shape>),
    /// A mapping with keys of the reader's own choice.
    Mapping(Box<Shape>),
    /// A mapping with these keys and no others.
    Fields(Vec<Field>),
    /// One of several.
    Either(Vec<Shape>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// What it takes.
    pub shape: Shape,
}

/// What `read` takes.
pub fn shape_of<T>(read: impl FnOnce(&Node, &mut Decoder) -> Option<T>) -> Shape {
    Decoder::for_probing().probe(|decoder| {
        read(&nothing(), decoder);
    })
}

/// What a reader gets to see while it is probed.
pub(crate) fn nothing() -> Node {
    Node::new(Value::Null, Position { line: 1, column: 1 })
}

impl Shape {
    /// What either of two readers takes.
    pub(crate) fn or(self, other: Self) -> Self {
        match self {
            same if same == other => same,
            Self::Either(mut shapes) => {
                shapes.push(other);
                Self::Either(shapes)
            }
            one => Self::Either(vec![one, other]),
        }
    }
}
