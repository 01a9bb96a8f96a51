//! Random values of every type go from a source to a lake, which shows what the source itself shows, and back into a place of the
//! same system.

mod duckdb;
mod large;
mod postgres;
mod sqlite;
mod values;
