//! The options of a connection: names to texts, some of them secret.

use std::collections::BTreeMap;

use pintail_model::Secret;

use crate::secrecy::{secret_key, secret_text};

/// Options by name. `Debug` does not show the secret ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options(BTreeMap<String, Setting>);

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A value that may be shown.
    Text(String),
    /// A value that may not.
    Secret(Secret),
}

impl Setting {
    /// The value itself, secret or not: for the system that it belongs to, and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl Options {
    /// Sets an option. Whether it is a secret is told from its name and from its look.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        let setting = if secret_key(&name) || secret_text(&value) {
            Setting::Secret(Secret::new(value))
        } else {
            Setting::Text(value)
        };
        self.0.insert(name, setting);
    }

    /// An option that is no secret.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Setting::Text(text) => Some(text),
            Setting::Secret(_) => None,
        }
    }

    /// An option that is a secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        match self.0.get(name)? {
            Setting::Text(_) => None,
            Setting::Secret(secret) => Some(secret),
        }
    }

    /// All options, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// All secret values, for whoever strikes them out of other people's messages.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let secret = |setting: &Setting| match setting {
            Setting::Text(_) => None,
            Setting::Secret(secret) => Some(secret.clone()),
        };
        self.0.values().filter_map(secret).collect()
    }

    /// The options as a connection string of libpq: `dbname='shop' host='db' …`. Contains the password.
    #[must_use]
    pub fn conninfo(&self) -> Secret {
        let parts: Vec<String> = self
            .iter()
            .map(|(name, setting)| {
                let value = setting.expose().replace('\\', "\\\\").replace('\'', "\\'");
                format!("{name}='{value}'")
            })
            .collect();
        Secret::new(parts.join(" "))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Options {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut options = Self::default();
        for (name, value) in pairs {
            options.insert(name, value);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn a_connection_string_quotes_its_values() {
        let options: Options = [("host", "db"), ("password", r"it's \ odd"), ("dbname", "")]
            .into_iter()
            .collect();
        assert_eq!(
            options.conninfo().expose(),
            r"dbname='' host='db' password='it\'s \\ odd'"
        );
    }

    #[test]
    fn secrets_do_not_show() {
        let options: Options = [
            ("password", "hunter2"),
            ("sslpassword", "hunter2"),
            ("url", "mysql://a:hunter2@db"),
            ("user", "a"),
        ]
        .into_iter()
        .collect();
        assert!(!format!("{options:?}").contains("hunter2"));
        assert_eq!(options.secrets().len(), 3);
        assert_eq!(options.text("user"), Some("a"));
        assert_eq!(options.text("password"), None);
        assert_eq!(
            options.secret("password").map(pintail_model::Secret::expose),
            Some("hunter2")
        );
    }
}
