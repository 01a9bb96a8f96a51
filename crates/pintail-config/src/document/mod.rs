//! From a YAML file to a tree of [`Node`]s.
//!
//! YAML 1.2 as far as a configuration needs it: mappings with text keys, lists, scalars, anchors and aliases, one
//! document a file. Tags, keys that are not texts and duplicate keys are refused. Variables are put in while the
//! tree is built. A syntax error ends the load; everything else is collected, so that a reader sees it together
//! with what the decoding finds.
//!
//! The tree is built from the events of the parser and not by recursion, and its depth and size are limited: a
//! hostile file can exhaust neither the stack nor the memory.

mod builder;

use std::path::{Path, PathBuf};

use saphyr_parser::Parser;

use crate::decode::Decoder;
use crate::document::builder::Builder;
use crate::environment::Lookup;
use crate::node::Node;
use crate::problem::{Problem, Problems};

/// A loaded file.
#[derive(Debug)]
pub struct Document {
    /// The file as the caller named it.
    pub file: PathBuf,
    /// The whole content.
    pub root: Node,
    problems: Vec<Problem>,
}

impl Document {
    /// Reads and parses a file.
    pub fn read(file: &Path, lookup: Lookup<'_>) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Problem::with_file(
                file,
                match error.kind() {
                    std::io::ErrorKind::NotFound => "the file does not exist".to_owned(),
                    std::io::ErrorKind::PermissionDenied => {
                        "the file may not be read: permission denied".to_owned()
                    }
                    std::io::ErrorKind::IsADirectory => "this is a folder, not a file".to_owned(),
                    std::io::ErrorKind::InvalidData => "the file is not UTF-8 text".to_owned(),
                    _ => format!("the file cannot be read: {error}"),
                },
            )
        })?;
        Self::parse(file, &text, lookup)
    }

    /// Parses a text; `file` is only the name for messages.
    pub fn parse(file: &Path, text: &str, lookup: Lookup<'_>) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut builder = Builder::new(file, lookup);
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| builder.syntax(&error, text))?;
            builder.event(event, span)?;
        }
        let (root, problems) = builder.finish()?;
        Ok(Self {
            file: file.to_owned(),
            root,
            problems,
        })
    }

    /// Decodes the whole document with `read`. Fails with all problems of the load and of the decoding together.
    pub fn decode<T>(self, read: impl FnOnce(&Node, &mut Decoder) -> Option<T>) -> Result<T, Problems> {
        let mut decoder = Decoder::new(self.file, self.problems);
        let value = read(&self.root, &mut decoder);
        Problems::check(decoder.into_problems())?;
        Ok(value.expect("a reader that gives nothing reports why"))
    }
}
