//! What the proxy has to know of a protocol: borders of messages, texts of queries, ends of answers.

use std::fmt::Debug;
use std::io::{self, Read};

/// One connection's protocol. Requests and answers are read by a thread each.
pub(super) trait Protocol: Debug + Send + Sync {
    /// Reads what a client says next; `None` when it has ended.
    fn next_request(&self, client: &mut dyn Read) -> io::Result<Option<Request>>;

    /// Reads what the server says next; `None` when it has ended.
    fn next_answer(&self, server: &mut dyn Read) -> io::Result<Option<Answer>>;
}

/// A message of a client.
#[derive(Debug)]
pub(super) struct Request {
    /// The bytes to pass on.
    pub(super) bytes: Vec<u8>,
    pub(super) asks: Asks,
    /// How many ends of answers the server will send for it.
    pub(super) answers: u64,
}

/// What a message asks for, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// To carry a query out.
    Query(String),
    /// To prepare a query, or to carry out one that was prepared.
    Prepare(String),
    Nothing,
}

/// A message of a server.
#[derive(Debug)]
pub(super) struct Answer {
    /// The bytes to pass on.
    pub(super) bytes: Vec<u8>,
    /// What became of a query.
    pub(super) outcome: Option<String>,
    /// Whether nothing more answers the same request.
    pub(super) ends: bool,
}

/// Reads a message's first byte. `None` at the end of the stream.
pub(super) fn read_first(source: &mut dyn Read) -> io::Result<Option<u8>> {
    let mut first = [0];
    Ok((source.read(&mut first)? == 1).then_some(first[0]))
}

/// Whether a query is, or ends with, the statement `keyword`.
///
/// A semicolon in a literal does no harm: what follows it ends with the literal's quote, and is then no bare keyword.
pub(super) fn ends_with_statement(query: &str, keyword: &str) -> bool {
    let last = query
        .trim_end_matches(|c: char| c == ';' || c.is_whitespace())
        .rsplit(';')
        .next()
        .unwrap_or_default();
    last.trim().eq_ignore_ascii_case(keyword)
}
