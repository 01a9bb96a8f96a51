//! Folding a column of a chunk into the hashes of its rows.
//!
//! Lists are folded level by level: the lengths of all lists of a column, then what they hold, which is lists again or
//! elements. Per row that is a framed sequence: each level says how many values the next one has. Structs are folded field
//! by field.

use std::ffi::CStr;

use duckdb::ffi;
use pintail_model::checksum::{Class, bytes_word, float_word, fold, fold_null, fold_wide};

/// A flat vector of one chunk.
pub(super) struct Vector<T> {
    values: *const T,
    length: usize,
    validity: *const u64,
}

impl<T: Copy> Vector<T> {
    /// # Safety
    /// `vector` is flat, holds at least `length` values whose physical type is `T`, and outlives the result.
    pub(super) unsafe fn of(vector: ffi::duckdb_vector, length: usize) -> Self {
        // SAFETY: as the contract of this function says.
        unsafe {
            Self {
                values: ffi::duckdb_vector_get_data(vector).cast::<T>(),
                length,
                validity: ffi::duckdb_vector_get_validity(vector),
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<T> {
        assert!(index < self.length, "a vector is read within its chunk");
        // SAFETY: a validity mask has a bit for every value; null means that all are valid. The index is one of the
        // vector's. DuckDB aligns values to 8 bytes, where our 128-bit integers want 16.
        unsafe {
            let valid = self.validity.is_null() || *self.validity.add(index / 64) >> (index % 64) & 1 == 1;
            valid.then(|| self.values.add(index).read_unaligned())
        }
    }
}

/// Folds a column into the hashes of its rows.
///
/// # Safety
/// `vector` is a live, flat vector with at least as many values as there are hashes.
pub(super) unsafe fn fold_column(
    hashes: &mut [u64],
    vector: ffi::duckdb_vector,
) -> Result<(), &'static CStr> {
    let mut column = Fold {
        length: hashes.len(),
        cells: None,
        hashes,
        vector,
    };
    // SAFETY: passed on from the caller.
    unsafe { column.by_type() }
}

/// A value of a list, and the row that the list belongs to.
#[derive(Clone, Copy)]
struct Cell {
    row: usize,
    index: usize,
}

/// A vector on its way into hashes. It is live and flat, and so are the values of its lists.
struct Fold<'a> {
    hashes: &'a mut [u64],
    vector: ffi::duckdb_vector,
    /// How many values the vector has.
    length: usize,
    /// The values to fold; `None` for one value a row.
    cells: Option<&'a [Cell]>,
}

impl Fold<'_> {
    /// # Safety
    /// The vector is as [`Fold`] says.
    unsafe fn by_type(&mut self) -> Result<(), &'static CStr> {
        // SAFETY: the type handle is valid until it is destroyed; the physical type of each arm is the one that
        // DuckDB documents for the logical type.
        unsafe {
            let mut logical = ffi::duckdb_vector_get_column_type(self.vector);
            let type_id = ffi::duckdb_get_type_id(logical);
            let internal = match type_id {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => ffi::duckdb_decimal_internal_type(logical),
                _ => type_id,
            };
            ffi::duckdb_destroy_logical_type(&raw mut logical);

            if type_id == ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL {
                match internal {
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => self.wide(|value: i16| value.into()),
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => self.wide(|value: i32| value.into()),
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => self.wide(|value: i64| value.into()),
                    _ => self.wide(|value: i128| value),
                }
                return Ok(());
            }
            match type_id {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => {
                    self.words(Class::Boolean, |value: u8| u64::from(value != 0));
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT => self.integers(|value: i8| value.into()),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => self.integers(|value: i16| value.into()),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => self.integers(|value: i32| value.into()),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => self.integers(|value: i64| value),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => self.integers(|value: u8| value.into()),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => self.integers(|value: u16| value.into()),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => self.integers(|value: u32| value.into()),
                // What 64 bits with a sign cannot hold takes two words, so that it is never taken for a negative number.
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT => self.each(|hash, value: u64| {
                    if i64::try_from(value).is_ok() {
                        fold(hash, Class::Integer, value)
                    } else {
                        fold_wide(hash, Class::Integer, value.into())
                    }
                }),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => {
                    self.words(Class::Float, |value: f32| float_word(value.into()));
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => self.words(Class::Float, float_word),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE => {
                    self.words(Class::Date, |value: i32| i64::from(value).cast_unsigned());
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME => self.words(Class::Time, i64::cast_unsigned),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => {
                    self.words(Class::Timestamp, i64::cast_unsigned);
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_NS => {
                    self.words(Class::TimestampNs, i64::cast_unsigned);
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ => {
                    self.words(Class::TimestampTz, i64::cast_unsigned);
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => self.texts(Class::Text),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => self.texts(Class::Bytes),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UUID => {
                    self.each(|hash, value: u128| fold_wide(hash, Class::Uuid, value));
                }
                // A map is stored as a list of its pairs.
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST | ffi::DUCKDB_TYPE_DUCKDB_TYPE_MAP => return self.lists(),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => return self.structs(),
                _ => return Err(c"the checksum function does not know the type of a column"),
            }
        }
        Ok(())
    }

    /// # Safety
    /// The vector is one of lists.
    unsafe fn lists(&mut self) -> Result<(), &'static CStr> {
        let mut cells = Vec::new();
        // SAFETY: a list is stored as its place among the values of all lists; these outlive the vector that has them.
        unsafe {
            self.each_of_row(|row, hash, list: ffi::duckdb_list_entry| {
                let place =
                    |number: u64| usize::try_from(number).expect("what lies in memory can be counted");
                let first = place(list.offset);
                cells.extend((first..first + place(list.length)).map(|index| Cell { row, index }));
                fold(hash, Class::List, list.length)
            });
            let length = ffi::duckdb_list_vector_get_size(self.vector);
            let mut inner = Fold {
                hashes: self.hashes,
                vector: ffi::duckdb_list_vector_get_child(self.vector),
                length: usize::try_from(length).expect("what lies in memory can be counted"),
                cells: Some(&cells),
            };
            inner.by_type()
        }
    }

    /// # Safety
    /// The vector is one of structs.
    unsafe fn structs(&mut self) -> Result<(), &'static CStr> {
        // SAFETY: a struct has no values of its own, only a validity; its fields are vectors as long as it is, and
        // outlive it. The type handle is valid until it is destroyed.
        unsafe {
            let mut logical = ffi::duckdb_vector_get_column_type(self.vector);
            let fields = ffi::duckdb_struct_type_child_count(logical);
            ffi::duckdb_destroy_logical_type(&raw mut logical);
            let validity = ffi::duckdb_vector_get_validity(self.vector);
            let valid =
                |index: usize| validity.is_null() || *validity.add(index / 64) >> (index % 64) & 1 == 1;
            let every_row: Vec<Cell>;
            let own = match self.cells {
                Some(cells) => cells,
                None => {
                    every_row = (0..self.length).map(|row| Cell { row, index: row }).collect();
                    &every_row
                }
            };
            // What the fields of a NULL struct hold is nobody's value.
            let mut cells = Vec::with_capacity(own.len());
            for cell in own {
                let hash = &mut self.hashes[cell.row];
                if valid(cell.index) {
                    *hash = fold(*hash, Class::Struct, fields);
                    cells.push(*cell);
                } else {
                    *hash = fold_null(*hash);
                }
            }
            for field in 0..fields {
                let mut inner = Fold {
                    hashes: self.hashes,
                    vector: ffi::duckdb_struct_vector_get_child(self.vector, field),
                    length: self.length,
                    cells: Some(&cells),
                };
                inner.by_type()?;
            }
        }
        Ok(())
    }

    /// # Safety
    /// `T` is the physical type of the vector.
    unsafe fn integers<T: Copy>(&mut self, number: impl Fn(T) -> i64) {
        // SAFETY: passed on from the caller.
        unsafe { self.words(Class::Integer, |value| number(value).cast_unsigned()) }
    }

    /// # Safety
    /// The vector is one of texts or bytes.
    unsafe fn texts(&mut self, class: Class) {
        // SAFETY: passed on from the caller.
        unsafe { self.words(class, |value: ffi::duckdb_string_t| bytes_word(bytes(&value))) }
    }

    /// # Safety
    /// `T` is the physical type of the vector.
    unsafe fn wide<T: Copy>(&mut self, number: impl Fn(T) -> i128) {
        // SAFETY: passed on from the caller.
        unsafe { self.each(|hash, value| fold_wide(hash, Class::Decimal, number(value).cast_unsigned())) }
    }

    /// # Safety
    /// `T` is the physical type of the vector.
    unsafe fn words<T: Copy>(&mut self, class: Class, word: impl Fn(T) -> u64) {
        // SAFETY: passed on from the caller.
        unsafe { self.each(|hash, value| fold(hash, class, word(value))) }
    }

    /// # Safety
    /// `T` is the physical type of the vector.
    unsafe fn each<T: Copy>(&mut self, fold: impl Fn(u64, T) -> u64) {
        // SAFETY: passed on from the caller.
        unsafe { self.each_of_row(|_, hash, value| fold(hash, value)) }
    }

    /// Folds every value, with the number of its row.
    ///
    /// # Safety
    /// `T` is the physical type of the vector.
    unsafe fn each_of_row<T: Copy>(&mut self, mut fold: impl FnMut(usize, u64, T) -> u64) {
        // SAFETY: passed on from the caller.
        let vector = unsafe { Vector::<T>::of(self.vector, self.length) };
        let mut add = |row: usize, hash: &mut u64, index: usize| {
            *hash = match vector.get(index) {
                Some(value) => fold(row, *hash, value),
                None => fold_null(*hash),
            };
        };
        match self.cells {
            None => {
                for (row, hash) in self.hashes.iter_mut().enumerate() {
                    add(row, hash, row);
                }
            }
            Some(cells) => {
                for cell in cells {
                    add(cell.row, &mut self.hashes[cell.row], cell.index);
                }
            }
        }
    }
}

/// The bytes of a DuckDB text: up to twelve lie in the value itself.
pub(super) fn bytes(text: &ffi::duckdb_string_t) -> &[u8] {
    // SAFETY: both variants begin with the length; which one is meant follows from it, and a pointer stays valid
    // as long as the chunk that the text belongs to.
    unsafe {
        let length = text.value.inlined.length as usize;
        let start = if length <= 12 {
            text.value.inlined.inlined.as_ptr()
        } else {
            text.value.pointer.ptr.cast_const()
        };
        std::slice::from_raw_parts(start.cast::<u8>(), length)
    }
}
