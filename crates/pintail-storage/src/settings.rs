//! How a bucket is reached.

use pintail_model::Secret;

/// A bucket, and the server that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSettings {
    /// The bucket.
    pub name: String,
    /// `host:port` of the server; `None` is Amazon's in that region.
    pub endpoint: Option<String>,
    /// Where the bucket is. Servers other than Amazon's mostly take any word.
    pub region: String,
    /// Where the bucket's name stands in a request.
    pub url_style: UrlStyle,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Who asks; `None` for a bucket that is open to all.
    pub keys: Option<Keys>,
}

/// Where the bucket's name stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlStyle {
    /// First in the path.
    Path,
    /// Before the host.
    Host,
}

/// The keys of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The access key's id.
    pub id: Secret,
    /// The secret access key.
    pub secret: Secret,
    /// The token of a session, for keys that were lent.
    pub token: Option<Secret>,
}

impl BucketSettings {
    /// The server as it is written in an address.
    pub(crate) fn endpoint_url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match &self.endpoint {
            Some(endpoint) => format!("{scheme}://{endpoint}"),
            None => format!("{scheme}://s3.{}.amazonaws.com", self.region),
        }
    }

    /// What must never be shown.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let keys = self.keys.iter();
        keys.flat_map(|keys| [Some(&keys.id), Some(&keys.secret), keys.token.as_ref()])
            .flatten()
            .cloned()
            .collect()
    }
}
