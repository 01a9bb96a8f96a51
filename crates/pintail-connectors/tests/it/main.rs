//! Integration tests: the conformance suite, and what only one system promises.

#![cfg(test)]

mod files;
mod mysql;
mod postgres;
mod registry;
mod sqlite;
