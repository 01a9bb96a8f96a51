//! Times at which a scheduler starts something.

use croner::parser::{CronParser, Seconds, Year};
use pintail_config::Node;
use pintail_config::decode::{Decoder, scalar};

/// Reads a cron expression of five fields.
pub(super) fn read(node: &Node, decoder: &mut Decoder) -> Option<String> {
    let expression = scalar(node, decoder)?;
    if !valid(&expression) {
        decoder.expected("a cron expression of five fields like `*/15 * * * *`", node);
        return None;
    }
    Some(expression)
}

/// Whether a text is such an expression.
pub(super) fn valid(expression: &str) -> bool {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    parser.parse(expression).is_ok()
}
