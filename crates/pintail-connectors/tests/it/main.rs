//! Integration tests.

mod postgres;
mod registry;
mod sqlite;
