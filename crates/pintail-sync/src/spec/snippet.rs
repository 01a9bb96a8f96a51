//! SQL of the user inside of a statement of ours: a condition or an expression.
//!
//! What it says is the source's to judge. Here it is only made sure that it is one piece: with quotes and parentheses
//! that end where they began, and no second statement.

use pintail_config::Node;
use pintail_config::decode::{Decoder, text};

/// Reads a condition.
pub(super) fn snippet(node: &Node, decoder: &mut Decoder) -> Option<String> {
    let sql = text(node, decoder)?;
    check(&sql, node, decoder)?;
    Some(sql)
}

/// Reports what is no piece of SQL.
pub(super) fn check(sql: &str, node: &Node, decoder: &mut Decoder) -> Option<()> {
    match one_piece(sql) {
        Ok(()) => Some(()),
        Err(flaw) => {
            decoder.problem_with_hint(
                node.position,
                format!("this is no condition or expression: {flaw}"),
                Some("it stands in parentheses in a SELECT of the source".to_owned()),
            );
            None
        }
    }
}

/// Whether a text ends what it begins, or why not.
fn one_piece(sql: &str) -> Result<(), &'static str> {
    let mut depth = 0_u32;
    let mut rest = sql.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            // A doubled quote ends one text and begins the next, which comes to the same.
            '\'' | '"' | '`' => {
                let end = rest.by_ref().find(|other| *other == letter);
                end.ok_or("a quote is not closed")?;
            }
            '-' if rest.peek() == Some(&'-') => {
                rest.by_ref().find(|other| *other == '\n');
            }
            '/' if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                rest.next();
                let end = rest.by_ref().find(|other| {
                    let before = std::mem::replace(&mut last, *other);
                    before == '*' && *other == '/'
                });
                end.ok_or("a comment is not closed")?;
            }
            '(' => depth += 1,
            ')' => {
                let outer = depth.checked_sub(1);
                depth = outer.ok_or("a parenthesis is closed that was not opened")?;
            }
            ';' => return Err("a `;` ends a statement"),
            _ => {}
        }
    }
    match depth {
        0 => Ok(()),
        _ => Err("a parenthesis is not closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::one_piece;

    #[test]
    fn a_piece_of_sql_ends_what_it_begins() {
        for fine in [
            "o.status = 'active'",
            "name = 'it''s (fine'",
            "(a = 1 or b = 2) and \"odd;name\" is null",
            "a = 1 -- only these (",
            "a /* (; */ = 1",
        ] {
            assert_eq!(one_piece(fine), Ok(()), "{fine}");
        }
        assert_eq!(one_piece("a = 'b"), Err("a quote is not closed"));
        assert_eq!(
            one_piece("true) or (true"),
            Err("a parenthesis is closed that was not opened")
        );
        assert_eq!(one_piece("lower(a"), Err("a parenthesis is not closed"));
        assert_eq!(
            one_piece("true; drop table orders"),
            Err("a `;` ends a statement")
        );
        assert_eq!(one_piece("a /* b"), Err("a comment is not closed"));
    }
}
