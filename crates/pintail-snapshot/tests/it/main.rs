//! Snapshots of real DuckDB files: what is taken, what is restored, and what is noticed.

#![cfg(test)]

mod compat;
mod constraints;
mod differences;
mod flips;
mod guarding;
mod keeping;
mod kills;
mod place;
mod restoring;
mod roles;
mod taking;
mod types;
