//! Conditions under which a scan has to fail instead of delivering a row.

use pintail_lake::quote;

/// Conditions in DuckDB's SQL, each with the reason that the error gives, as an expression. Reasons never hold a value.
#[derive(Debug, Default)]
pub(crate) struct Guards(Vec<(String, String)>);

impl Guards {
    /// Lets the scan fail with `reason` on the first row for which `condition` is true.
    pub(crate) fn fail_if(&mut self, condition: String, reason: String) {
        self.fail_because(condition, quote::literal(&reason));
    }

    /// The same, with an expression that yields the reason.
    pub(crate) fn fail_because(&mut self, condition: String, reason: String) {
        self.0.push((condition, reason));
    }

    /// The WHERE clause that checks every row and drops none; empty if there is nothing to check.
    pub(crate) fn clause(&self) -> String {
        if self.0.is_empty() {
            String::new()
        } else {
            self.clause_with("true")
        }
    }

    /// The WHERE clause that checks every row and keeps those for which `condition` is true.
    pub(crate) fn clause_with(&self, condition: &str) -> String {
        let arms: Vec<String> = self
            .0
            .iter()
            .map(|(condition, reason)| format!("  when {condition} then error({reason})\n"))
            .collect();
        if arms.is_empty() {
            return format!("\nwhere {condition}");
        }
        // CASE is evaluated in order and only as far as needed, which AND does not promise.
        format!("\nwhere case\n{}  else {condition} end", arms.concat())
    }
}
