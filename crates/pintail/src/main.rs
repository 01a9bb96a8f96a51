//! The `pintail` binary.

fn main() {}
