//! What a watermark was read from, as texts that can be kept: a name, and what identifies the thing beyond its name.

/// `name`, followed by the identity where there is one: `public.orders #16384`.
#[must_use]
pub fn text(name: &str, identity: Option<&str>) -> String {
    match identity {
        Some(identity) => format!("{name}{MARK}{identity}"),
        None => name.to_owned(),
    }
}

/// The name alone.
#[must_use]
pub fn name(text: &str) -> &str {
    text.rsplit_once(MARK).map_or(text, |(name, _)| name)
}

const MARK: &str = " #";
