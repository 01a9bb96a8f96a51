//! `datastores.yaml`: both ends, with variables in place of secrets.

use std::fmt::Write;

use pintail_config::datastore::Setting;
use pintail_config::{Connection, Datastore, Location};

use crate::yaml::literal;

/// Both ends, under the names that pipelines use.
pub(super) struct Connections {
    pub(super) source: End,
    pub(super) destination: End,
}

/// One end.
pub(super) struct End {
    pub(super) name: String,
    pub(super) system: String,
    address: String,
    /// Keys of `connection:`, and their values as they are written.
    keys: Vec<(String, String)>,
    variables: Vec<String>,
    /// Whether somebody may have to add a password.
    asks_for_password: bool,
}

impl Connections {
    pub(super) fn new(from: &Location, to: &Location) -> Self {
        let destination = match to.datastore.connection {
            Connection::Lake(_) => "lake".to_owned(),
            _ => format!("{}_copy", own_name(&to.datastore)),
        };
        let mut source = own_name(&from.datastore);
        if source == destination {
            source = "source".to_owned();
        }
        Self {
            source: End::new(source, &from.datastore),
            destination: End::new(destination, &to.datastore),
        }
    }

    /// The variables that have to be set.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        let all = self.source.variables.iter().chain(&self.destination.variables);
        all.map(String::as_str)
    }

    /// Any value for a variable of these files, to read them back with.
    pub(super) fn stand_in(&self, name: &str) -> Option<String> {
        self.variables()
            .any(|known| known == name)
            .then(|| "secret".to_owned())
    }

    pub(super) fn datastores_yaml(&self) -> String {
        let mut text = "# yaml-language-server: $schema=schemas/datastores.json\n\
                        # Written by `pintail init`. Secrets come from variables.\n\
                        datastores:\n"
            .to_owned();
        for end in [&self.source, &self.destination] {
            end.write(&mut text);
        }
        text
    }
}

impl End {
    fn new(name: String, datastore: &Datastore) -> Self {
        let mut end = Self {
            system: datastore.system.clone(),
            address: datastore.to_string(),
            keys: Vec::new(),
            variables: Vec::new(),
            asks_for_password: false,
            name,
        };
        for (key, setting) in datastore.connection_keys() {
            let value = match setting {
                Setting::Text(text) if key == "catalog" => {
                    let secrets = end.catalogue_secrets(datastore, &text);
                    crate::yaml::scalar(&(text.replace("${", "$${") + &secrets))
                }
                Setting::Text(text) => literal(&text),
                Setting::Secret(_) => format!("\"{}\"", end.variable(&key)),
            };
            end.keys.push((key, value));
        }
        let server = matches!(datastore.connection, Connection::Server(_));
        end.asks_for_password = server && end.variables.is_empty();
        end
    }

    /// The parameters of a catalogue's address that stand for its secrets.
    fn catalogue_secrets(&mut self, datastore: &Datastore, address: &str) -> String {
        let mut parameters = String::new();
        for secret in datastore.catalogue_secrets() {
            let joint = if address.contains('?') || !parameters.is_empty() {
                '&'
            } else {
                '?'
            };
            let variable = self.variable(secret);
            parameters.push_str(&format!("{joint}{secret}={variable}"));
        }
        parameters
    }

    /// `${SHOP_PASSWORD}`, which has to be set from now on.
    fn variable(&mut self, key: &str) -> String {
        let name = variable_name(&self.name, key);
        let reference = format!("${{{name}}}");
        self.variables.push(name);
        reference
    }

    fn write(&self, text: &mut String) {
        let name = literal(&self.name);
        let _ = write!(
            text,
            "  # {}\n  {name}:\n    type: {}\n    connection:\n",
            one_line(&self.address),
            self.system
        );
        for (key, value) in &self.keys {
            if key == "catalog" && !self.variables.is_empty() {
                text.push_str("      # A secret stands in an address here: percent-encode what is no letter or digit.\n");
            }
            let _ = writeln!(text, "      {key}: {value}");
        }
        if self.asks_for_password {
            let name = variable_name(&self.name, "password");
            let _ = writeln!(text, "      # password: \"${{{name}}}\"");
        }
    }
}

fn variable_name(datastore: &str, key: &str) -> String {
    let name = format!("{datastore}_{key}").to_uppercase();
    let letter = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(letter).collect();
    // The name of a variable begins with a letter.
    if name.starts_with(|letter: char| letter.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

/// A name for a datastore: that of its database, or of its file.
fn own_name(datastore: &Datastore) -> String {
    let named = datastore.connection_keys().into_iter().find_map(|(key, value)| {
        let Setting::Text(text) = value else {
            return None;
        };
        match key.as_str() {
            "dbname" | "database" | "bucket" => Some(text),
            "path" => {
                let path = std::path::Path::new(&text);
                path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
            }
            _ => None,
        }
    });
    let letter = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    let name: String = named.unwrap_or_default().chars().map(letter).collect();
    let name = name.trim_matches('_').to_lowercase();
    if name.is_empty() || name == "lake" {
        "source".to_owned()
    } else {
        name
    }
}

/// A text that fits behind a `#`.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}
