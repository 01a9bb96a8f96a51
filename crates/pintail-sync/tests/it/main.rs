//! Integration tests.

mod spec;
