//! Buckets, as the engine gets to know them: the keys go into a secret of DuckDB that holds for one bucket and lives as
//! long as the engine.

use pintail_model::Secret;
use pintail_storage::{BucketSettings, UrlStyle};

use crate::quote;

/// The largest object that is written. A server takes 10,000 parts of one object, and the engine chooses the size of a
/// part by the largest object that there could be: by default parts of 80 MB, of which each file that is written holds
/// some in memory.
const OBJECT_BYTES_MAX: &str = "50GB";

/// The statements that tell the engine how a bucket is reached. They hold the keys.
#[must_use]
pub fn statements(settings: &BucketSettings) -> Vec<Secret> {
    let upload = format!(
        "set global s3_uploader_max_filesize = '{OBJECT_BYTES_MAX}';
         set global s3_uploader_thread_limit = 4"
    );
    vec![secret(settings), Secret::new(upload)]
}

/// The secret is named after the bucket, so that a source and a lake in one bucket agree.
fn secret(settings: &BucketSettings) -> Secret {
    let mut options = vec![
        ("type", "s3".to_owned()),
        ("provider", "config".to_owned()),
        ("scope", quote::literal(&format!("s3://{}/", settings.name))),
        ("region", quote::literal(&settings.region)),
        ("use_ssl", settings.tls.to_string()),
    ];
    let style = match settings.url_style {
        UrlStyle::Path => "path",
        UrlStyle::Host => "vhost",
    };
    options.push(("url_style", quote::literal(style)));
    if let Some(endpoint) = &settings.endpoint {
        options.push(("endpoint", quote::literal(endpoint)));
    }
    if let Some(keys) = &settings.keys {
        options.push(("key_id", quote::literal(keys.id.expose())));
        options.push(("secret", quote::literal(keys.secret.expose())));
        if let Some(token) = &keys.token {
            options.push(("session_token", quote::literal(token.expose())));
        }
    }
    let options: Vec<String> = options
        .into_iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let name = quote::identifier(&format!("pintail s3 {}", settings.name));
    Secret::new(format!(
        "create or replace temporary secret {name} ({})",
        options.join(", ")
    ))
}
