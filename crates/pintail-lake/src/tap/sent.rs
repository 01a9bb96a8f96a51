//! Rows as Postgres sends them: `record_send`, its binary form of a row, of which both sides can take an md5.
//!
//! ```text
//! row   = number of columns: i32, then column by column
//! value = OID of its type: i32, length: i32 (-1 is NULL), bytes          all of it big-endian
//! ```
//!
//! So every value is framed and typed, and NULL is no text. Types of one class are sent as one: every integer as `bigint`,
//! every float as `double precision` with one NaN, JSON as text. Decimals are sent with the scale of their column, times as
//! microseconds since 2000. Formats: the `…_send` functions of Postgres, which its binary COPY and protocol use, too.
//!
//! The digest of a row is the first 64 bits of the md5 of that, as a signed integer.

use std::ffi::CStr;

use duckdb::ffi;
use md5::{Digest, Md5};

use super::vector::{Vector, bytes};

/// Days from 1970 to 2000, and the microseconds of as many.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Adds the value of a row; returns whether there is one.
type Send = dyn Fn(usize, &mut Vec<u8>) -> bool;

/// A column of a chunk: the OID under which it is sent, and how a value is, if there is one.
struct Column {
    oid: i32,
    send: Box<Send>,
}

/// The digests of the rows of a chunk.
///
/// # Safety
/// `input` is a live chunk whose vectors DuckDB has flattened.
pub(super) unsafe fn digests(
    input: ffi::duckdb_data_chunk,
    mut then: impl FnMut(usize, i64),
) -> Result<(), &'static CStr> {
    // SAFETY: as the contract of this function says; every vector has `rows` values.
    let (rows, columns) = unsafe {
        let rows =
            usize::try_from(ffi::duckdb_data_chunk_get_size(input)).expect("a chunk has at most 2048 rows");
        let columns = (0..ffi::duckdb_data_chunk_get_column_count(input))
            .map(|column| Column::of(ffi::duckdb_data_chunk_get_vector(input, column), rows))
            .collect::<Result<Vec<Column>, _>>()?;
        (rows, columns)
    };
    let number = i32::try_from(columns.len()).map_err(|_| c"a row has too many columns")?;
    let mut row = Vec::new();
    for index in 0..rows {
        row.clear();
        row.extend(number.to_be_bytes());
        for column in &columns {
            column.add(index, &mut row);
        }
        let md5: [u8; 16] = Md5::digest(&row).into();
        let (first, _) = md5.split_first_chunk().expect("an md5 has 16 bytes");
        then(index, i64::from_be_bytes(*first));
    }
    Ok(())
}

impl Column {
    /// # Safety
    /// `vector` is live and flat, has `rows` values, and outlives the result.
    unsafe fn of(vector: ffi::duckdb_vector, rows: usize) -> Result<Self, &'static CStr> {
        // SAFETY: the type handle is valid until it is destroyed; the physical type of each arm is the one that
        // DuckDB documents for the logical type.
        unsafe {
            let mut logical = ffi::duckdb_vector_get_column_type(vector);
            let type_id = ffi::duckdb_get_type_id(logical);
            let (internal, scale) = match type_id {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => (
                    ffi::duckdb_decimal_internal_type(logical),
                    ffi::duckdb_decimal_scale(logical),
                ),
                _ => (type_id, 0),
            };
            ffi::duckdb_destroy_logical_type(&raw mut logical);
            if type_id == ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL {
                return Ok(match internal {
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => decimals(vector, rows, scale, i16::into),
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => decimals(vector, rows, scale, i32::into),
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => decimals(vector, rows, scale, i64::into),
                    _ => decimals(vector, rows, scale, |value: i128| value),
                });
            }
            Ok(match type_id {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => {
                    Self::new(16, vector, rows, |value: u8, row| row.push(u8::from(value != 0)))
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT => integers(vector, rows, i8::into),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => integers(vector, rows, i16::into),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => integers(vector, rows, i32::into),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => integers(vector, rows, |value: i64| value),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => integers(vector, rows, u8::into),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => integers(vector, rows, u16::into),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => integers(vector, rows, u32::into),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => {
                    Self::new(701, vector, rows, |value: f32, row| send_float(value.into(), row))
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => Self::new(701, vector, rows, send_float),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE => Self::new(1082, vector, rows, send_date),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME => Self::new(1083, vector, rows, |value: i64, row| {
                    row.extend(value.to_be_bytes());
                }),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => Self::new(1114, vector, rows, send_time),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ => Self::new(1184, vector, rows, send_time),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => Self::new(25, vector, rows, send_bytes),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => Self::new(17, vector, rows, send_bytes),
                // DuckDB flips the first bit, so that its integers are in the order of the texts.
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UUID => Self::new(2950, vector, rows, |value: u128, row| {
                    row.extend((value ^ (1 << 127)).to_be_bytes());
                }),
                _ => return Err(c"the digest function does not know the type of a column"),
            })
        }
    }

    /// # Safety
    /// As [`Column::of`], and `T` is the physical type of the vector.
    unsafe fn new<T: Copy + 'static>(
        oid: i32,
        vector: ffi::duckdb_vector,
        rows: usize,
        send: impl Fn(T, &mut Vec<u8>) + 'static,
    ) -> Self {
        // SAFETY: passed on from the caller.
        let vector = unsafe { Vector::<T>::of(vector, rows) };
        let send = move |index: usize, row: &mut Vec<u8>| match vector.get(index) {
            Some(value) => {
                send(value, row);
                true
            }
            None => false,
        };
        Self {
            oid,
            send: Box::new(send),
        }
    }

    fn add(&self, index: usize, row: &mut Vec<u8>) {
        row.extend(self.oid.to_be_bytes());
        let length_at = row.len();
        row.extend((-1_i32).to_be_bytes());
        if (self.send)(index, row) {
            let length =
                i32::try_from(row.len() - length_at - 4).expect("DuckDB's values have less than 2 GiB");
            row[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// # Safety
/// As [`Column::of`], and `T` is the physical type of the vector.
unsafe fn integers<T: Copy + 'static>(
    vector: ffi::duckdb_vector,
    rows: usize,
    number: impl Fn(T) -> i64 + 'static,
) -> Column {
    // SAFETY: passed on from the caller.
    unsafe {
        Column::new(20, vector, rows, move |value: T, row| {
            row.extend(number(value).to_be_bytes());
        })
    }
}

/// # Safety
/// As [`Column::of`], and `T` is the physical type of the vector.
unsafe fn decimals<T: Copy + 'static>(
    vector: ffi::duckdb_vector,
    rows: usize,
    scale: u8,
    number: impl Fn(T) -> i128 + 'static,
) -> Column {
    // SAFETY: passed on from the caller.
    unsafe {
        Column::new(1700, vector, rows, move |value: T, row| {
            send_decimal(number(value), scale, row);
        })
    }
}

fn send_bytes(value: ffi::duckdb_string_t, row: &mut Vec<u8>) {
    row.extend(bytes(&value));
}

fn send_float(value: f64, row: &mut Vec<u8>) {
    let one = if value.is_nan() { f64::NAN } else { value };
    row.extend(one.to_bits().to_be_bytes());
}

/// Infinities are the largest number and its negative for DuckDB, and the largest and the smallest for Postgres.
fn send_date(days: i32, row: &mut Vec<u8>) {
    let sent = match days {
        i32::MAX => i32::MAX,
        days if days == -i32::MAX => i32::MIN,
        days => days.wrapping_sub(EPOCH_DAYS),
    };
    row.extend(sent.to_be_bytes());
}

fn send_time(micros: i64, row: &mut Vec<u8>) {
    let sent = match micros {
        i64::MAX => i64::MAX,
        micros if micros == -i64::MAX => i64::MIN,
        micros => micros.wrapping_sub(EPOCH_MICROS),
    };
    row.extend(sent.to_be_bytes());
}

/// A number as `numeric_send` has it: how many digits to the base 10,000, the weight of the first, the sign, the scale, and
/// the digits. Zeros at both ends are left out.
fn send_decimal(value: i128, scale: u8, row: &mut Vec<u8>) {
    let unit = 10_u128.pow(scale.into());
    let (mut whole, mut rest) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    let mut digits = [0_u16; 24];
    // Digits before the point fill the array from its middle to the left, those behind it to the right.
    let middle = 12;
    let (mut first, mut end) = (middle, middle);
    while whole > 0 {
        first -= 1;
        digits[first] = (whole % 10_000) as u16;
        whole /= 10_000;
    }
    let mut left = u32::from(scale);
    while left > 0 {
        let taken = left.min(4);
        let below = 10_u128.pow(left - taken);
        digits[end] = (rest / below * 10_u128.pow(4 - taken)) as u16;
        (rest, left, end) = (rest % below, left - taken, end + 1);
    }
    while first < end && digits[first] == 0 {
        first += 1;
    }
    while first < end && digits[end - 1] == 0 {
        end -= 1;
    }
    let number = end - first;
    let weight = if number == 0 {
        0
    } else {
        middle as i16 - first as i16 - 1
    };
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    row.extend((number as u16).to_be_bytes());
    row.extend(weight.to_be_bytes());
    row.extend(sign.to_be_bytes());
    row.extend(u16::from(scale).to_be_bytes());
    for digit in &digits[first..end] {
        row.extend(digit.to_be_bytes());
    }
}
