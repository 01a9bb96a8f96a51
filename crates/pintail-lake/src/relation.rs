//! What rows are read from: a table as it is, or a query over it that adds columns of other tables, takes rows away,
//! computes columns, and makes one row of every group of rows.
//!
//! To everything else both are the same: rows with named columns. Scans, counts, questions and ranges name the columns
//! of a relation, so a connector only has to write `(select …) as s` where it would write the table:
//!
//! ```text
//! "public"."orders"
//! (select o."id" as "id", c."name" as "c.name" from "public"."orders" as o left join … where (o.status = 'active')) as s
//! ```
//!
//! The planners of all systems look through such a query, so that ranges of the main table's columns are served by
//! its indexes. Conditions and expressions are the user's SQL, in the source's own words. They stand inside of a SELECT
//! and in parentheses, and are run where nothing can be written.

use std::fmt;

use pintail_model::TableName;

/// What rows are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The table, with its schema resolved; of a query, its main table.
    pub table: TableName,
    /// The query, if it is one.
    pub query: Option<Query>,
}

/// A query over the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The name of the main table in conditions and expressions.
    pub alias: String,
    /// Tables that are joined to it, in order.
    pub joins: Vec<Join>,
    /// Conditions, all of which a row has to meet.
    pub filters: Vec<String>,
    /// The columns of the relation.
    pub outputs: Vec<Output>,
    /// Names of those columns by whose values rows become groups. Every other one is an aggregate then. None: every row
    /// is a row of the relation.
    pub group_by: Vec<String>,
}

/// A table that is joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The table, with its schema resolved.
    pub table: TableName,
    /// Its name in conditions and expressions.
    pub alias: String,
    /// The condition.
    pub on: String,
    /// Which rows stay that have no partner.
    pub kind: JoinKind,
}

/// Which rows of a join stay that have no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the tables before it.
    Left,
    /// Those of the joined table.
    Right,
    /// All.
    Full,
}

/// A column of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// What it is.
    pub value: OutputValue,
}

/// What a column of a query is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputValue {
    /// A column of a table.
    Column {
        /// The table's alias.
        alias: String,
        /// The column.
        column: String,
    },
    /// An expression.
    Expression(String),
}

/// How a system writes names.
pub struct Dialect<'a> {
    /// Quotes an identifier.
    pub identifier: &'a dyn Fn(&str) -> String,
    /// Names a table.
    pub table: &'a dyn Fn(&TableName) -> String,
}

impl Relation {
    /// The query in parentheses; `None` for a table as it is. `physical` are columns of the main table that its
    /// description does not name (the place of a row): they get into the relation under their own names.
    #[must_use]
    pub fn derived(&self, dialect: &Dialect<'_>, physical: &[&str]) -> Option<String> {
        let query = self.query.as_ref()?;
        let quoted = dialect.identifier;
        let main = alias(&query.alias, quoted);
        // A group does not lie anywhere.
        let physical = physical.iter().filter(|_| query.group_by.is_empty());
        let physical = physical.map(|column| format!("{main}.{column} as {column}"));
        let outputs = query.outputs.iter().map(|output| {
            let value = match &output.value {
                OutputValue::Column { alias: of, column } => {
                    format!("{}.{}", alias(of, quoted), quoted(column))
                }
                OutputValue::Expression(sql) => user_sql(sql),
            };
            format!("{value} as {}", quoted(&output.name))
        });
        let columns: Vec<String> = outputs.chain(physical).collect();
        let mut sql = format!(
            "(select {} from {} as {main}",
            columns.join(", "),
            (dialect.table)(&self.table)
        );
        for join in &query.joins {
            sql.push_str(&format!(
                " {} join {} as {} on {}",
                join.kind,
                (dialect.table)(&join.table),
                alias(&join.alias, quoted),
                user_sql(&join.on)
            ));
        }
        let filters: Vec<String> = query.filters.iter().map(|filter| user_sql(filter)).collect();
        if !filters.is_empty() {
            sql.push_str(&format!(" where {}", filters.join(" and ")));
        }
        // By position: a name may mean a column of the table as well as one of the query.
        let positions = query.outputs.iter().zip(1..);
        let positions = positions.filter(|(output, _)| query.group_by.contains(&output.name));
        let positions: Vec<String> = positions
            .map(|(_, position): (_, usize)| position.to_string())
            .collect();
        if !positions.is_empty() {
            sql.push_str(&format!(" group by {}", positions.join(", ")));
        }
        sql.push(')');
        Some(sql)
    }

    /// Whether its rows are groups of rows of the table.
    #[must_use]
    pub fn grouped(&self) -> bool {
        self.query
            .as_ref()
            .is_some_and(|query| !query.group_by.is_empty())
    }

    /// The expressions of a query, with the names of their columns.
    pub fn expressions(&self) -> impl Iterator<Item = (&str, &str)> {
        let outputs = self.query.iter().flat_map(|query| &query.outputs);
        outputs.filter_map(|output| match &output.value {
            OutputValue::Expression(sql) => Some((output.name.as_str(), sql.as_str())),
            OutputValue::Column { .. } => None,
        })
    }
}

impl From<TableName> for Relation {
    fn from(table: TableName) -> Self {
        Self { table, query: None }
    }
}

impl From<&TableName> for Relation {
    fn from(table: &TableName) -> Self {
        table.clone().into()
    }
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner => "inner",
            Self::Left => "left",
            Self::Right => "right",
            Self::Full => "full",
        })
    }
}

/// The user's own SQL knows an alias as the user wrote it. Quoted, a name with capitals would be another one to systems
/// that fold what is not quoted.
fn alias(name: &str, quoted: &dyn Fn(&str) -> String) -> String {
    let plain = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !name.starts_with(|letter: char| letter.is_ascii_digit());
    if plain && name.chars().any(|letter| letter.is_ascii_uppercase()) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// In parentheses, so that an `or` does not reach beyond it. A comment ends with its line.
fn user_sql(sql: &str) -> String {
    if sql.contains("--") || sql.contains('#') {
        format!("({sql}\n)")
    } else {
        format!("({sql})")
    }
}
