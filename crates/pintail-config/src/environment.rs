//! `${VAR}` and `${VAR:-default}` in any value, also inside a longer text; `$${` stands for a literal `${`.
//!
//! The default takes effect where the variable is not set or empty, as in a shell. What a variable contains is
//! text and is never read as YAML, nor searched for further variables. The environment is passed in, so loading
//! is a function of its inputs.

/// Where variables are looked up: the process environment in the binary, a table in tests.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A text after its variables were put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// Names of the variables that were asked for. Not empty means: the text could be a secret.
    pub(crate) variables: Vec<String>,
}

/// Why a `${…}` cannot be resolved. Names the variable and never what stands around it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpandError {
    #[error("environment variable `{0}` is not set")]
    Missing(String),
    #[error("a `${{` is not closed")]
    Unclosed,
    #[error("a `${{…}}` does not name a variable")]
    Name,
}

impl ExpandError {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Missing(name) => format!("set it, or write a default: `${{{name}:-default}}`"),
            Self::Unclosed => "write `$${` where a `${` is meant literally".to_owned(),
            Self::Name => {
                "the forms are `${VAR}` and `${VAR:-default}`, and `$${` for a literal `${`".to_owned()
            }
        }
    }
}

/// Puts the variables of `text` in; all that is wrong with it otherwise.
pub(crate) fn expand(text: &str, lookup: Lookup<'_>) -> Result<Expanded, Vec<ExpandError>> {
    let mut expanded = Expanded {
        text: String::with_capacity(text.len()),
        variables: Vec::new(),
    };
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find("${") {
        let (before, reference) = rest.split_at(dollar);
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.text.push_str(escaped);
            expanded.text.push_str("${");
            rest = &reference[2..];
            continue;
        }
        expanded.text.push_str(before);
        let Some(end) = reference.find('}') else {
            errors.push(ExpandError::Unclosed);
            break;
        };
        match resolve(&reference[2..end], lookup) {
            Ok((name, value)) => {
                expanded.text.push_str(&value);
                expanded.variables.push(name.to_owned());
            }
            Err(error) => errors.push(error),
        }
        rest = &reference[end + 1..];
    }
    if errors.is_empty() {
        expanded.text.push_str(rest);
        Ok(expanded)
    } else {
        Err(errors)
    }
}

fn resolve<'t>(inside: &'t str, lookup: Lookup<'_>) -> Result<(&'t str, String), ExpandError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if !starts_well
        || !name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    {
        return Err(ExpandError::Name);
    }
    let value = match (lookup(name), default) {
        (Some(value), Some(default)) if value.is_empty() => default.to_owned(),
        (Some(value), _) => value,
        (None, Some(default)) => default.to_owned(),
        (None, None) => return Err(ExpandError::Missing(name.to_owned())),
    };
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::{ExpandError, expand};

    fn lookup(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db.internal".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${HOST}: [x".to_owned()),
            _ => None,
        }
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(
            expand(text, &lookup).map(|expanded| expanded.text),
            Ok(expected.to_owned()),
            "{text}"
        );
    }

    #[test]
    fn variables_stand_anywhere_in_a_text() {
        check("${HOST}", "db.internal");
        check("https://${HOST}:${PORT:-5432}/", "https://db.internal:5432/");
        check("${EMPTY:-fallback}", "fallback");
        check("${EMPTY}", "");
        check("${MISSING:-}", "");
        check("${MISSING:-a:-b}", "a:-b");
        check("no variable, $HOST and $ stay", "no variable, $HOST and $ stay");
    }

    #[test]
    fn two_dollars_escape_a_reference() {
        check("$${HOST}", "${HOST}");
        check("a $${HOST} b ${HOST}", "a ${HOST} b db.internal");
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        check("${TRICKY}", "${HOST}: [x");
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        assert_eq!(
            expand("${A}-${B}-${1}-${", &lookup),
            Err(vec![
                ExpandError::Missing("A".to_owned()),
                ExpandError::Missing("B".to_owned()),
                ExpandError::Name,
                ExpandError::Unclosed,
            ])
        );
    }

    #[test]
    fn a_text_remembers_its_variables() {
        let variables = |text| expand(text, &lookup).map(|expanded| expanded.variables);
        assert_eq!(variables("x${HOST}"), Ok(vec!["HOST".to_owned()]));
        assert_eq!(variables("${PORT:-1}"), Ok(vec!["PORT".to_owned()]));
        assert_eq!(variables("$${HOST}"), Ok(vec![]));
    }
}
