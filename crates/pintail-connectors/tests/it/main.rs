//! Integration tests: the conformance suite, and what only one system promises.

#![cfg(test)]

mod documented;
mod duckdb;
mod ducklake;
mod mysql;
mod postgres;
mod registry;
mod sqlite;
