//! The parameters of an address.

use crate::location::{Reason, decode};
use crate::nearest::nearest;

/// The parameters behind the `?`.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn split(text: &str) -> Result<(&str, Self), Reason> {
        let Some((body, query)) = text.split_once('?') else {
            return Ok((text, Self(Vec::new())));
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Reason::new("a parameter behind the `?` has no value")
                    .hint("parameters are `key=value`; a `?` in a path or password is written as `%3F`")
            })?;
            Ok((decode(key)?, decode(value)?))
        });
        Ok((body, Self(pairs.collect::<Result<_, _>>()?)))
    }

    pub(super) fn take(&mut self, key: &str) -> Result<Option<String>, Reason> {
        let mut found: Vec<String> = self
            .0
            .extract_if(.., |(name, _)| name == key)
            .map(|(_, value)| value)
            .collect();
        match (found.pop(), found.is_empty()) {
            (Some(value), true) if value.is_empty() => {
                Err(Reason::new(format!("parameter `{key}` is empty")))
            }
            (value, true) => Ok(value),
            (_, false) => Err(Reason::new(format!("parameter `{key}` stands there twice"))),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Vec<(String, String)> {
        self.0
    }

    pub(super) fn finish(self, known: &[&str]) -> Result<(), Reason> {
        match self.0.first() {
            Some((key, _)) => Err(unknown_parameter(key, known)),
            None => Ok(()),
        }
    }
}

/// A parameter that nobody knows. Its name is only shown if it cannot be the tail of a password.
pub(super) fn unknown_parameter(key: &str, known: &[&str]) -> Reason {
    if !key
        .chars()
        .all(|letter| letter.is_ascii_lowercase() || letter == '_')
    {
        return Reason::new("a parameter behind the `?` is not known")
            .hint("a `?` in a path or password is written as `%3F`");
    }
    let reason = Reason::new(format!("parameter `{key}` is not known"));
    match nearest(key, known.iter().copied()) {
        Some(meant) => reason.hint(format!("did you mean `{meant}`?")),
        None => reason,
    }
}
