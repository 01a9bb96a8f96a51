//! Builds the tree from the events of the parser.

use std::collections::HashMap;
use std::path::Path;

use saphyr_parser::{Event, Marker, ScalarStyle, ScanError, Span};

use crate::environment::{self, Lookup};
use crate::node::{Entry, Node, Value, shown_key};
use crate::path::ValuePath;
use crate::problem::{Position, Problem, Problems};
use crate::secrecy::{secret_key, secret_text};

const DEPTH_MAX: usize = 64;
/// Nodes that aliases may add; without a limit, nested aliases double at every level.
const ALIASED_NODES_MAX: usize = 10_000;

/// A list or mapping whose end has not been seen yet.
struct Open {
    node: Node,
    anchor: usize,
    /// In a mapping: the key whose value comes next.
    key: Option<(String, Position)>,
}

pub(super) struct Builder<'a> {
    file: &'a Path,
    lookup: Lookup<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(file: &'a Path, lookup: Lookup<'a>) -> Self {
        Self {
            file,
            lookup,
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            aliased: 0,
            problems: Vec::new(),
        }
    }

    /// The tree, and what is wrong with it.
    pub(super) fn finish(self) -> Result<(Node, Vec<Problem>), Problems> {
        match self.root {
            Some(root) => Ok((root, self.problems)),
            None => Err(Problem::with_file(self.file, "the file is empty").into()),
        }
    }

    /// Takes the next event of the parser. Fails where nothing sensible can follow.
    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problems> {
        let at = position(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => Err(self
                .problem(at, "a second document begins here: a file holds one")
                .into()),
            Event::DocumentStart(_) => Ok(()),
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.begin(Value::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.begin(Value::Mapping(Vec::new()), anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("the parser ends only what it began");
                self.complete(open.node, open.anchor)
            }
            Event::Alias(anchor) => {
                let Some(mut node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self
                        .problem(at, "an alias refers to a value that contains it")
                        .into());
                };
                self.aliased += node.size();
                if self.aliased > ALIASED_NODES_MAX {
                    return Err(self.problem(at, "aliases add too many values").into());
                }
                node.position = at;
                self.complete(node, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                if self.expects_key() {
                    return self.key(text.into_owned(), at);
                }
                let node = self.scalar(&text, style != ScalarStyle::Plain, at);
                self.complete(node, anchor)
            }
        }
    }

    fn begin(&mut self, value: Value, anchor: usize, at: Position) -> Result<(), Problems> {
        if self.expects_key() {
            return Err(self.problem(at, "a key has to be a text").into());
        }
        if self.open.len() == DEPTH_MAX {
            // Without the path, which would be as long as it is deep.
            let message = format!("values are nested deeper than {DEPTH_MAX} levels");
            return Err(Problem::at(self.file, at, message).into());
        }
        self.open.push(Open {
            node: Node::new(value, at),
            anchor,
            key: None,
        });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, mut node: Node, anchor: usize) -> Result<(), Problems> {
        let below_secret = |open: &Open| open.key.as_ref().is_some_and(|(key, _)| secret_key(key));
        // Before the anchor is kept: a secret stays one under every other name.
        if self.open.iter().any(below_secret) {
            node.secret = true;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Mapping(entries) => {
                let Some((key, key_position)) = open.key.take() else {
                    return Err(self.problem(node.position, "a key has to be a text").into());
                };
                let first = entries
                    .iter()
                    .find(|entry| entry.key == key)
                    .map(|entry| entry.key_position.line);
                match first {
                    // The first one stays, so that the rest of the file is still checked against something.
                    Some(line) => {
                        let message = format!(
                            "key `{}` stands here twice, first in line {line}",
                            shown_key(&key)
                        );
                        let problem = self.problem(key_position, message);
                        self.problems.push(problem);
                    }
                    None => entries.push(Entry {
                        key,
                        key_position,
                        node,
                    }),
                }
            }
            Value::Null | Value::Scalar { .. } | Value::Unresolved => {
                unreachable!("only lists and mappings are open")
            }
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| matches!(open.node.value, Value::Mapping(_)) && open.key.is_none())
    }

    fn key(&mut self, key: String, at: Position) -> Result<(), Problems> {
        let open = self
            .open
            .last_mut()
            .expect("a key is expected only inside of a mapping");
        open.key = Some((key, at));
        Ok(())
    }

    fn scalar(&mut self, text: &str, quoted: bool, at: Position) -> Node {
        let expanded = match environment::expand(text, self.lookup) {
            Ok(expanded) => expanded,
            Err(errors) => {
                for error in errors {
                    let problem = self.problem(at, error.to_string()).hint(error.hint());
                    self.problems.push(problem);
                }
                return Node::new(Value::Unresolved, at);
            }
        };
        // A variable that is empty counts as nothing, so that `${SCHEMA:-}` leaves a key out.
        let null = !quoted && matches!(expanded.text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        let secret = secret_text(&expanded.text);
        let value = if null {
            Value::Null
        } else {
            Value::Scalar {
                text: expanded.text,
                quoted,
            }
        };
        Node {
            value,
            position: at,
            variables: expanded.variables,
            secret,
        }
    }

    fn refuse_tag(&mut self, tagged: bool, at: Position) {
        if tagged {
            let problem = self.problem(at, "tags (`!…`) have no meaning here");
            self.problems.push(problem);
        }
    }

    fn problem(&self, at: Position, message: impl Into<String>) -> Problem {
        Problem {
            path: self.path(),
            ..Problem::at(self.file, at, message)
        }
    }

    /// The path of the value that is being read.
    fn path(&self) -> String {
        let mut path = ValuePath::default();
        for open in &self.open {
            match (&open.node.value, &open.key) {
                (Value::List(items), _) => path.push_index(items.len()),
                (_, Some((key, _))) => path.push_key(key),
                _ => {}
            }
        }
        path.to_string()
    }

    /// What the parser refuses in `text`.
    pub(super) fn syntax(&self, error: &ScanError, text: &str) -> Problem {
        let at = position(*error.marker());
        let problem = self.problem(at, format!("this is not YAML: {}", error.info()));
        let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
        if error.info().contains("tab") {
            problem.hint("indent with spaces")
        } else if line.contains("${") {
            problem.hint("inside of `{…}` and `[…]` a `${VAR}` stands in quotes")
        } else {
            problem
        }
    }
}

fn position(marker: Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}
