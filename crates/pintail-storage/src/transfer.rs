//! Objects of any size on their way, in pieces: each is sent, or asked for, again when the connection breaks, and no more
//! than one of them is in memory.

use std::time::Duration;

use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, GetObject, UploadPart,
};

use crate::error::{Error, Result};
use crate::request::{Repeat, Request};
use crate::store::{Condition, Put, Store};

/// Bytes of a piece. Servers take 5 MiB at least.
const PIECE_BYTES: u64 = 8 << 20;

/// Pieces of an object, at most; larger objects have larger ones.
const PIECES_MAX: u64 = 9_000;

/// How long a server may take for a piece.
const PIECE_LIMIT: Duration = Duration::from_mins(5);

/// How long it may take to make an object of its pieces.
const WHOLE_LIMIT: Duration = Duration::from_mins(10);

/// What the sides of a transfer do, in the words of whoever asks.
pub trait Outgoing {
    /// What may go wrong there.
    type Error: From<Error>;

    /// The next so many bytes.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn next(&mut self, bytes: u64) -> std::result::Result<Vec<u8>, Self::Error>;

    /// The object is sent in pieces, which stay at the server, and cost money, until the upload of this id is completed or
    /// given up.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn begun(&mut self, upload: &str) -> std::result::Result<(), Self::Error>;
}

impl Store {
    /// Puts an object of any size in place, if no object has that key or, with [`Condition::Always`], in any case.
    ///
    /// Nobody else may put one there meanwhile: a server may look at conditions for small objects only, and one of the same
    /// size that comes while answers are lost is taken for this one.
    ///
    /// # Errors
    /// Those of the server and of `content`.
    pub fn upload<O: Outgoing>(
        &self,
        key: &str,
        bytes: u64,
        condition: Condition<'_>,
        content: &mut O,
    ) -> std::result::Result<Put, O::Error> {
        // What is there from here on was put by this call, whatever becomes of its answers.
        if condition == Condition::Absent && self.find(key)?.is_some() {
            return Ok(Put::Refused);
        }
        if bytes <= PIECE_BYTES {
            let content = content.next(bytes)?;
            return Ok(self.put_for_certain(key, &content, condition)?);
        }
        let upload = self.begin_upload(key)?;
        let done = content
            .begun(&upload)
            .and_then(|()| self.send_pieces(key, &upload, bytes, content))
            .and_then(|tags| Ok(self.complete_upload(key, &upload, &tags, bytes, condition)?));
        if !matches!(done, Ok(Put::Done(_)))
            && let Err(error) = self.give_up_upload(key, &upload)
        {
            tracing::warn!(%error, "pieces of an object were left at the server");
        }
        done
    }

    fn begin_upload(&self, key: &str) -> Result<String> {
        let request = Request {
            body: Some(&[]),
            ..self.request("write", key)
        };
        let action = CreateMultipartUpload::new(self.bucket(), self.credentials(), key);
        let answer = request.send(self.agent(), action, &[])?;
        let text = String::from_utf8_lossy(&answer.body);
        let begun = CreateMultipartUpload::parse_response(&text);
        Ok(begun
            .map_err(|_| request.unreadable("the id of the upload cannot be read"))?
            .upload_id()
            .to_owned())
    }

    fn send_pieces<O: Outgoing>(
        &self,
        key: &str,
        upload: &str,
        bytes: u64,
        content: &mut O,
    ) -> std::result::Result<Vec<String>, O::Error> {
        let piece = PIECE_BYTES.max(bytes.div_ceil(PIECES_MAX));
        let mut tags = Vec::new();
        let mut left = bytes;
        while left > 0 {
            let next = content.next(piece.min(left))?;
            left -= piece.min(left);
            let request = Request {
                body: Some(&next),
                limit: Some(PIECE_LIMIT),
                ..self.request("write", key)
            };
            let number = u16::try_from(tags.len() + 1).expect("there are fewer pieces");
            let action = UploadPart::new(self.bucket(), self.credentials(), key, number, upload);
            let answer = request.send(self.agent(), action, &[])?;
            tags.push(answer.etag.unwrap_or_default());
        }
        Ok(tags)
    }

    fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        tags: &[String],
        bytes: u64,
        condition: Condition<'_>,
    ) -> Result<Put> {
        let action = || {
            let tags = tags.iter().map(String::as_str);
            CompleteMultipartUpload::new(self.bucket(), self.credentials(), key, upload, tags)
        };
        let body = action().body();
        let only_if_absent = [("if-none-match", "*".to_owned())];
        let request = Request {
            headers: match condition {
                Condition::Absent => &only_if_absent,
                _ => &[],
            },
            body: Some(body.as_bytes()),
            limit: Some(WHOLE_LIMIT),
            // A server says 200 when it begins, and an error in the body if it cannot.
            proof: Some("<CompleteMultipartUploadResult"),
            ..self.request("write", key)
        };
        let answer = request.send(self.agent(), action(), &[404, 409, 412])?;
        if answer.status.is_success() {
            return Ok(Put::Done(answer.etag.unwrap_or_default()));
        }
        // 404: it was completed, and the answer was lost, or somebody gave it up.
        Ok(match self.find(key)? {
            Some(found) if found.bytes == bytes => Put::Done(found.etag),
            _ => Put::Refused,
        })
    }

    /// Gives an upload up, and what was sent of it. One that is not there is given up already.
    ///
    /// # Errors
    /// Those of the server.
    pub fn give_up_upload(&self, key: &str, upload: &str) -> Result<()> {
        let action = AbortMultipartUpload::new(self.bucket(), self.credentials(), key, upload);
        self.request("give up", key)
            .send(self.agent(), action, &[404])
            .map(drop)
    }

    /// Reads an object of any size, piece by piece. Returns its size; `None` if there is none.
    ///
    /// # Errors
    /// Those of the server and of `take`.
    pub fn download<E: From<Error>>(
        &self,
        key: &str,
        mut take: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<Option<u64>, E> {
        let Some(found) = self.find(key)? else {
            return Ok(None);
        };
        let mut from = 0;
        while from < found.bytes {
            let until = found.bytes.min(from + PIECE_BYTES);
            let headers = [("range", format!("bytes={from}-{}", until - 1))];
            let request = Request {
                headers: &headers,
                limit: Some(PIECE_LIMIT),
                bytes: Some(until - from),
                repeat: Repeat::Safe,
                ..self.request("read", key)
            };
            let action = GetObject::new(self.bucket(), self.credentials(), key);
            let answer = request.send(self.agent(), action, &[404])?;
            if answer.status == 404 {
                return Ok(None);
            }
            take(&answer.body)?;
            from = until;
        }
        Ok(Some(found.bytes))
    }
}
