//! A datastore as `datastores.yaml` says it.

use std::path::Path;

use crate::datastore::{Catalogue, Connection, Datastore, Lake, Setting};
use crate::options::Options;
use crate::place::{BUCKET_OPTIONS, FileFormat, Place};

impl Datastore {
    /// The keys below `connection:` that say the same, with paths as they were resolved. The address of a catalogue
    /// leaves its secrets out: see [`Datastore::catalogue_secrets`].
    #[must_use]
    pub fn connection_keys(&self) -> Vec<(String, Setting)> {
        let mut keys = Keys::default();
        match &self.connection {
            Connection::Server(options) => keys.options(options, str::to_owned),
            Connection::File(path) => keys.path("path", path),
            Connection::Lake(lake) => keys.lake(lake),
            Connection::Files(files) => {
                match &files.place {
                    Place::Local(path) => keys.path("path", path),
                    Place::Bucket(bucket) => {
                        keys.text("bucket", &bucket.name);
                        keys.optional("prefix", Some(&bucket.prefix));
                        keys.options(&bucket.options, str::to_owned);
                    }
                }
                keys.optional("format", files.format.map(FileFormat::word));
            }
        }
        keys.optional("schema", self.schema.as_deref());
        keys.0
    }

    /// The secrets of a lake's catalogue, by the parameters of its address.
    #[must_use]
    pub fn catalogue_secrets(&self) -> Vec<&str> {
        let Some(Catalogue::Postgres(options)) = self.lake().map(|lake| &lake.catalogue) else {
            return Vec::new();
        };
        let secret = |(name, setting)| matches!(setting, &Setting::Secret(_)).then_some(name);
        options.iter().filter_map(secret).collect()
    }
}

#[derive(Default)]
struct Keys(Vec<(String, Setting)>);

impl Keys {
    fn text(&mut self, key: &str, value: &str) {
        self.0.push((key.to_owned(), Setting::Text(value.to_owned())));
    }

    fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.text(key, value);
        }
    }

    fn path(&mut self, key: &str, path: &Path) {
        self.text(key, &path.to_string_lossy());
    }

    fn options(&mut self, options: &Options, key: impl Fn(&str) -> String) {
        let setting = |(name, setting): (&str, &Setting)| (key(name), setting.clone());
        self.0.extend(options.iter().map(setting));
    }

    fn lake(&mut self, lake: &Lake) {
        self.text("catalog", &lake.catalogue.to_string());
        match &lake.data_path {
            Place::Local(path) => self.path("data_path", path),
            Place::Bucket(bucket) => {
                self.text("data_path", &bucket.to_string());
                let beside = |name: &str| {
                    let option = BUCKET_OPTIONS.iter().find(|option| option.name == name);
                    option.map_or(name, |option| option.beside_data_path).to_owned()
                };
                self.options(&bucket.options, beside);
            }
        }
        self.optional("metadata_schema", lake.metadata_schema.as_deref());
    }
}
