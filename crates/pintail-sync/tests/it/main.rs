//! Integration tests.

mod delta;
mod full;
mod partition;
mod plan;
mod postgres;
mod resume;
mod shop;
mod source;
mod spec;
mod state;
mod watermark;
