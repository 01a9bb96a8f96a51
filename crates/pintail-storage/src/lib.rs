//! Object stores that speak S3: the requests that DuckDB has no SQL for.
//!
//! The engine reads and writes rows; here are listing with sizes and tags, deleting, copying inside of a bucket, small
//! objects that are put in place under a condition, and files that are sent and fetched in pieces. Everything is blocking.
//!
//! - A request that is safe to repeat is repeated when the server is busy or the connection breaks.
//! - A conditional put is sent once: whether it happened is for the caller to ask, or for [`Store::put_for_certain`].
//! - Errors name the bucket, the key and the server's code, and never its whole answer.

mod certain;
mod error;
mod request;
mod settings;
mod store;
mod transfer;

pub use certain::Change;
pub use error::{Error, Result};
pub use settings::{BucketSettings, Keys, UrlStyle};
pub use store::{Condition, Object, Put, Store};
pub use transfer::Outgoing;
