//! Sync: tables copied and kept equal.

pub mod spec;
