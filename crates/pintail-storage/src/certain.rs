//! Conditional puts of which it is known afterwards whether they took place, whatever became of the answer.

use crate::error::{Error, Result};
use crate::request::Attempts;
use crate::store::{Condition, Put, Store};

/// How often a change is tried when others change the same object.
const CHANGES_MAX: u32 = 100;

/// Makes another content of that which an object has, if there is one; `None` leaves it as it is.
pub type Change<'a, E> = dyn FnMut(Option<&[u8]>) -> std::result::Result<Option<Vec<u8>>, E> + 'a;

impl Store {
    /// Puts a small object in place, under a condition, and finds out whether it did when no answer comes. Whoever puts the
    /// very same content under the same key is taken for the same.
    ///
    /// # Errors
    /// `Unavailable` if the server does not answer the question either: then nobody knows.
    pub fn put_for_certain(&self, key: &str, content: &[u8], condition: Condition<'_>) -> Result<Put> {
        let mut attempts = Attempts::default();
        loop {
            let error = match self.put(key, content, condition) {
                Ok(Put::Refused) if attempts.made() => return self.own(key, content),
                Err(error) if attempts.again(&error) => error,
                put => return put,
            };
            tracing::debug!(%error, "a conditional put is asked about");
            match (self.own(key, content)?, condition) {
                // If the object is still the one before, the next put takes place.
                (Put::Refused, Condition::Always | Condition::Unchanged(_)) => {}
                (Put::Refused, Condition::Absent) if self.find(key)?.is_none() => {}
                (put, _) => return Ok(put),
            }
        }
    }

    /// Whether the object is what was put.
    fn own(&self, key: &str, content: &[u8]) -> Result<Put> {
        Ok(match self.get(key)? {
            Some((found, etag)) if found == content => Put::Done(etag),
            _ => Put::Refused,
        })
    }

    /// Changes a small object: reads it, lets `change` make another one of it (`None` if there is none), and puts that in
    /// place if nobody else changed it meanwhile; then once more. Nothing is put if `change` gives nothing.
    ///
    /// # Errors
    /// Those of the server and of `change`; `Conflict` if others change it without end.
    pub fn change<E: From<Error>>(
        &self,
        key: &str,
        change: &mut Change<'_, E>,
    ) -> std::result::Result<(), E> {
        let mut attempts = Attempts::default();
        for _ in 0..CHANGES_MAX {
            let found = self.get(key)?;
            let Some(content) = change(found.as_ref().map(|(content, _)| content.as_slice()))? else {
                return Ok(());
            };
            let condition = match &found {
                Some((_, etag)) => Condition::Unchanged(etag),
                None => Condition::Absent,
            };
            if let Put::Done(_) = self.put_for_certain(key, &content, condition)? {
                return Ok(());
            }
            attempts.pause_a_little();
        }
        Err(Error::Busy {
            object: self.url(key),
        }
        .into())
    }
}
