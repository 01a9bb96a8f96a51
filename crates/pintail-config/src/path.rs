//! Where a value stands in a document: `strategies[0].column`.

use std::fmt;

use crate::node::shown_key;

/// Keys and list positions from the root to a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct ValuePath(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

impl ValuePath {
    pub(crate) fn push_key(&mut self, key: &str) {
        self.0.push(Step::Key(shown_key(key)));
    }

    pub(crate) fn push_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
