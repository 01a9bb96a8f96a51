//! The fields of one mapping.

use crate::decode::Decoder;
use crate::decode::shape::{Field, Shape, nothing};
use crate::nearest::{did_you_mean, nearest};
use crate::node::{Entry, Node, Value, shown_key};
use crate::problem::Position;

/// An open mapping. [`Fields::finish`] reports what is missing and what nobody asked for.
#[must_use = "unknown and missing keys are reported by `finish`"]
#[derive(Debug)]
pub struct Fields<'n, 'd> {
    entries: &'n [Entry],
    position: Position,
    decoder: &'d mut Decoder,
    known: Vec<&'static str>,
    missing: Vec<&'static str>,
    /// What was asked for, while readers are probed.
    probed: Vec<Field>,
}

impl<'n, 'd> Fields<'n, 'd> {
    pub(crate) fn new(entries: &'n [Entry], position: Position, decoder: &'d mut Decoder) -> Self {
        Self {
            entries,
            position,
            decoder,
            known: Vec::new(),
            missing: Vec::new(),
            probed: Vec::new(),
        }
    }

    /// Reads a field that has to be there.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Decoder) -> Option<T>,
    ) -> Option<T> {
        if self.decoder.probing() {
            self.probe(key, true, read);
            return None;
        }
        if self.entry(key).is_none() {
            self.missing.push(key);
        }
        self.read(key, read)
    }

    /// Reads a field that may be left out; leaving the value empty is leaving it out.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Decoder) -> Option<T>,
    ) -> Option<T> {
        if self.decoder.probing() {
            self.probe(key, false, read);
            return None;
        }
        match self.node(key)?.value {
            Value::Null => None,
            _ => self.read(key, read),
        }
    }

    /// Reads a field that has a default.
    pub fn with_default<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Node, &mut Decoder) -> Option<T>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// The value of a field as it is, for those who decide by what else is there. The key counts as known.
    pub fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        if self.decoder.probing() {
            self.probe(key, false, |_, _| None::<()>);
        }
        self.known.push(key);
        self.entry(key).map(|entry| &entry.node)
    }

    /// Reports that a field does not belong here, if it is there.
    pub fn refuse(&mut self, key: &'static str, why: &str) {
        self.known.push(key);
        if let Some(entry) = self.entry(key) {
            self.decoder
                .problem(entry.key_position, format!("key `{key}` {why}"));
        }
    }

    /// Whether a field has a value, right or wrong. An empty list is none.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|entry| match &entry.node.value {
            Value::Null => false,
            Value::List(items) => !items.is_empty(),
            Value::Scalar { .. } | Value::Mapping(_) | Value::Unresolved => true,
        })
    }

    /// Where the value of a field begins, if it is there.
    #[must_use]
    pub fn position_of(&self, key: &str) -> Option<Position> {
        self.entry(key).map(|entry| entry.node.position)
    }

    /// Where the mapping begins.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The decoder, for problems that concern several fields.
    pub fn decoder(&mut self) -> &mut Decoder {
        self.decoder
    }

    /// Reports all missing and unknown keys. A missing key that was only misspelt is reported once.
    pub fn finish(mut self) {
        let probed = std::mem::take(&mut self.probed);
        if self.decoder.takes(|| Shape::Fields(probed)) {
            return;
        }
        for entry in self.entries {
            if self.known.contains(&entry.key.as_str()) {
                continue;
            }
            // Keys that are there already cannot be meant, and missing ones are reported anyway.
            let absent = self
                .known
                .iter()
                .copied()
                .filter(|known| self.entry(known).is_none());
            let meant = nearest(&entry.key, absent.clone());
            let hint = match meant {
                Some(meant) => Some(format!("did you mean `{meant}`?")),
                None => did_you_mean(&entry.key, absent.filter(|key| !self.missing.contains(key))),
            };
            self.missing.retain(|missing| Some(*missing) != meant);
            self.decoder.problem_with_hint(
                entry.key_position,
                format!("key `{}` is not known", shown_key(&entry.key)),
                hint,
            );
        }
        for missing in self.missing {
            self.decoder
                .problem(self.position, format!("key `{missing}` is missing"));
        }
    }

    /// Notes a key and what `read` takes. A key that is asked for twice takes either.
    fn probe<T>(
        &mut self,
        key: &'static str,
        required: bool,
        read: impl FnOnce(&Node, &mut Decoder) -> Option<T>,
    ) {
        let shape = self.decoder.probe(|decoder| {
            read(&nothing(), decoder);
        });
        match self.probed.iter_mut().find(|field| field.key == key) {
            Some(field) => {
                field.required &= required;
                field.shape = std::mem::replace(&mut field.shape, Shape::Any).or(shape);
            }
            None => self.probed.push(Field { key, required, shape }),
        }
    }

    fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Decoder) -> Option<T>,
    ) -> Option<T> {
        let node = self.node(key)?;
        self.decoder.at_key(key, |decoder| read(node, decoder))
    }
}
