//! How tables of real systems are cut: every row is read once, by whatever they are cut.

mod elsewhere;
mod engine;
mod mysql;
mod postgres;
mod sqlite;
