//! Random values of every type go from a source to a lake, and the lake shows what the source itself shows.

mod large;
mod postgres;
mod values;
