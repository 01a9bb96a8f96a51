//! A tap: a filter that lets every row pass and keeps the checksums of what passed.
//!
//! ```text
//! copy (select … from source where pintail_tap(7, leaf, column, column, …)) to 'part.parquet'
//! ```
//!
//! Rows are hashed while they are on their way to the file, so a source is read once and not twice. The same filter
//! over the committed table gives the other side. The hash is version 1 of [`pintail_model::checksum`]; it sees
//! typed columns, never their text.
//!
//! `leaf` groups rows so that a difference can be located: an integer expression over the key, or NULL, in which
//! case the row's own hash picks one of 64 leaves.

#![expect(
    unsafe_code,
    reason = "a scalar function that sees NULLs and typed vectors exists in DuckDB's C interface only"
)]

mod vector;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use duckdb::ffi;
use pintail_model::checksum::SEED;
use pintail_model::{Checksum, LeafChecksums};

use self::vector::{Vector, fold_column};
use crate::quote;

const FUNCTION: &std::ffi::CStr = c"pintail_tap";

/// Leaves of a table without an integer key.
const HASH_LEAVES_BITS: u32 = 6;

/// A tap of one engine. Dropping it ends it; statements that still name it fail.
pub struct Tap {
    id: i64,
    state: Arc<TapState>,
}

#[derive(Default)]
struct TapState {
    leaves: Mutex<HashMap<i64, Checksum>>,
    rows: AtomicU64,
}

/// All taps of an engine, by number.
#[derive(Default)]
pub(crate) struct TapRegistry {
    next: AtomicI64,
    taps: Mutex<HashMap<i64, Weak<TapState>>>,
}

impl Tap {
    pub(crate) fn new(registry: &Arc<TapRegistry>) -> Self {
        let id = registry.next.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(TapState::default());
        let mut taps = registry.taps.lock().expect("no holder of this lock panics");
        taps.retain(|_, tap| tap.strong_count() > 0);
        taps.insert(id, Arc::downgrade(&state));
        Self { id, state }
    }

    /// The filter: SQL that is true for every row. `leaf` is an SQL expression of an integer, or `None`. It sees the
    /// rows of the relation that it filters, and no others.
    #[must_use]
    pub fn filter<S: AsRef<str>>(&self, leaf: Option<&str>, columns: &[S]) -> String {
        let leaf = leaf.unwrap_or("null");
        format!(
            "pintail_tap({}, ({leaf})::bigint, {})",
            self.id,
            quote::identifiers(columns)
        )
    }

    /// Rows that passed so far; can be asked while a statement runs.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.state.rows.load(Ordering::Relaxed)
    }

    /// The checksums of what passed so far.
    #[must_use]
    pub fn checksums(&self) -> LeafChecksums {
        let leaves = self.state.leaves.lock().expect("no holder of this lock panics");
        LeafChecksums(leaves.iter().map(|(leaf, checksum)| (*leaf, *checksum)).collect())
    }
}

/// Makes the function known to the instance that `connection` belongs to. Returns whether that worked.
pub(crate) fn register(connection: ffi::duckdb_connection, registry: &Arc<TapRegistry>) -> bool {
    let extra = Box::into_raw(Box::new(Arc::clone(registry)));
    // SAFETY: all handles are made here and destroyed here; DuckDB copies names and types, takes ownership of
    // `extra` and frees it through `drop_registry`.
    unsafe {
        let mut function = ffi::duckdb_create_scalar_function();
        ffi::duckdb_scalar_function_set_name(function, FUNCTION.as_ptr());
        let mut bigint = ffi::duckdb_create_logical_type(ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT);
        let mut any = ffi::duckdb_create_logical_type(ffi::DUCKDB_TYPE_DUCKDB_TYPE_ANY);
        // Not a boolean: the cast from a wider type may fail, and DuckDB leaves a filter that may fail where it is. Any
        // other it moves below joins and filters, where it would see rows that these take away.
        let mut tinyint = ffi::duckdb_create_logical_type(ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT);
        ffi::duckdb_scalar_function_add_parameter(function, bigint);
        ffi::duckdb_scalar_function_add_parameter(function, bigint);
        ffi::duckdb_scalar_function_set_varargs(function, any);
        ffi::duckdb_scalar_function_set_return_type(function, tinyint);
        // NULLs are part of a row, and every call counts: without these two, DuckDB would skip both.
        ffi::duckdb_scalar_function_set_special_handling(function);
        ffi::duckdb_scalar_function_set_volatile(function);
        ffi::duckdb_scalar_function_set_extra_info(function, extra.cast(), Some(drop_registry));
        ffi::duckdb_scalar_function_set_function(function, Some(call));
        let registered = ffi::duckdb_register_scalar_function(connection, function);
        ffi::duckdb_destroy_logical_type(&raw mut bigint);
        ffi::duckdb_destroy_logical_type(&raw mut any);
        ffi::duckdb_destroy_logical_type(&raw mut tinyint);
        ffi::duckdb_destroy_scalar_function(&raw mut function);
        registered == ffi::DuckDBSuccess
    }
}

unsafe extern "C" fn drop_registry(extra: *mut c_void) {
    // SAFETY: DuckDB hands back, once, the pointer that `register` made from a box.
    drop(unsafe { Box::from_raw(extra.cast::<Arc<TapRegistry>>()) });
}

unsafe extern "C" fn call(
    info: ffi::duckdb_function_info,
    input: ffi::duckdb_data_chunk,
    output: ffi::duckdb_vector,
) {
    // A panic must not unwind into C++.
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: DuckDB calls with valid handles; the extra info is the registry that `register` gave.
        unsafe {
            let registry = &*ffi::duckdb_scalar_function_get_extra_info(info).cast::<Arc<TapRegistry>>();
            pass(registry, input, output)
        }
    }));
    let message = match result {
        Ok(Ok(())) => return,
        Ok(Err(message)) => message,
        Err(_) => c"the checksum function failed",
    };
    // SAFETY: `info` is valid and DuckDB copies the text.
    unsafe { ffi::duckdb_scalar_function_set_error(info, message.as_ptr()) };
}

thread_local! {
    /// Hashes of the chunk in work, kept between calls.
    static HASHES: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Hashes all rows of a chunk and adds them to their tap.
///
/// # Safety
/// `input` and `output` are live handles of one call of the function that [`register`] made: column 0 and 1 are
/// flat BIGINT vectors, and DuckDB flattens all others before the call.
unsafe fn pass(
    registry: &TapRegistry,
    input: ffi::duckdb_data_chunk,
    output: ffi::duckdb_vector,
) -> Result<(), &'static std::ffi::CStr> {
    // SAFETY: as the contract of this function says; every vector has `rows` values.
    unsafe {
        let rows =
            usize::try_from(ffi::duckdb_data_chunk_get_size(input)).expect("a chunk has at most 2048 rows");
        let columns = ffi::duckdb_data_chunk_get_column_count(input);
        if rows == 0 {
            return Ok(());
        }
        let id = Vector::<i64>::of(ffi::duckdb_data_chunk_get_vector(input, 0), rows)
            .get(0)
            .ok_or(c"the checksum function was called without its number")?;
        let tap = registry
            .taps
            .lock()
            .expect("no holder of this lock panics")
            .get(&id)
            .and_then(Weak::upgrade);
        let tap = tap.ok_or(c"the checksum of this statement was given up")?;
        HASHES.with_borrow_mut(|hashes| {
            hashes.clear();
            hashes.resize(rows, SEED);
            for column in 2..columns {
                fold_column(hashes, ffi::duckdb_data_chunk_get_vector(input, column))?;
            }
            let leaves = Vector::<i64>::of(ffi::duckdb_data_chunk_get_vector(input, 1), rows);
            tap.add(hashes, &leaves);
            Ok(())
        })?;
        std::ptr::write_bytes(ffi::duckdb_vector_get_data(output).cast::<u8>(), 1, rows);
    }
    Ok(())
}

impl TapState {
    fn add(&self, hashes: &[u64], leaves: &Vector<i64>) {
        // Neighbours mostly share a leaf: sum up runs first, then take the lock once.
        let mut runs: Vec<(i64, Checksum)> = Vec::new();
        for (row, hash) in hashes.iter().enumerate() {
            let leaf = match leaves.get(row) {
                Some(leaf) => leaf,
                None => i64::try_from(hash >> (64 - HASH_LEAVES_BITS)).expect("six bits fit"),
            };
            match runs.last_mut() {
                Some((last, checksum)) if *last == leaf => checksum.add(*hash),
                _ => {
                    let mut checksum = Checksum::default();
                    checksum.add(*hash);
                    runs.push((leaf, checksum));
                }
            }
        }
        let mut sums = self.leaves.lock().expect("no holder of this lock panics");
        for (leaf, checksum) in runs {
            sums.entry(leaf).or_default().merge(checksum);
        }
        drop(sums);
        self.rows.fetch_add(hashes.len() as u64, Ordering::Relaxed);
    }
}
