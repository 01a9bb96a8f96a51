//! The sample shop: two tables in a SQLite file, and a business that goes on.
//!
//! The shop is an application of its own, so it writes with a SQLite library of its own. SQLite's locks belong to the
//! process, and closing one handle of a file gives up those of all others: the shop is therefore only ever open
//! inside [`Shop::open`], while no engine has the file.
//!
//! Everything follows from the number of orders: two demos of one size make the same shop.

use std::path::PathBuf;

use pintail_model::ErrorKind;
use pintail_sync::StopSignal;
use rusqlite::{Connection, params};

use crate::diagnostics::Diagnostic;
use crate::progress::{self, Audience};

/// Orders that are written in one transaction.
const BATCH: u64 = 100_000;

/// The shop.
pub(super) struct Shop {
    path: PathBuf,
    orders: u64,
}

/// What the shop was made with.
pub(super) struct Made {
    pub(super) orders: u64,
    pub(super) customers: u64,
}

/// What happened in the shop.
pub(super) struct Changes {
    pub(super) updated: u64,
    pub(super) inserted: u64,
}

impl Shop {
    pub(super) fn new(path: PathBuf, orders: u64) -> Self {
        Self { path, orders }
    }

    /// The size of its file.
    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Opens the shop for as long as `work` takes.
    pub(super) fn open<T>(
        &self,
        work: impl FnOnce(&mut Open) -> Result<T, Trouble>,
    ) -> Result<T, Diagnostic> {
        let worked = Connection::open(&self.path)
            .map_err(Trouble::from)
            .and_then(|connection| {
                let mut open = Open {
                    connection,
                    orders: self.orders,
                };
                let result = work(&mut open);
                open.connection.close().map_err(|(_, error)| error)?;
                result
            });
        worked.map_err(|trouble| match trouble {
            Trouble::Stopped => super::stopped(),
            Trouble::Sqlite(error) => {
                let message = format!("cannot write to the shop `{}`", self.path.display());
                Diagnostic::new(ErrorKind::Unavailable, message).cause(error.to_string())
            }
        })
    }
}

/// Why the shop could not do what it was asked.
#[derive(Debug)]
pub(super) enum Trouble {
    Stopped,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The shop while its file is open.
pub(super) struct Open {
    connection: Connection,
    orders: u64,
}

impl Open {
    /// Makes the tables, and fills them.
    pub(super) fn make(&mut self, stop: &StopSignal) -> Result<Made, Trouble> {
        let orders = self.orders;
        let customers = (orders / 50).max(10);
        self.connection.execute_batch(include_str!("shop.sql"))?;
        self.connection
            .execute(include_str!("customers.sql"), params![customers])?;
        let display = progress::display("shop", Audience::Terminal);
        display.started(Some(orders), 1, 0);
        let mut first = 1;
        while first <= orders {
            if stop.stopped() {
                return Err(Trouble::Stopped);
            }
            let last = orders.min(first + BATCH - 1);
            let transaction = self.connection.transaction()?;
            transaction.execute(
                include_str!("orders.sql"),
                params![first, last, customers, "2024-01-01"],
            )?;
            transaction.commit()?;
            display.rows(last);
            first = last + 1;
        }
        Ok(Made { orders, customers })
    }

    /// A morning: one order in 125 changes, and some are new. Together they are a hundredth of the shop.
    pub(super) fn sell(&mut self) -> Result<Changes, Trouble> {
        let orders = self.orders;
        let updated = self.update(125, "packed", "2026-01-05 09:30:00")?;
        let newest = self.newest_change()?;
        let transaction = self.connection.transaction()?;
        let (first, last) = (orders + 1, orders + orders / 500);
        let inserted = transaction.execute(
            include_str!("orders.sql"),
            params![first, last, orders / 50, "2024-01-02"],
        )?;
        transaction.execute(
            "update orders set change_number = ?1 + id - ?2 where id > ?2",
            params![newest, orders],
        )?;
        transaction.commit()?;
        Ok(Changes {
            updated,
            inserted: inserted as u64,
        })
    }

    /// An afternoon: one order in 20 is shipped.
    pub(super) fn ship(&mut self) -> Result<Changes, Trouble> {
        let updated = self.update(20, "shipped", "2026-01-05 16:45:00")?;
        Ok(Changes { updated, inserted: 0 })
    }

    /// Changes every order whose number leaves a remainder of 3; each takes the next number of a change.
    fn update(&mut self, one_in: u64, status: &str, at: &str) -> Result<u64, Trouble> {
        let newest = self.newest_change()?;
        let updated = self.connection.execute(
            "update orders
             set status = ?2, paid = 1, updated_at = ?3, change_number = ?4 + 1 + id / ?1
             where id % ?1 = 3",
            params![one_in, status, at, newest],
        )?;
        Ok(updated as u64)
    }

    fn newest_change(&self) -> Result<u64, Trouble> {
        Ok(self
            .connection
            .query_row("select max(change_number) from orders", [], |row| row.get(0))?)
    }
}
