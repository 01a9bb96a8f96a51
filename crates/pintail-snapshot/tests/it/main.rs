//! Snapshots of real DuckDB files: what is taken, what is restored, and what is noticed.

#![cfg(test)]

mod buckets;
mod compat;
mod constraints;
mod differences;
mod flips;
mod guarding;
mod keeping;
mod kills;
mod lake_guarding;
mod lake_place;
mod pin_kills;
mod pinning;
mod pins_kept;
mod pins_restored;
mod place;
mod relay;
mod restoring;
mod roles;
mod taking;
mod troubles;
mod types;
