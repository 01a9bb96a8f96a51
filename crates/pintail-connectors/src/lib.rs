//! Connectors: one folder per outside system, held to the contract of [`pintail_lake::connector`].
//!
//! A connector is text: it writes the statements that attach a system, look at its catalogue and read a range of a
//! table. It never sees a row. What DuckDB's scanners would read as another value, the statement turns into an error.
//!
//! - [`mysql`]: MariaDB and MySQL.
//! - [`postgres`]: PostgreSQL 13 to 17.
//! - [`sqlite`]: SQLite files.
//! - [`duckdb`]: DuckDB files.
//! - [`ducklake`]: tables of a lake.
//! - [`files`]: Parquet, CSV and JSON in folders and buckets.
//! - [`registry`]: the only place that tells systems apart by name.

mod bucket;
mod distribution;
pub mod duckdb;
pub mod ducklake;
mod engine_tables;
mod expressions;
pub mod files;
mod guard;
mod keys;
mod labels;
mod missing;
pub mod mysql;
pub mod postgres;
pub mod registry;
mod sample;
pub mod sqlite;
mod text;
