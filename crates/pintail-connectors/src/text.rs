//! Texts that become values of another type, or fail.
//!
//! The engine is generous: it rounds `1.7` to an integer, cuts the seventh digit of a second and ignores a zone. Here a
//! text is of a type only if nothing of it is lost.

use pintail_model::LogicalType;

use crate::guard::Guards;

/// Without the year 0000, which the engine takes for 1 BC.
const DAY: &str = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}";
const MINUTE: &str = "([01][0-9]|2[0-3]):[0-9]{2}";
/// Six digits and no more, unless the rest is 0: the engine would cut it off.
const SECOND: &str = ":[0-9]{2}([.][0-9]{1,6}0*)?";

/// What of times and identifiers the engine would read as something else: a condition that is true for a text to refuse.
/// `None` where the engine is as strict as we are, or where the caller has looked already (numbers).
pub(crate) fn misread(text: &str, wanted: LogicalType) -> Option<String> {
    let typed = format!("{text}::{wanted}");
    let spelt_otherwise = format!("{typed}::varchar <> {text}");
    match wanted {
        LogicalType::Date => Some(spelt_otherwise),
        LogicalType::Timestamp => Some(format!(
            "{spelt_otherwise} and not regexp_full_match({text}, '{DAY}([ T]{MINUTE}({SECOND})?)?')"
        )),
        // Without a zone nobody knows the instant.
        LogicalType::TimestampTz => Some(format!(
            "not regexp_full_match({text}, '{DAY}[ T]{MINUTE}{SECOND}(Z|[+-][0-9]{{2}}(:[0-9]{{2}})?)')"
        )),
        LogicalType::Time => Some(format!(
            "{spelt_otherwise} and not regexp_full_match({text}, '{MINUTE}({SECOND})?')"
        )),
        LogicalType::Uuid => Some(format!("{typed}::varchar <> lower({text})")),
        _ => None,
    }
}

/// A text as `wanted`, of which nothing is known yet: numbers are looked at too.
pub(crate) fn strictly_typed(text: &str, wanted: LogicalType, reason: &str, guards: &mut Guards) -> String {
    let refused = match wanted {
        kind if kind.is_integer() || kind == LogicalType::UInt64 => {
            Some(format!("not regexp_full_match({text}, '[+-]?[0-9]+')"))
        }
        LogicalType::Decimal { scale, .. } => Some(format!(
            "not regexp_full_match({text}, '[+-]?[0-9]*([.][0-9]{{0,{scale}}}0*)?') or {text} in ('', '.', '+', '-')"
        )),
        LogicalType::Boolean => Some(format!(
            "lower({text}) not in ('true', 'false', 't', 'f', '1', '0')"
        )),
        _ => misread(text, wanted),
    };
    if let Some(refused) = refused {
        guards.fail_if(refused, reason.to_owned());
    }
    format!("{text}::{wanted}")
}
