//! Ranges of keys as conditions: one column, or several that are compared one after the other.

use pintail_model::KeyValue;

/// A column beside a value, each as the system compares them.
pub(crate) struct Compared {
    /// The column.
    pub(crate) column: String,
    /// The value.
    pub(crate) value: String,
}

/// How a system compares several columns so that an index serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `(a, b) >= (1, 2)`.
    Rows,
    /// `(a > 1 or (a = 1 and b >= 2))`.
    Steps,
}

/// A range of keys.
pub(crate) struct Keys<'a> {
    pub(crate) columns: &'a [String],
    pub(crate) low: Option<&'a [KeyValue]>,
    pub(crate) high: Option<&'a [KeyValue]>,
    pub(crate) with_null: bool,
}

impl Keys<'_> {
    /// The condition, or `None` if it takes every row. `compare` writes a column and a value, and `name` a column to be
    /// asked for NULL.
    pub(crate) fn condition(
        &self,
        form: Form,
        compare: &dyn Fn(&str, &KeyValue) -> Compared,
        name: &dyn Fn(&str) -> String,
    ) -> Option<String> {
        let pairs = |values: &[KeyValue]| -> Vec<Compared> {
            let columns = self.columns.iter().zip(values);
            columns.map(|(column, value)| compare(column, value)).collect()
        };
        let mut bounds: Vec<String> = Vec::new();
        bounds.extend(self.low.map(|low| bound(&pairs(low), ">=", form)));
        bounds.extend(self.high.map(|high| bound(&pairs(high), "<", form)));
        let null = |column: &String| format!("{} is null", name(column));
        if self.with_null {
            if bounds.is_empty() {
                return None;
            }
            let nulls: Vec<String> = self.columns.iter().map(null).collect();
            return Some(format!("({} or {})", bounds.join(" and "), nulls.join(" or ")));
        }
        // A bound on the first column is never true of NULL, but one on the others need not be looked at.
        let unbound = usize::from(!bounds.is_empty());
        let given = self.columns.iter().skip(unbound);
        bounds.extend(given.map(|column| format!("{} is not null", name(column))));
        Some(bounds.join(" and "))
    }
}

/// Numbers as a list with commas.
pub(crate) fn listed(values: &[i64]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(",")
}

fn bound(pairs: &[Compared], operator: &str, form: Form) -> String {
    match pairs {
        [] => "true".to_owned(),
        [Compared { column, value }] => format!("{column} {operator} {value}"),
        [Compared { column, value }, rest @ ..] if form == Form::Steps => {
            let strictly = operator.trim_end_matches('=');
            let rest = bound(rest, operator, form);
            format!("({column} {strictly} {value} or ({column} = {value} and {rest}))")
        }
        several => {
            let list = |part: fn(&Compared) -> &String| {
                let parts: Vec<&str> = several.iter().map(|pair| part(pair).as_str()).collect();
                format!("({})", parts.join(", "))
            };
            format!(
                "{} {operator} {}",
                list(|pair| &pair.column),
                list(|pair| &pair.value)
            )
        }
    }
}
