//! Real sources behind one face: a table that a history changes.

use std::sync::Arc;

use pintail_lake::connector::Connector;
use pintail_model::{Clock, TableName};

use super::history::{Change, Setting, Traits};
use super::model::Written;

/// A database in which one table after the other is tested.
pub(super) trait Source: Send {
    fn name(&self) -> &'static str;

    fn traits(&self) -> Traits;

    /// Makes an empty table for `setting`, and forgets the one before it.
    fn make_table(&mut self, name: &str, setting: &Setting);

    /// Whether the source itself says what the key of the table is.
    fn has_key(&self) -> bool {
        true
    }

    fn table(&self) -> TableName;

    fn connector(&self) -> Box<dyn Connector>;

    fn clock(&self) -> Arc<dyn Clock>;

    /// Lets time pass, if it does not by itself.
    fn wait(&mut self, micros: i64);

    /// Writes in a transaction of its own, and returns what it wrote.
    fn write(&mut self, changes: &[Change]) -> Written;

    fn begin(&mut self, slot: usize);

    /// Writes in the open transaction of `slot`.
    fn write_open(&mut self, slot: usize, changes: &[Change]);

    /// Ends the transaction of `slot`, and returns what became visible by that.
    fn end(&mut self, slot: usize, commits: bool) -> Written;
}
