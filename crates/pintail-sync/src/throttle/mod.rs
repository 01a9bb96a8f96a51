//! A cap on how much is read from a source in a second, for any source that is reached over TCP at one place.
//!
//! ```text
//! engine ──▶ relay (in this process) ──▶ source
//!        ◀── no faster than allowed ◀──
//! ```
//!
//! All connections of a run share one allowance. A source that sends faster is held back by TCP itself: the relay does
//! not read what it may not pass on, and keeps no more than one piece of each connection in memory.

mod bucket;
mod relay;

use pintail_lake::connector::{Attachment, Connector};
use pintail_lake::{Error as LakeError, Result as LakeResult};
use pintail_model::ErrorKind;

pub use bucket::TokenBucket;
pub(crate) use relay::Relay;

use crate::spec::LimitsSpec;

/// How to attach a source within the limits, and the relay that has to live as long as the engine.
pub(crate) fn attachment(
    connector: &dyn Connector,
    alias: &str,
    limits: &LimitsSpec,
) -> LakeResult<(Attachment, Option<Relay>)> {
    let refuse = |what: &str, why: &str, key: &str| {
        LakeError::refused(
            ErrorKind::Invalid,
            format!("cannot cap {what} of source {}{why}", connector.address()),
            format!("Take `limits.{key}` out of the pipeline."),
        )
    };
    let (mut attachment, relay) = match limits.source_bandwidth {
        None => (connector.attachment(alias), None),
        Some(bandwidth) => {
            let endpoint = connector
                .endpoint()
                .map_err(|why| refuse("the bandwidth", &format!(", because {why}"), "source_bandwidth"))?;
            let relay = Relay::start(endpoint, bandwidth.0).map_err(|source| LakeError::File {
                action: "listen for connections to",
                path: connector.address().into(),
                source,
            })?;
            (connector.attachment_through(alias, relay.address()), Some(relay))
        }
    };
    if let Some(connections) = limits.source_connections {
        attachment = connector
            .cap_connections(alias, attachment, connections)
            .ok_or_else(|| refuse("the connections", "", "source_connections"))?;
    }
    Ok((attachment, relay))
}
