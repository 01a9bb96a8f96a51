//! The tree that a document becomes: every node knows where it stands and whether it may be shown.

use crate::problem::Position;
use crate::secrecy::secret_text;

/// One value of a document.
#[derive(Clone)]
pub struct Node {
    /// What stands there.
    pub value: Value,
    /// Where it begins.
    pub position: Position,
    /// The environment variables that the value came from, wholly or in part.
    pub variables: Vec<String>,
    /// Whether the value is a secret by the name of its key or by its look.
    pub secret: bool,
}

/// What a node holds. Scalars stay texts until somebody reads them as something: `007` is a good password.
#[derive(Clone)]
pub enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A scalar; `quoted` ones are texts whatever they look like.
    Scalar {
        /// The text, variables put in.
        text: String,
        /// Whether it stood in quotes or in a block.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file. Keys are unique.
    Mapping(Vec<Entry>),
    /// A scalar whose variables cannot be resolved. The problem is reported already; readers pass over it.
    Unresolved,
}

/// One line of a mapping.
#[derive(Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub key_position: Position,
    /// The value.
    pub node: Node,
}

impl Node {
    pub(crate) fn new(value: Value, position: Position) -> Self {
        Self {
            value,
            position,
            variables: Vec::new(),
            secret: false,
        }
    }

    /// The value of `key`, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.node),
            _ => None,
        }
    }

    /// Whether the value must not appear in any output.
    #[must_use]
    pub fn hidden(&self) -> bool {
        self.secret || !self.variables.is_empty()
    }

    /// The node in words, for messages: its kind, and its value where that may be shown.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Unresolved => "an unresolved variable".to_owned(),
            Value::Scalar { .. } if !self.variables.is_empty() => {
                format!("a value from `${{{}}}`", self.variables.join("}` and `${"))
            }
            Value::Scalar { .. } if self.secret => "a value that is not shown".to_owned(),
            Value::Scalar { text, quoted } => {
                let kind = match text.as_str() {
                    _ if *quoted => "text",
                    "true" | "false" => "boolean",
                    plain if plain.parse::<f64>().is_ok() => "number",
                    _ => "text",
                };
                format!("the {kind} `{}`", cut(text))
            }
        }
    }

    /// How many nodes there are, this one included.
    pub(crate) fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Mapping(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
            Value::Null | Value::Scalar { .. } | Value::Unresolved => 0,
        }
    }
}

/// A key as it appears in messages. A key can be a secret by mistake: `postgres://user:password@host: x`.
pub(crate) fn shown_key(key: &str) -> String {
    if secret_text(key) {
        "***".to_owned()
    } else {
        cut(key)
    }
}

/// A text on one line, cut to what a message can carry.
pub(crate) fn cut(text: &str) -> String {
    const LETTERS_MAX: usize = 60;
    let mut line: String = text
        .chars()
        .take(LETTERS_MAX)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(LETTERS_MAX).is_some() {
        line.push('…');
    }
    line
}

// By hand, so that a value never reaches a log through `{:?}`.
impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Value::List(items) => f.debug_list().entries(items).finish(),
            Value::Mapping(entries) => f
                .debug_map()
                .entries(entries.iter().map(|entry| (shown_key(&entry.key), &entry.node)))
                .finish(),
            Value::Null | Value::Scalar { .. } | Value::Unresolved => f.write_str(&self.describe()),
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:?}", shown_key(&self.key), self.node)
    }
}
