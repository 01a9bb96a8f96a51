//! Statements that make tables and indexes, as DuckDB writes them down: as far as one has to look into them to give the
//! thing another name.

/// Letters at the beginning of `sql` up to and with a name of one to three parts. `sql` begins with it.
fn name_end(sql: &str) -> usize {
    let mut quoted = false;
    for (at, letter) in sql.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' | ' ' if !quoted => return at,
            _ => {}
        }
    }
    sql.len()
}

/// A `CREATE TABLE` that makes `qualified` instead.
pub(crate) fn table_as(sql: &str, qualified: &str) -> String {
    let rest = sql.strip_prefix("CREATE TABLE ").unwrap_or(sql);
    format!("create table {qualified}{}", &rest[name_end(rest)..])
}

/// A `CREATE INDEX` that makes `name` on `qualified` instead. `name` is quoted.
pub(crate) fn index_as(sql: &str, name: &str, qualified: &str) -> String {
    let (unique, rest) = match sql.strip_prefix("CREATE UNIQUE INDEX ") {
        Some(rest) => ("unique ", rest),
        None => ("", sql.strip_prefix("CREATE INDEX ").unwrap_or(sql)),
    };
    let rest = &rest[name_end(rest)..];
    let rest = rest.strip_prefix(" ON ").unwrap_or(rest);
    format!(
        "create {unique}index {name} on {qualified}{}",
        &rest[name_end(rest)..]
    )
}

/// The columns of a `CREATE TABLE`: the name of each, and its definition. Constraints of the table appear as columns, too,
/// under names that stand in capitals.
pub(crate) fn columns(sql: &str) -> Vec<(String, &str)> {
    let rest = sql.strip_prefix("CREATE TABLE ").unwrap_or(sql);
    let rest = &rest[name_end(rest)..];
    let Some(inside) = rest.trim_end_matches(';').strip_prefix('(') else {
        return Vec::new();
    };
    parts(inside.strip_suffix(')').unwrap_or(inside))
        .into_iter()
        .map(|part| {
            let part = part.trim();
            let end = name_end(part);
            let name = &part[..end];
            let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
                Some(quoted) => quoted.replace("\"\"", "\""),
                None => name.to_owned(),
            };
            (name, &part[end..])
        })
        .collect()
}

/// Splits at commas outside of quotes and parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut depth, mut quote) = (0, 0_i32, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// A text without what stands in quotes.
pub(crate) fn unquoted(text: &str) -> String {
    let mut quote = None;
    text.chars()
        .filter(|letter| match (quote, letter) {
            (Some(open), letter) if *letter == open => {
                quote = None;
                false
            }
            (Some(_), _) => false,
            (None, '\'' | '"') => {
                quote = Some(*letter);
                false
            }
            _ => true,
        })
        .collect()
}

/// The default in the definition of a column, without its parentheses.
pub(crate) fn default_of(definition: &str) -> Option<&str> {
    const BEGIN: &str = " DEFAULT(";
    let begins = |at: &usize| {
        let quotes = |mark: char| definition[..*at].matches(mark).count().is_multiple_of(2);
        quotes('\'') && quotes('"')
    };
    let at = definition.match_indices(BEGIN).map(|(at, _)| at).find(begins)?;
    let rest = &definition[at + BEGIN.len()..];
    let (mut depth, mut quote) = (0_i32, None);
    for (end, letter) in rest.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return Some(rest[..end].trim()),
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    None
}
