//! From the options of a bucket to what the engine and our own requests need of it.

use pintail_config::Bucket;
use pintail_model::Secret;
use pintail_storage::{BucketSettings, Keys, UrlStyle};

/// Amazon's first region, which servers other than Amazon's take too.
const REGION: &str = "us-east-1";

/// How a bucket is reached: by what was given, and else by the usual variables of AWS.
pub(crate) fn settings(bucket: &Bucket) -> BucketSettings {
    let bucket = bucket.clone().with_environment(&|name| std::env::var(name).ok());
    let text = |name| bucket.options.text(name).map(str::to_owned);
    let keys = || {
        Some(Keys {
            id: exposed(&bucket, "access_key_id")?,
            secret: exposed(&bucket, "secret_access_key")?,
            token: exposed(&bucket, "session_token"),
        })
    };
    let url_style = match bucket.url_style() {
        "path" => UrlStyle::Path,
        _ => UrlStyle::Host,
    };
    BucketSettings {
        name: bucket.name.clone(),
        endpoint: text("endpoint"),
        region: text("region").unwrap_or_else(|| REGION.to_owned()),
        url_style,
        tls: text("use_ssl").is_none_or(|word| word == "true"),
        keys: keys(),
    }
}

fn exposed(bucket: &Bucket, name: &str) -> Option<Secret> {
    bucket.options.secret(name).cloned()
}
