//! Trees of values as people read them: YAML for files and for eyes, JSON for programs. Keys stay in their order.

use serde::{Serialize, Serializer};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Boolean(bool),
    Number(i64),
    Text(String),
    List(Vec<Tree>),
    Mapping(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The value of a key, made where it is missing: `default` is what holds without it.
    pub(crate) fn key_or(&mut self, key: &str, default: Tree) -> Option<&mut Tree> {
        let Self::Mapping(entries) = self else {
            return None;
        };
        let index = entries.iter().position(|(known, _)| known == key);
        let index = index.unwrap_or_else(|| {
            entries.push((key.to_owned(), default));
            entries.len() - 1
        });
        let value = &mut entries[index].1;
        Some(value)
    }

    /// The value of a key.
    pub(crate) fn key(&mut self, key: &str) -> Option<&mut Tree> {
        match self {
            Self::Mapping(entries) => entries
                .iter_mut()
                .find(|(known, _)| known == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The items of a list.
    pub(crate) fn items(&mut self) -> &mut [Tree] {
        match self {
            Self::List(items) => items,
            _ => &mut [],
        }
    }

    /// As YAML, without a line break at the end.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text.trim_start_matches('\n').to_owned()
    }

    /// Writes what stands behind a key: on the same line, or on lines of its own.
    fn write(&self, depth: usize, text: &mut String) {
        let line = |text: &mut String| {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        };
        match self {
            Self::Mapping(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    line(text);
                    text.push_str(&scalar(key));
                    text.push(':');
                    value.write(depth + 1, text);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    line(text);
                    let mut inner = String::new();
                    item.write(depth + 1, &mut inner);
                    text.push_str("- ");
                    text.push_str(inner.trim_start());
                }
            }
            other => {
                text.push(' ');
                text.push_str(&other.inline());
            }
        }
    }

    fn inline(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => scalar(text),
            Self::List(_) => "[]".to_owned(),
            Self::Mapping(_) => "{}".to_owned(),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Mapping(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}

/// A text as a scalar of YAML: bare where every reader takes it for that text, in double quotes elsewhere.
pub(crate) fn scalar(text: &str) -> String {
    const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        // Every JSON text is one of YAML.
        serde_json::to_string(text).expect("a text has a JSON form")
    }
}

/// The same for a file that is loaded, where `${` would begin a variable.
pub(crate) fn literal(text: &str) -> String {
    scalar(&text.replace("${", "$${"))
}
