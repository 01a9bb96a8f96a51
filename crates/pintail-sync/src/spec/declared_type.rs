//! `data_type`, `precision` and `scale`.

use pintail_config::Node;
use pintail_config::decode::{Decoder, Fields, one_of, whole_number};
use pintail_config::nearest::did_you_mean;

/// `data_type`: the words of a configuration. They say what a column means rather than how wide it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredType {
    /// `bool`, `boolean`.
    Boolean,
    /// `smallint`.
    SmallInt,
    /// `int`, `integer`: an integer of the source's own width.
    Integer,
    /// `bigint`.
    BigInt,
    /// `float`: a float of the source's own width.
    Float,
    /// `double`.
    Double,
    /// `decimal`, `numeric`: an exact number. Without a precision, that of the source.
    Decimal(Option<Precision>),
    /// `string`, `text`, `varchar`.
    Text,
    /// `bytes`, `blob`.
    Bytes,
    /// `date`.
    Date,
    /// `time`.
    Time,
    /// `timestamp`, `datetime`: a date and time, with a zone or without as in the source.
    Timestamp,
    /// `timestamptz`: an instant.
    TimestampTz,
    /// `uuid`.
    Uuid,
    /// `json`.
    Json,
}

/// Digits of a decimal: `precision` (1 to 38) and `scale` (0 to `precision`, default 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    /// Digits in all.
    pub precision: u8,
    /// Digits after the point.
    pub scale: u8,
}

const DATA_TYPES: &[(&str, DeclaredType)] = &[
    ("int", DeclaredType::Integer),
    ("integer", DeclaredType::Integer),
    ("smallint", DeclaredType::SmallInt),
    ("bigint", DeclaredType::BigInt),
    ("string", DeclaredType::Text),
    ("varchar", DeclaredType::Text),
    ("text", DeclaredType::Text),
    ("decimal", DeclaredType::Decimal(None)),
    ("numeric", DeclaredType::Decimal(None)),
    ("float", DeclaredType::Float),
    ("double", DeclaredType::Double),
    ("timestamp", DeclaredType::Timestamp),
    ("datetime", DeclaredType::Timestamp),
    ("timestamptz", DeclaredType::TimestampTz),
    ("date", DeclaredType::Date),
    ("time", DeclaredType::Time),
    ("bool", DeclaredType::Boolean),
    ("boolean", DeclaredType::Boolean),
    ("uuid", DeclaredType::Uuid),
    ("json", DeclaredType::Json),
    ("bytes", DeclaredType::Bytes),
    ("blob", DeclaredType::Bytes),
];

/// Digits of a decimal in a lake.
const DIGITS_MAX: u8 = 38;

impl DeclaredType {
    /// Reads a type as it is written on a command line: `text`, `decimal(12,2)`.
    ///
    /// # Errors
    /// In words, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (word, digits) = match text.split_once('(') {
            Some((word, rest)) => (word.trim_end(), Some(rest)),
            None => (text, None),
        };
        let known = DATA_TYPES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word));
        let Some((_, declared)) = known else {
            let names = DATA_TYPES.iter().map(|(name, _)| *name);
            let hint =
                did_you_mean(word, names).unwrap_or_else(|| "`text` and `decimal(12,2)` are two".to_owned());
            return Err(format!("`{word}` is no data type: {hint}"));
        };
        let Some(digits) = digits else {
            return Ok(*declared);
        };
        let precision = digits.strip_suffix(')').and_then(Precision::parse);
        match (declared, precision) {
            (Self::Decimal(_), Some(precision)) => Ok(Self::Decimal(Some(precision))),
            (Self::Decimal(_), None) => Err(format!(
                "write `decimal(precision,scale)`, with at most {DIGITS_MAX} digits of which `scale` stand after the point"
            )),
            _ => Err(format!("digits belong to `decimal`, not to `{word}`")),
        }
    }
}

impl Precision {
    /// Reads `12,2`, or `12`.
    fn parse(text: &str) -> Option<Self> {
        let (precision, scale) = text.split_once(',').unwrap_or((text, "0"));
        let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        let valid = (1..=DIGITS_MAX).contains(&precision) && scale <= precision;
        valid.then_some(Self { precision, scale })
    }
}

/// The data type that a word stands for, for other parts of a pipeline that declare one.
pub(super) fn data_type(node: &Node, decoder: &mut Decoder) -> Option<DeclaredType> {
    one_of("a data type", DATA_TYPES)(node, decoder)
}

/// Reads the three keys of a column together.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<DeclaredType> {
    let declared = fields.optional("data_type", data_type);
    let precision = fields.optional("precision", whole_number(1_u8..=DIGITS_MAX));
    let scale = fields.optional("scale", whole_number(0_u8..=DIGITS_MAX));
    with_precision(declared, precision, scale, fields)
}

/// Adds `precision` and `scale` to a decimal; they mean nothing elsewhere.
fn with_precision(
    declared: Option<DeclaredType>,
    precision: Option<u8>,
    scale: Option<u8>,
    fields: &mut Fields<'_, '_>,
) -> Option<DeclaredType> {
    if declared.is_none() && fields.has("data_type") {
        // The type is reported already; what belongs to it cannot be told.
        return None;
    }
    let at = fields
        .position_of("scale")
        .or_else(|| fields.position_of("precision"));
    let Some(at) = at.filter(|_| precision.is_some() || scale.is_some()) else {
        return declared;
    };
    let decoder = fields.decoder();
    match (declared, precision, scale) {
        (Some(DeclaredType::Decimal(_)), Some(precision), scale) => {
            let scale = scale.unwrap_or(0);
            if scale > precision {
                let message = format!("`scale` is {scale}, more than the {precision} digits of `precision`");
                decoder.problem(at, message);
            }
            Some(DeclaredType::Decimal(Some(Precision { precision, scale })))
        }
        (Some(DeclaredType::Decimal(_)), None, _) => {
            decoder.problem(at, "a `scale` needs a `precision`");
            declared
        }
        _ => {
            decoder.problem(at, "`precision` and `scale` belong to `data_type: decimal`");
            declared
        }
    }
}
