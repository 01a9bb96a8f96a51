//! What can go wrong with an object store.

use pintail_model::ErrorKind;

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;

/// A request that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server said no.
    #[error("cannot {action} `{object}`: the server answers {status}{}", code_text(.code))]
    Refused {
        /// What was tried.
        action: &'static str,
        /// On which bucket and key, as `s3://bucket/key`.
        object: String,
        /// The status of HTTP.
        status: u16,
        /// The server's word for it, as `NoSuchBucket`.
        code: Option<String>,
    },
    /// No answer came, or none that can be read.
    #[error("cannot {action} `{object}`: {reason}")]
    Unreachable {
        /// What was tried.
        action: &'static str,
        /// On which bucket and key.
        object: String,
        /// What happened on the way. Holds no address with a signature in it.
        reason: String,
    },
    /// Others change an object as often as we try to.
    #[error("cannot change `{object}`: others change it all the time")]
    Busy {
        /// On which bucket and key.
        object: String,
    },
    /// Settings that make no address.
    #[error("cannot reach bucket `{bucket}`: {reason}")]
    Settings {
        /// The bucket.
        bucket: String,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A key that no address can hold.
    #[error("`{object}` is not a key: a part of it is empty, `.` or `..`")]
    Key {
        /// The key with its bucket.
        object: String,
    },
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { status: 404, .. } => ErrorKind::NotFound,
            Self::Refused {
                status: 401 | 403, ..
            } => ErrorKind::Unauthorized,
            Self::Refused {
                status: 409 | 412, ..
            }
            | Self::Busy { .. } => ErrorKind::Conflict,
            // Not implemented: it will not be after a pause either.
            Self::Refused { status: 501, .. } => ErrorKind::Invalid,
            Self::Refused {
                status: 429 | 500.., ..
            }
            | Self::Unreachable { .. } => ErrorKind::Unavailable,
            Self::Refused { .. } | Self::Settings { .. } | Self::Key { .. } => ErrorKind::Invalid,
        }
    }

    /// What to try, where we can say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind() {
            ErrorKind::Unauthorized => {
                Some("Check the keys, and that they may read, write, list and delete here.")
            }
            ErrorKind::NotFound => Some("Check the name of the bucket, `region` and `endpoint`."),
            ErrorKind::Unavailable => {
                Some("Check `endpoint`, `region` and `use_ssl`, and that the server can be reached.")
            }
            _ => None,
        }
    }
}

fn code_text(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default()
}
