//! The functions of the engine: `pintail_tap`, which sums rows up, `pintail_hash`, which gives their hashes, and
//! `pintail_digest`, which gives digests that Postgres can take, too.

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use duckdb::ffi;
use pintail_model::checksum::SEED;

use super::TapRegistry;
use super::sent::digests;
use super::vector::{Vector, fold_column};

const TAP: &CStr = c"pintail_tap";
const HASH: &CStr = c"pintail_hash";
const DIGEST: &CStr = c"pintail_digest";

/// Makes the functions known to the instance that `connection` belongs to. Returns whether that worked.
pub(crate) fn register(connection: ffi::duckdb_connection, registry: &Arc<TapRegistry>) -> bool {
    let bigint = ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT;
    let tap = Signature {
        name: TAP,
        parameters: &[bigint, bigint],
        // Not a boolean: the cast from a wider type may fail, and DuckDB leaves a filter that may fail where it is. Any
        // other it moves below joins and filters, where it would see rows that these take away.
        returns: ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT,
        counts_calls: true,
        function: tap_rows,
    };
    let hash = Signature {
        name: HASH,
        parameters: &[],
        returns: ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT,
        counts_calls: false,
        function: hash_rows,
    };
    let digest = Signature {
        name: DIGEST,
        parameters: &[],
        returns: bigint,
        counts_calls: false,
        function: digest_rows,
    };
    [tap, hash, digest].iter().all(|signature| {
        let extra = Box::into_raw(Box::new(Arc::clone(registry)));
        signature.register(connection, extra)
    })
}

/// A scalar function over any number of columns of any type.
struct Signature<'a> {
    name: &'a CStr,
    /// Types of what comes before the columns.
    parameters: &'a [ffi::duckdb_type],
    returns: ffi::duckdb_type,
    /// Whether it must be called for every row.
    counts_calls: bool,
    function: unsafe extern "C" fn(ffi::duckdb_function_info, ffi::duckdb_data_chunk, ffi::duckdb_vector),
}

impl Signature<'_> {
    fn register(&self, connection: ffi::duckdb_connection, extra: *mut Arc<TapRegistry>) -> bool {
        // SAFETY: all handles are made here and destroyed here; DuckDB copies names and types, takes ownership of
        // `extra` and frees it through `drop_registry`.
        unsafe {
            let mut function = ffi::duckdb_create_scalar_function();
            ffi::duckdb_scalar_function_set_name(function, self.name.as_ptr());
            for parameter in self.parameters {
                let mut logical = ffi::duckdb_create_logical_type(*parameter);
                ffi::duckdb_scalar_function_add_parameter(function, logical);
                ffi::duckdb_destroy_logical_type(&raw mut logical);
            }
            let mut any = ffi::duckdb_create_logical_type(ffi::DUCKDB_TYPE_DUCKDB_TYPE_ANY);
            ffi::duckdb_scalar_function_set_varargs(function, any);
            ffi::duckdb_destroy_logical_type(&raw mut any);
            let mut returns = ffi::duckdb_create_logical_type(self.returns);
            ffi::duckdb_scalar_function_set_return_type(function, returns);
            ffi::duckdb_destroy_logical_type(&raw mut returns);
            // NULLs are part of a row: without this, DuckDB would answer NULL by itself.
            ffi::duckdb_scalar_function_set_special_handling(function);
            if self.counts_calls {
                // Without this, DuckDB would call it once for equal rows.
                ffi::duckdb_scalar_function_set_volatile(function);
            }
            ffi::duckdb_scalar_function_set_extra_info(function, extra.cast(), Some(drop_registry));
            ffi::duckdb_scalar_function_set_function(function, Some(self.function));
            let registered = ffi::duckdb_register_scalar_function(connection, function);
            ffi::duckdb_destroy_scalar_function(&raw mut function);
            registered == ffi::DuckDBSuccess
        }
    }
}

unsafe extern "C" fn drop_registry(extra: *mut c_void) {
    // SAFETY: DuckDB hands back, once, the pointer that `register` made from a box.
    drop(unsafe { Box::from_raw(extra.cast::<Arc<TapRegistry>>()) });
}

/// Runs the body of a function and hands its error to DuckDB. A panic must not unwind into C++.
fn shielded(info: ffi::duckdb_function_info, body: impl FnOnce() -> Result<(), &'static CStr>) {
    let message = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return,
        Ok(Err(message)) => message,
        Err(_) => c"the checksum function failed",
    };
    // SAFETY: `info` is the handle of the call under way, and DuckDB copies the text.
    unsafe { ffi::duckdb_scalar_function_set_error(info, message.as_ptr()) };
}

unsafe extern "C" fn tap_rows(
    info: ffi::duckdb_function_info,
    input: ffi::duckdb_data_chunk,
    output: ffi::duckdb_vector,
) {
    shielded(info, || {
        // SAFETY: DuckDB calls with valid handles; the extra info is the registry that `register` gave.
        unsafe {
            let registry = &*ffi::duckdb_scalar_function_get_extra_info(info).cast::<Arc<TapRegistry>>();
            tap_chunk(registry, input, output)
        }
    });
}

unsafe extern "C" fn hash_rows(
    info: ffi::duckdb_function_info,
    input: ffi::duckdb_data_chunk,
    output: ffi::duckdb_vector,
) {
    shielded(info, || {
        // SAFETY: DuckDB calls with valid handles; the output has room for as many words as the chunk has rows.
        unsafe {
            with_hashes(input, 0, |hashes| {
                let words = ffi::duckdb_vector_get_data(output).cast::<u64>();
                std::ptr::copy_nonoverlapping(hashes.as_ptr(), words, hashes.len());
            })
        }
    });
}

unsafe extern "C" fn digest_rows(
    info: ffi::duckdb_function_info,
    input: ffi::duckdb_data_chunk,
    output: ffi::duckdb_vector,
) {
    shielded(info, || {
        // SAFETY: DuckDB calls with valid handles; the output has room for as many integers as the chunk has rows.
        unsafe {
            let data = ffi::duckdb_vector_get_data(output).cast::<i64>();
            digests(input, |row, digest| data.add(row).write(digest))
        }
    });
}

thread_local! {
    /// Hashes of the chunk in work, kept between calls.
    static HASHES: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Hashes the rows of a chunk over all columns from `first` on, and hands the hashes on. Nothing happens for an empty one.
///
/// # Safety
/// `input` is a live chunk whose vectors DuckDB has flattened.
unsafe fn with_hashes(
    input: ffi::duckdb_data_chunk,
    first: u64,
    then: impl FnOnce(&[u64]),
) -> Result<(), &'static CStr> {
    // SAFETY: as the contract of this function says; every vector has `rows` values.
    unsafe {
        let rows =
            usize::try_from(ffi::duckdb_data_chunk_get_size(input)).expect("a chunk has at most 2048 rows");
        let columns = ffi::duckdb_data_chunk_get_column_count(input);
        if rows == 0 {
            return Ok(());
        }
        HASHES.with_borrow_mut(|hashes| {
            hashes.clear();
            hashes.resize(rows, SEED);
            for column in first..columns {
                fold_column(hashes, ffi::duckdb_data_chunk_get_vector(input, column))?;
            }
            then(hashes);
            Ok(())
        })
    }
}

/// Hashes all rows of a chunk and adds them to their tap.
///
/// # Safety
/// `input` and `output` are live handles of one call of the function that [`register`] made: column 0 and 1 are
/// flat BIGINT vectors, and DuckDB flattens all others before the call.
unsafe fn tap_chunk(
    registry: &TapRegistry,
    input: ffi::duckdb_data_chunk,
    output: ffi::duckdb_vector,
) -> Result<(), &'static CStr> {
    // SAFETY: as the contract of this function says; every vector has as many values as there are hashes.
    unsafe {
        if ffi::duckdb_data_chunk_get_size(input) == 0 {
            return Ok(());
        }
        let id = Vector::<i64>::of(ffi::duckdb_data_chunk_get_vector(input, 0), 1)
            .get(0)
            .ok_or(c"the checksum function was called without its number")?;
        let sums = registry
            .find(id)
            .ok_or(c"the checksum of this statement was given up")?;
        with_hashes(input, 2, |hashes| {
            let leaves = Vector::<i64>::of(ffi::duckdb_data_chunk_get_vector(input, 1), hashes.len());
            sums.add(hashes, &leaves);
            std::ptr::write_bytes(ffi::duckdb_vector_get_data(output).cast::<u8>(), 1, hashes.len());
        })
    }
}
