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

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pintail_model::{CursorValue, KeyValue};

    use super::{Compared, Form, Keys};

    fn check(
        columns: &[&str],
        low: Option<&[i64]>,
        high: Option<&[i64]>,
        with_null: bool,
        form: Form,
    ) -> String {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let values = |bound: Option<&[i64]>| -> Option<Vec<KeyValue>> {
            let number = |number: &i64| KeyValue::Number(CursorValue::Integer(*number));
            bound.map(|bound| bound.iter().map(number).collect())
        };
        let (low, high) = (values(low), values(high));
        let keys = Keys {
            columns: &columns,
            low: low.as_deref(),
            high: high.as_deref(),
            with_null,
        };
        let compare = |column: &str, value: &KeyValue| Compared {
            column: column.to_owned(),
            value: value.to_string(),
        };
        keys.condition(form, &compare, &str::to_owned)
            .unwrap_or_else(|| "every row".to_owned())
    }

    #[test]
    fn one_column_is_compared_plainly() {
        assert_snapshot!(check(&["a"], Some(&[1]), Some(&[5]), false, Form::Rows), @"a >= 1 and a < 5");
        assert_snapshot!(check(&["a"], None, Some(&[5]), true, Form::Rows), @"(a < 5 or a is null)");
        assert_snapshot!(check(&["a"], None, None, true, Form::Rows), @"every row");
        assert_snapshot!(check(&["a"], None, None, false, Form::Rows), @"a is not null");
    }

    #[test]
    fn several_columns_are_compared_one_after_the_other() {
        assert_snapshot!(check(&["a", "b"], Some(&[1, 2]), Some(&[5, 6]), false, Form::Rows), @"(a, b) >= (1, 2) and (a, b) < (5, 6) and b is not null");
        assert_snapshot!(check(&["a", "b"], Some(&[1, 2]), None, false, Form::Steps), @"(a > 1 or (a = 1 and b >= 2)) and b is not null");
        assert_snapshot!(check(&["a", "b", "c"], None, Some(&[1, 2, 3]), true, Form::Steps), @"((a < 1 or (a = 1 and (b < 2 or (b = 2 and c < 3)))) or a is null or b is null or c is null)");
    }
}
