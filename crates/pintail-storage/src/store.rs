//! A bucket, and what can be done with the objects in it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusty_s3::actions::{CreateBucket, DeleteObject, GetObject, HeadObject, ListObjectsV2, PutObject};
use rusty_s3::{Bucket, Credentials};
use ureq::Agent;

use crate::error::{Error, Result};
use crate::request::{Answer, Repeat, Request};
use crate::settings::{BucketSettings, UrlStyle};

/// How long a server may take for one small request.
const REQUEST_LIMIT: Duration = Duration::from_mins(1);

/// How long it may take to copy an object, the largest of which have 5 GB.
const COPY_LIMIT: Duration = Duration::from_mins(10);

/// A bucket. Clones share their connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys are nobody's business.
        write!(f, "Store({})", self.url(""))
    }
}

struct Inner {
    bucket: Bucket,
    credentials: Option<Credentials>,
    agent: Agent,
}

/// An object as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Changes with its content.
    pub etag: String,
    /// When it was put, by the server's clock; `None` if the server does not say.
    pub modified_at: Option<Timestamp>,
}

/// When a put takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// In any case.
    Always,
    /// If no object has that key.
    Absent,
    /// If the object there is still the one with this tag.
    Unchanged(&'a str),
}

/// What became of a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is there, with this tag.
    Done(String),
    /// The condition does not hold.
    Refused,
}

impl Store {
    /// A bucket that is not asked for anything yet.
    ///
    /// # Errors
    /// `Invalid` for an endpoint that is none.
    pub fn new(settings: &BucketSettings) -> Result<Self> {
        let wrong = |reason| Error::Settings {
            bucket: settings.name.clone(),
            reason,
        };
        let style = match settings.url_style {
            UrlStyle::Path => rusty_s3::UrlStyle::Path,
            UrlStyle::Host => rusty_s3::UrlStyle::VirtualHost,
        };
        let endpoint = settings
            .endpoint_url()
            .parse()
            .map_err(|_| wrong("`endpoint` is not the address of a server"))?;
        let bucket = Bucket::new(endpoint, style, settings.name.clone(), settings.region.clone())
            .map_err(|_| wrong("`endpoint` and the name of the bucket make no address"))?;
        let credentials = settings.keys.as_ref().map(|keys| {
            let (id, secret) = (keys.id.expose(), keys.secret.expose());
            match &keys.token {
                Some(token) => Credentials::new_with_token(id, secret, token.expose()),
                None => Credentials::new(id, secret),
            }
        });
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_LIMIT))
            .build()
            .new_agent();
        Ok(Self(Arc::new(Inner {
            bucket,
            credentials,
            agent,
        })))
    }

    /// `s3://bucket/key`.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.0.bucket.name())
    }

    /// All objects whose keys begin with `prefix`, in the order of their keys.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.list_until(prefix, None)
    }

    /// The objects directly in `folder`, which ends with a slash: what lies deeper is not listed and costs nothing.
    pub fn list_inside(&self, folder: &str) -> Result<Vec<Object>> {
        self.list_until(folder, Some("/"))
    }

    fn list_until(&self, prefix: &str, delimiter: Option<&str>) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut action = ListObjectsV2::new(&self.0.bucket, self.0.credentials.as_ref());
            action.with_prefix(prefix);
            if let Some(delimiter) = delimiter {
                action.with_delimiter(delimiter);
            }
            if let Some(token) = &token {
                action.with_continuation_token(token.as_str());
            }
            let request = self.request("list", prefix);
            let answer = request.send(&self.0.agent, action, &[])?;
            let text = String::from_utf8_lossy(&answer.body);
            let page = ListObjectsV2::parse_response(&text).map_err(|_| Error::Unreachable {
                action: request.action,
                object: request.object.clone(),
                reason: "the list cannot be read".to_owned(),
            })?;
            objects.extend(page.contents.into_iter().map(|object| Object {
                key: object.key,
                bytes: object.size.unwrap_or_default(),
                etag: object.etag.unwrap_or_default(),
                modified_at: object.last_modified.and_then(|at| at.parse().ok()),
            }));
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(objects);
            }
        }
    }

    /// The object of that key, without its content; `None` if there is none.
    pub fn find(&self, key: &str) -> Result<Option<Object>> {
        Ok(self.head(key)?.map(|answer| Object {
            key: key.to_owned(),
            bytes: answer.length.unwrap_or_default(),
            etag: answer.etag.unwrap_or_default(),
            modified_at: answer.modified.and_then(|at| instant(&at)),
        }))
    }

    /// How long ago an object was put, by the server's own clock, to the second; `None` if there is none.
    ///
    /// # Errors
    /// Those of the server; `Unavailable` if it does not tell the time.
    pub fn age(&self, key: &str) -> Result<Option<Duration>> {
        let Some(answer) = self.head(key)? else {
            return Ok(None);
        };
        let time = |text: Option<String>| text.and_then(|text| instant(&text));
        match (time(answer.date), time(answer.modified)) {
            (Some(now), Some(put_at)) => Ok(Some(now.duration_since(put_at).unsigned_abs())),
            _ => Err(self
                .request("look up", key)
                .unreadable("the server does not tell the time")),
        }
    }

    fn head(&self, key: &str) -> Result<Option<Answer>> {
        self.check(key)?;
        let action = HeadObject::new(&self.0.bucket, self.0.credentials.as_ref(), key);
        let answer = self.request("look up", key).send(&self.0.agent, action, &[404])?;
        Ok((answer.status != 404).then_some(answer))
    }

    /// The content of a small object, and its tag; `None` if there is none.
    pub fn get(&self, key: &str) -> Result<Option<(Vec<u8>, String)>> {
        self.check(key)?;
        let action = GetObject::new(&self.0.bucket, self.0.credentials.as_ref(), key);
        let answer = self.request("read", key).send(&self.0.agent, action, &[404])?;
        Ok((answer.status != 404).then(|| (answer.body, answer.etag.unwrap_or_default())))
    }

    /// Puts a small object in place.
    ///
    /// # Errors
    /// After `Unavailable` nobody knows whether a conditional put took place.
    pub fn put(&self, key: &str, content: &[u8], condition: Condition<'_>) -> Result<Put> {
        self.check(key)?;
        let (headers, repeat) = match condition {
            Condition::Always => (Vec::new(), Repeat::Safe),
            Condition::Absent => (vec![("if-none-match", "*".to_owned())], Repeat::Never),
            Condition::Unchanged(etag) => (vec![("if-match", etag.to_owned())], Repeat::Never),
        };
        let request = Request {
            headers: &headers,
            body: Some(content),
            repeat,
            ..self.request("write", key)
        };
        let action = PutObject::new(&self.0.bucket, self.0.credentials.as_ref(), key);
        // 409 is Amazon's answer to two conditional puts at once.
        let expected: &[u16] = match condition {
            Condition::Always => &[],
            Condition::Absent => &[409, 412],
            // The object may be gone altogether.
            Condition::Unchanged(_) => &[404, 409, 412],
        };
        let answer = request.send(&self.0.agent, action, expected)?;
        Ok(if answer.status.is_success() {
            Put::Done(answer.etag.unwrap_or_default())
        } else {
            Put::Refused
        })
    }

    /// Copies an object inside of the bucket, without its bytes passing through here. Returns whether there was one.
    ///
    /// Servers copy at most 5 GB in this way.
    pub fn copy(&self, from: &str, to: &str) -> Result<bool> {
        self.check(from)?;
        self.check(to)?;
        // The path of the source's own address, which is encoded already.
        let url = self.0.bucket.object_url(from);
        let path = url.path().trim_start_matches('/');
        let prefix = format!("{}/", self.0.bucket.name());
        let source = match path.strip_prefix(&prefix) {
            Some(_) => format!("/{path}"),
            None => format!("/{prefix}{path}"),
        };
        let headers = [("x-amz-copy-source", source)];
        let request = Request {
            headers: &headers,
            body: Some(&[]),
            limit: Some(COPY_LIMIT),
            // A server says 200 when it begins to copy, and an error in the body if it cannot.
            proof: Some("<CopyObjectResult"),
            ..self.request("copy", from)
        };
        let action = PutObject::new(&self.0.bucket, self.0.credentials.as_ref(), to);
        let answer = request.send(&self.0.agent, action, &[404])?;
        Ok(answer.status != 404)
    }

    /// Deletes an object; one that is not there is deleted already.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.check(key)?;
        let action = DeleteObject::new(&self.0.bucket, self.0.credentials.as_ref(), key);
        self.request("delete", key)
            .send(&self.0.agent, action, &[404])
            .map(drop)
    }

    /// Makes the bucket itself.
    ///
    /// # Errors
    /// `Conflict` if somebody else has one of that name.
    pub fn create(&self) -> Result<()> {
        let Some(credentials) = &self.0.credentials else {
            return Err(Error::Settings {
                bucket: self.0.bucket.name().to_owned(),
                reason: "a bucket is made with keys",
            });
        };
        let action = CreateBucket::new(&self.0.bucket, credentials);
        let request = Request {
            body: Some(&[]),
            ..self.request("make bucket", "")
        };
        request.send(&self.0.agent, action, &[]).map(drop)
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.0.credentials.as_ref()
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.0.agent
    }

    pub(crate) fn request(&self, action: &'static str, key: &str) -> Request<'static> {
        Request {
            action,
            object: self.url(key),
            headers: &[],
            body: None,
            repeat: Repeat::Safe,
            limit: None,
            proof: None,
            bytes: None,
        }
    }

    /// Refuses keys that an address cannot hold: it would be that of another object, or of the bucket itself.
    fn check(&self, key: &str) -> Result<()> {
        if key.split('/').any(|part| ["", ".", ".."].contains(&part)) {
            return Err(Error::Key {
                object: self.url(key),
            });
        }
        Ok(())
    }
}

/// An instant as HTTP writes it: `Sat, 21 Nov 2026 00:30:11 GMT`.
fn instant(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use pintail_model::{ErrorKind, Secret};

    use super::Store;
    use crate::settings::{BucketSettings, Keys, UrlStyle};

    fn store(endpoint: &str) -> Store {
        let key = || Secret::new("hunter2");
        Store::new(&BucketSettings {
            name: "lake".to_owned(),
            endpoint: Some(endpoint.to_owned()),
            region: "eu-north-1".to_owned(),
            url_style: UrlStyle::Path,
            tls: false,
            keys: Some(Keys {
                id: key(),
                secret: key(),
                token: None,
            }),
        })
        .expect("valid")
    }

    #[test]
    fn keys_that_would_be_another_object_are_refused() {
        for key in ["", "a//b", "a/../b", "./a", "a/"] {
            let error = store("localhost:1").delete(key).expect_err(key);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
    }

    #[test]
    fn an_unreachable_server_is_said_without_the_signature() {
        // Nothing listens on port 1.
        let error = store("127.0.0.1:1").find("a/b").expect_err("no server");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("s3://lake/a/b") && !shown.contains("Signature"),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn instants_of_http_are_read() {
        let at = super::instant("Sat, 21 Nov 2026 00:30:11 GMT").expect("an instant");
        assert_eq!(at.to_string(), "2026-11-21T00:30:11Z");
    }
}
