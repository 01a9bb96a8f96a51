//! Object stores that speak S3: the requests that DuckDB has no SQL for.
//!
//! The engine reads and writes the objects themselves; here are listing with sizes and tags, deleting, copying inside of
//! a bucket, and small objects that are put in place under a condition. Everything is blocking.
//!
//! - A request that is safe to repeat is repeated when the server is busy or the connection breaks.
//! - A conditional put is sent once: whether it happened is for the caller to ask.
//! - Errors name the bucket, the key and the server's code, and never its whole answer.

mod error;
mod request;
mod settings;
mod store;

pub use error::{Error, Result};
pub use settings::{BucketSettings, Keys, UrlStyle};
pub use store::{Condition, Object, Put, Store};
