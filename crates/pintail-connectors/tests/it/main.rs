//! Integration tests: the conformance suite, and what only one system promises.

#![cfg(test)]

mod postgres;
mod registry;
mod sqlite;
