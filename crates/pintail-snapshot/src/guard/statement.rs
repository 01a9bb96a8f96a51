//! What a statement takes away.

use super::tokens::Token;
use crate::settings::SettingKey;

/// What a statement is, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It takes something away.
    Destroys(Destroyed),
    /// It begins a transaction.
    Begins,
    /// It ends one.
    Ends,
    /// It would make names mean something else, or hides what it does.
    Hides(&'static str),
    /// Anything else.
    Harmless,
}

/// What is taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destroyed {
    /// The setting that says whether it is kept first.
    pub(super) trigger: SettingKey,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A table, by the parts of its name.
    Tables(Vec<Vec<String>>),
    /// All tables of a schema.
    Schema(Vec<String>),
}

/// Reads a statement.
pub(super) fn meaning(tokens: &[Token]) -> Meaning {
    let tokens = without_explain(tokens);
    let first = |words: &[&str]| {
        words
            .iter()
            .enumerate()
            .all(|(index, word)| tokens.get(index).is_some_and(|token| token.keyword(word)))
    };
    if first(&["BEGIN"]) || first(&["START"]) {
        return Meaning::Begins;
    }
    if ["COMMIT", "END", "ROLLBACK", "ABORT"]
        .iter()
        .any(|word| first(&[word]))
    {
        return Meaning::Ends;
    }
    for (word, hides) in [
        ("ATTACH", "attaches another database"),
        ("DETACH", "detaches a database"),
        ("USE", "changes what names mean"),
        ("PREPARE", "hides what is run"),
        ("EXECUTE", "hides what is run"),
        ("IMPORT", "runs what a file says"),
    ] {
        if first(&[word]) {
            return Meaning::Hides(hides);
        }
    }
    let sets = first(&["SET"]) || first(&["RESET"]) || first(&["PRAGMA"]);
    let path = |token: &Token| token.keyword("search_path") || token.keyword("schema");
    if sets && tokens.iter().any(path) {
        return Meaning::Hides("changes what names mean");
    }
    destroyed(tokens).map_or(Meaning::Harmless, Meaning::Destroys)
}

/// `EXPLAIN ANALYZE` runs what it explains.
fn without_explain(tokens: &[Token]) -> &[Token] {
    match tokens {
        [explain, analyze, rest @ ..] if explain.keyword("EXPLAIN") && analyze.keyword("ANALYZE") => rest,
        tokens => tokens,
    }
}

fn destroyed(tokens: &[Token]) -> Option<Destroyed> {
    let mut reader = Reader { tokens };
    let one = |trigger, name| {
        Some(Destroyed {
            trigger,
            what: What::Tables(vec![name]),
        })
    };
    if reader.eat("DROP") {
        if reader.eat("SCHEMA") {
            reader.if_exists();
            return Some(Destroyed {
                trigger: SettingKey::DropTable,
                what: What::Schema(reader.name()?),
            });
        }
        if !reader.eat("TABLE") {
            return None;
        }
        reader.if_exists();
        let mut names = vec![reader.name()?];
        while reader.sign(',') {
            names.push(reader.name()?);
        }
        return Some(Destroyed {
            trigger: SettingKey::DropTable,
            what: What::Tables(names),
        });
    }
    if reader.eat("TRUNCATE") {
        reader.eat("TABLE");
        return one(SettingKey::TruncateTable, reader.name()?);
    }
    if reader.eat("ALTER") {
        if !reader.eat("TABLE") {
            return None;
        }
        reader.if_exists();
        let name = reader.name()?;
        if !reader.eat("DROP") {
            return None;
        }
        // `drop default`, `drop not null` and `drop constraint` take no values away; `drop constraint` DuckDB does not know.
        return one(SettingKey::DropColumn, name);
    }
    if reader.eat("CREATE") {
        if !(reader.eat("OR") && reader.eat("REPLACE") && reader.eat("TABLE")) {
            return None;
        }
        return one(SettingKey::ReplaceTable, reader.name()?);
    }
    delete(tokens)
}

/// A DELETE without WHERE, also behind a WITH.
fn delete(tokens: &[Token]) -> Option<Destroyed> {
    let mut depth = 0_i32;
    let mut begin = None;
    let mut condition = false;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth -= 1,
            token if depth == 0 && begin.is_none() && token.keyword("DELETE") => begin = Some(index + 1),
            token if depth == 0 && begin.is_some() && token.keyword("WHERE") => condition = true,
            _ => {}
        }
    }
    let verb = tokens
        .first()
        .is_some_and(|token| token.keyword("DELETE") || token.keyword("WITH"));
    if !verb || condition {
        return None;
    }
    let mut reader = Reader {
        tokens: &tokens[begin?..],
    };
    reader.eat("FROM");
    Some(Destroyed {
        trigger: SettingKey::DeleteAllRows,
        what: What::Tables(vec![reader.name()?]),
    })
}

struct Reader<'a> {
    tokens: &'a [Token],
}

impl Reader<'_> {
    fn eat(&mut self, keyword: &str) -> bool {
        let there = self.tokens.first().is_some_and(|token| token.keyword(keyword));
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    fn sign(&mut self, sign: char) -> bool {
        let there = self.tokens.first() == Some(&Token::Sign(sign));
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    fn if_exists(&mut self) {
        if self.eat("IF") {
            self.eat("NOT");
            self.eat("EXISTS");
        }
    }

    /// The parts of a name.
    fn name(&mut self) -> Option<Vec<String>> {
        let mut parts = Vec::new();
        loop {
            parts.push(self.tokens.first()?.name()?.to_owned());
            self.tokens = &self.tokens[1..];
            if !self.sign('.') {
                return Some(parts);
            }
        }
    }
}
