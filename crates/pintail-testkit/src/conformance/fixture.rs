//! What the suite needs to know of a system.

use pintail_lake::connector::Connector;
use pintail_model::LogicalType;

/// An empty database of a real system, and a way to work on it from outside.
pub trait Fixture {
    /// The connector under test, for this database.
    fn connector(&self) -> Box<dyn Connector>;

    /// Runs statements of the system on a connection that has nothing to do with the connector. They are committed
    /// when this returns.
    fn execute(&self, sql: &str);

    /// Makes the table `orders` with a row for each number from 1 to `rows`: `id` (integer, primary key), `customer`
    /// (integer, NULL in each 10th row), `note` (text, NULL in each 7th row, padded to some 40 bytes) and
    /// `changed_at` (date and time without a zone, one minute apart from 2024-01-01, NULL in each 100th row).
    fn fill_orders(&self, rows: u32);

    /// What makes a column the key of its table, in a declaration; anything else where the system knows no keys.
    fn key_constraint(&self) -> &'static str {
        "primary key"
    }

    /// Whether nobody can write while the connector is attached: then its snapshots cannot be put to the test.
    fn keeps_writers_out(&self) -> bool {
        false
    }

    /// A declared type for integers of 64 bits, and one for text.
    fn integer_and_text(&self) -> (&'static str, &'static str);

    /// For every type that has a home: values at its edges.
    fn samples(&self) -> Vec<Sample>;

    /// Values that must fail a scan, instead of arriving as something else.
    fn unfit(&self) -> Vec<Unfit>;

    /// Declared types without a home, in the system's own words.
    fn homeless(&self) -> Vec<&'static str>;

    /// Statements of DuckDB that would write to the attached database `alias`.
    fn writes(&self, alias: &str) -> Vec<String>;

    /// A connector for the same database with a password that is wrong, if the system knows passwords.
    fn wrong_password(&self) -> Option<Box<dyn Connector>> {
        None
    }

    /// A connector for a server that does not listen, if the system is a server.
    fn closed_port(&self) -> Option<Box<dyn Connector>> {
        None
    }

    /// The password that [`Fixture::connector`] uses, if the system knows passwords.
    fn password(&self) -> Option<String> {
        None
    }
}

/// Values of one type.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The type as it is declared in the system.
    pub declared: &'static str,
    /// What it becomes.
    pub home: LogicalType,
    /// Literals of the system, and what DuckDB shows for each of them.
    pub values: Vec<(&'static str, &'static str)>,
}

/// A value that a type of the lake cannot hold.
#[derive(Debug, Clone)]
pub struct Unfit {
    /// The type as it is declared in the system.
    pub declared: &'static str,
    /// The value, as a literal of the system.
    pub literal: &'static str,
    /// What it is read as.
    pub wanted: LogicalType,
}
