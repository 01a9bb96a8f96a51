//! One request: signed, sent, repeated if that is safe, and answered.

use std::sync::mpsc::channel;
use std::time::Duration;

use rusty_s3::{Method, S3Action};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, AsSendBody, Body};

use crate::error::{Error, Result};

/// How long a signature is good for. A request is signed anew each time it is sent.
const SIGNED_FOR: Duration = Duration::from_mins(5);

/// How often a request is sent that is safe to repeat.
const ATTEMPTS: u32 = 4;

/// How long the first pause between two attempts is; each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The whole of an answer that is read into memory: our own small objects, and pages of lists.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Safe,
    Never,
}

/// What is asked of the server, in words and in bytes.
pub(crate) struct Request<'a> {
    pub(crate) action: &'static str,
    pub(crate) object: String,
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) repeat: Repeat,
    /// How long the server may take, if not as long as for others.
    pub(crate) limit: Option<Duration>,
    /// What the body of a good answer holds: some statuses are sent before the work is done.
    pub(crate) proof: Option<&'static str>,
    /// How many bytes the body of a good answer has: a connection that breaks may look like its end.
    pub(crate) bytes: Option<u64>,
}

/// How often something was tried.
#[derive(Debug)]
pub(crate) struct Attempts {
    number: u32,
    pause: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            number: 1,
            pause: PAUSE,
        }
    }
}

impl Attempts {
    /// Whether to try again after an error, once a pause is over.
    pub(crate) fn again(&mut self, error: &Error) -> bool {
        if error.kind() != pintail_model::ErrorKind::Unavailable || self.number == ATTEMPTS {
            return false;
        }
        self.number += 1;
        wait(self.pause);
        self.pause *= 2;
        true
    }

    /// Whether something was tried before.
    pub(crate) fn made(&self) -> bool {
        self.number > 1
    }

    /// Lets others go first, each time for a little longer.
    pub(crate) fn pause_a_little(&mut self) {
        wait(self.pause / 20);
        self.pause = (self.pause + PAUSE / 4).min(PAUSE * 10);
    }
}

/// An answer of the server that is no error, or whose status the caller asked to see.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) length: Option<u64>,
    pub(crate) modified: Option<String>,
    /// The server's clock.
    pub(crate) date: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request<'_> {
    /// Sends `signed` with the headers of this request, all of which are signed too. Statuses in `expected` are answers,
    /// others above 299 are errors.
    pub(crate) fn send<'s, A: S3Action<'s>>(
        &self,
        agent: &Agent,
        mut signed: A,
        expected: &[u16],
    ) -> Result<Answer> {
        for (name, value) in self.headers {
            signed.headers_mut().insert(*name, value.clone());
        }
        let mut attempts = Attempts::default();
        loop {
            let url = signed.sign(SIGNED_FOR);
            match self.send_once(agent, A::METHOD, url.as_str(), expected) {
                Err(error) if self.repeat == Repeat::Safe && attempts.again(&error) => {
                    tracing::debug!(action = self.action, object = %self.object, "request repeated");
                }
                result => return result,
            }
        }
    }

    fn send_once(&self, agent: &Agent, method: Method, url: &str, expected: &[u16]) -> Result<Answer> {
        let mut builder = ureq::http::Request::builder().method(method.to_str()).uri(url);
        for (name, value) in self.headers {
            builder = builder.header(*name, value);
        }
        let sent = match self.body {
            Some(body) => builder
                .body(body)
                .map_err(ureq::Error::from)
                .and_then(|request| self.run(agent, request)),
            None => builder
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.run(agent, request)),
        };
        let response = sent.map_err(|error| self.unreachable(&error))?;
        self.read(response, expected)
    }

    fn run(
        &self,
        agent: &Agent,
        request: ureq::http::Request<impl AsSendBody>,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        match self.limit {
            Some(limit) => {
                let request = agent
                    .configure_request(request)
                    .timeout_global(Some(limit))
                    .build();
                agent.run(request)
            }
            None => agent.run(request),
        }
    }

    fn read(&self, mut response: Response<Body>, expected: &[u16]) -> Result<Answer> {
        let status = response.status();
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let (etag, length, modified) = (header("etag"), header("content-length"), header("last-modified"));
        let date = header("date");
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            self.prove(&body)?;
        }
        if status.is_success() || expected.contains(&status.as_u16()) {
            return Ok(Answer {
                status,
                etag,
                length: length.and_then(|length| length.parse().ok()),
                modified,
                date,
                body,
            });
        }
        Err(Error::Refused {
            action: self.action,
            object: self.object.clone(),
            status: status.as_u16(),
            code: code_of(&String::from_utf8_lossy(&body)),
        })
    }

    /// Fails unless the body of a good answer holds what it has to.
    fn prove(&self, body: &[u8]) -> Result<()> {
        if self.bytes.is_some_and(|bytes| bytes != body.len() as u64) {
            return Err(self.unreadable("the answer has not as many bytes as were asked for"));
        }
        let Some(proof) = self.proof else { return Ok(()) };
        let body = String::from_utf8_lossy(body);
        if body.contains(proof) {
            return Ok(());
        }
        let code = code_of(&body).map_or_else(String::new, |code| format!(": {code}"));
        Err(self.unreadable(format!("the server began, and then gave up{code}")))
    }

    /// The error of an answer that makes no sense.
    pub(crate) fn unreadable(&self, reason: impl Into<String>) -> Error {
        Error::Unreachable {
            action: self.action,
            object: self.object.clone(),
            reason: reason.into(),
        }
    }

    /// The error without the address of the request, which carries its signature.
    fn unreachable(&self, error: &ureq::Error) -> Error {
        let reason = match error {
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::Timeout(_) => "the server does not answer in time".to_owned(),
            ureq::Error::HostNotFound => "the host is not known".to_owned(),
            ureq::Error::ConnectionFailed => "no connection can be made".to_owned(),
            ureq::Error::Tls(reason) => (*reason).to_owned(),
            ureq::Error::Rustls(error) => error.to_string(),
            _ => "the answer cannot be read".to_owned(),
        };
        Error::Unreachable {
            action: self.action,
            object: self.object.clone(),
            reason,
        }
    }
}

/// The word between `<Code>` and `</Code>`, if it is one.
fn code_of(answer: &str) -> Option<String> {
    let (_, rest) = answer.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let word = code.chars().all(|letter| letter.is_ascii_alphanumeric());
    word.then(|| code.to_owned())
}

/// Lets time pass: nobody sends anything on this channel.
fn wait(pause: Duration) {
    let (_sender, receiver) = channel::<()>();
    let _ = receiver.recv_timeout(pause);
}

#[cfg(test)]
mod tests {
    use super::code_of;

    #[test]
    fn the_code_of_an_error_is_one_word() {
        assert_eq!(
            code_of("<Error><Code>NoSuchKey</Code><Message>x</Message>"),
            Some("NoSuchKey".to_owned())
        );
        assert_eq!(code_of("<Error><Code>no such key</Code>"), None);
        assert_eq!(code_of(""), None);
    }
}
