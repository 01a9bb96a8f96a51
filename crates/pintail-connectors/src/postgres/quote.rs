//! Quoting for SQL that Postgres reads.

pub(super) use pintail_lake::quote::postgres_literal as literal;
