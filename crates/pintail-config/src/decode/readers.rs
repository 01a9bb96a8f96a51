//! The readers: one for every kind of value that a configuration holds.

use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use bytesize::ByteSize;

use crate::decode::Decoder;
use crate::decode::shape::{Shape, nothing};
use crate::nearest::did_you_mean;
use crate::node::{Node, Value};
use crate::units::{parse_bandwidth, parse_duration, parse_size};

/// A text that is not empty. Numbers are taken as they are written; a bare `true` is more likely a mistake.
pub fn text(node: &Node, decoder: &mut Decoder) -> Option<String> {
    if decoder.takes(|| Shape::Text) {
        return None;
    }
    match &node.value {
        Value::Scalar { text, quoted } if *quoted || !matches!(text.as_str(), "true" | "false") => {
            if text.trim().is_empty() {
                decoder.problem(node.position, "expected a text, found an empty one");
                return None;
            }
            Some(text.clone())
        }
        _ => {
            decoder.expected("a text", node);
            None
        }
    }
}

/// Any scalar, as text; an empty one too.
pub fn scalar(node: &Node, decoder: &mut Decoder) -> Option<String> {
    if decoder.takes(|| Shape::Scalar) {
        return None;
    }
    let found = scalar_text(node);
    if found.is_none() {
        decoder.expected("a single value", node);
    }
    found.map(str::to_owned)
}

/// `true` or `false`.
pub fn boolean(node: &Node, decoder: &mut Decoder) -> Option<bool> {
    parsed(node, decoder, Shape::Boolean, "`true` or `false`", |text| {
        text.parse().ok()
    })
}

/// A whole number within `range`, which is also what the type can hold.
pub fn whole_number<N>(range: impl RangeBounds<N>) -> impl FnOnce(&Node, &mut Decoder) -> Option<N>
where
    N: TryFrom<i128> + Into<i128> + Copy,
{
    move |node, decoder| {
        // 128 bits, so that a number out of range is told apart from a text.
        let (low, high) = bounds(&range);
        let shape = Shape::WholeNumber(low, high);
        let number: i128 = parsed(node, decoder, shape, "a whole number", |text| {
            text.replace('_', "").parse().ok()
        })?;
        let what = match (low, high) {
            (Some(low), Some(high)) => format!("a whole number from {low} to {high}"),
            (Some(low), None) if number < low => format!("a whole number of at least {low}"),
            (None, Some(high)) if number > high => format!("a whole number of at most {high}"),
            _ => format!("a whole number that fits {} bits", 8 * size_of::<N>()),
        };
        let inside = low.is_none_or(|low| low <= number) && high.is_none_or(|high| number <= high);
        let fitting = N::try_from(number).ok().filter(|_| inside);
        if fitting.is_none() {
            decoder.expected(&what, node);
        }
        fitting
    }
}

/// A number above zero, with or without a fraction.
pub fn positive_number(node: &Node, decoder: &mut Decoder) -> Option<f64> {
    parsed(node, decoder, Shape::PositiveNumber, "a number above 0", |text| {
        text.parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number > 0.0)
    })
}

/// A duration: `250ms`, `5m`, `1h 30m`, or a plain number of seconds.
pub fn duration(node: &Node, decoder: &mut Decoder) -> Option<Duration> {
    parsed(
        node,
        decoder,
        Shape::Duration,
        "a duration like `5m`, `250ms` or `2h`",
        parse_duration,
    )
}

/// A size: `64 MiB`, `2 GB`, or a plain number of bytes.
pub fn size(node: &Node, decoder: &mut Decoder) -> Option<ByteSize> {
    parsed(
        node,
        decoder,
        Shape::Size,
        "a size like `64 MiB` or `2 GB`",
        parse_size,
    )
}

/// A size in a second: `10 MiB/s`.
pub fn bandwidth(node: &Node, decoder: &mut Decoder) -> Option<ByteSize> {
    parsed(
        node,
        decoder,
        Shape::Text,
        "a bandwidth like `10 MiB/s`, at least `1 KiB/s`",
        parse_bandwidth,
    )
}

/// One of the given words, and what it stands for; `what` names the choice: "a strategy type".
pub fn one_of<T: Copy>(
    what: &'static str,
    words: &[(&'static str, T)],
) -> impl FnOnce(&Node, &mut Decoder) -> Option<T> {
    move |node, decoder| {
        if decoder.takes(|| Shape::Words(words.iter().map(|(word, _)| *word).collect())) {
            return None;
        }
        let word = scalar_text(node).unwrap_or_default();
        let found = words
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, value)| *value);
        if found.is_none() {
            // The word nearest to a secret would say something about it.
            let asked = if node.hidden() { "" } else { word };
            let hint = did_you_mean(asked, words.iter().map(|(known, _)| *known));
            decoder.expected_with_hint(what, node, hint);
        }
        found
    }
}

/// A list of what `read` reads. Items that are wrong are reported and left out.
pub fn list<T>(
    mut read: impl FnMut(&Node, &mut Decoder) -> Option<T>,
) -> impl FnOnce(&Node, &mut Decoder) -> Option<Vec<T>> {
    move |node, decoder| {
        if decoder.probing() {
            let item = decoder.probe(|decoder| {
                read(&nothing(), decoder);
            });
            decoder.takes(|| Shape::List(Box::new(item)));
            return None;
        }
        let Value::List(items) = &node.value else {
            decoder.expected("a list", node);
            return None;
        };
        let read_one = |(index, item)| decoder.at_index(index, |decoder| read(item, decoder));
        Some(items.iter().enumerate().filter_map(read_one).collect())
    }
}

/// A mapping with keys of the reader's own choice: names to what `read` reads.
pub fn mapping<T>(
    mut read: impl FnMut(&str, &Node, &mut Decoder) -> Option<T>,
) -> impl FnOnce(&Node, &mut Decoder) -> Option<Vec<(String, T)>> {
    move |node, decoder| {
        if decoder.probing() {
            let value = decoder.probe(|decoder| {
                read("", &nothing(), decoder);
            });
            decoder.takes(|| Shape::Mapping(Box::new(value)));
            return None;
        }
        let Value::Mapping(entries) = &node.value else {
            decoder.expected("a mapping", node);
            return None;
        };
        let read_one = |entry: &crate::node::Entry| {
            let value = decoder.at_key(&entry.key, |decoder| read(&entry.key, &entry.node, decoder))?;
            Some((entry.key.clone(), value))
        };
        Some(entries.iter().filter_map(read_one).collect())
    }
}

fn scalar_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// A scalar that `parse` understands. Quotes do not matter: `"5432"` is a fine port.
fn parsed<T>(
    node: &Node,
    decoder: &mut Decoder,
    shape: Shape,
    what: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    if decoder.takes(|| shape) {
        return None;
    }
    let value = scalar_text(node).and_then(|text| parse(text.trim()));
    if value.is_none() {
        decoder.expected(what, node);
    }
    value
}

/// Smallest and largest number of a range, `None` where it is open.
fn bounds<N: Copy + Into<i128>>(range: &impl RangeBounds<N>) -> (Option<i128>, Option<i128>) {
    let low = match range.start_bound() {
        Bound::Included(low) => Some((*low).into()),
        Bound::Excluded(low) => Some((*low).into() + 1),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some((*high).into()),
        Bound::Excluded(high) => Some((*high).into() - 1),
        Bound::Unbounded => None,
    };
    (low, high)
}
