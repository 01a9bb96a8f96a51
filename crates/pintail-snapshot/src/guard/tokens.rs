//! SQL as a list of words, names and signs, cut into statements: as far as one has to read it to see what a statement takes away.

/// A part of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word that may be a keyword or a name.
    Word(String),
    /// A name in double quotes, without them.
    Name(String),
    /// A text, a number or a dollar-quoted text: what it says does not matter.
    Value,
    /// Anything else.
    Sign(char),
}

impl Token {
    /// Whether it is this keyword.
    pub(super) fn keyword(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// The name that it stands for, where a name is expected.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// A statement: its text, and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
}

/// Cuts a text into statements. One that consists of comments only is none.
pub(super) fn statements(sql: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut lexer = Lexer { sql, at: 0 };
    let mut tokens = Vec::new();
    let mut begin = 0;
    loop {
        let token = lexer.token();
        if matches!(token, None | Some(Token::Sign(';'))) {
            let end = if token.is_some() { lexer.at - 1 } else { lexer.at };
            let found = std::mem::take(&mut tokens);
            if !found.is_empty() {
                statements.push(Statement {
                    text: sql[begin..end].trim(),
                    tokens: found,
                });
            }
            begin = lexer.at;
        }
        match token {
            None => return statements,
            Some(Token::Sign(';')) => {}
            Some(token) => tokens.push(token),
        }
    }
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.sql[self.at..]
    }

    fn token(&mut self) -> Option<Token> {
        self.skip_blanks_and_comments();
        let rest = self.rest();
        let first = rest.chars().next()?;
        let second = rest.chars().nth(1);
        match first {
            '"' => {
                let name = self.quoted('"', false);
                Some(Token::Name(name))
            }
            '\'' => {
                self.quoted('\'', false);
                Some(Token::Value)
            }
            'e' | 'E' if second == Some('\'') => {
                self.at += 1;
                self.quoted('\'', true);
                Some(Token::Value)
            }
            '$' if self.dollar_quoted() => Some(Token::Value),
            letter if letter.is_alphabetic() || letter == '_' || !letter.is_ascii() => {
                let end = rest
                    .find(|letter: char| {
                        letter.is_ascii() && !letter.is_ascii_alphanumeric() && !"_$".contains(letter)
                    })
                    .unwrap_or(rest.len());
                self.at += end;
                Some(Token::Word(rest[..end].to_owned()))
            }
            digit if digit.is_ascii_digit() => {
                let end = rest
                    .find(|letter: char| !letter.is_ascii_alphanumeric() && !"_.".contains(letter))
                    .unwrap_or(rest.len());
                self.at += end;
                Some(Token::Value)
            }
            sign => {
                self.at += sign.len_utf8();
                Some(Token::Sign(sign))
            }
        }
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("--") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                self.skip_comment();
            } else {
                return;
            }
        }
    }

    /// Comments of this kind may hold others.
    fn skip_comment(&mut self) {
        let mut depth = 0_u32;
        while !self.rest().is_empty() {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else {
                self.at += self.rest().chars().next().map_or(1, char::len_utf8);
            }
        }
    }

    fn quoted(&mut self, quote: char, escapes: bool) -> String {
        let mut text = String::new();
        let mut letters = self.rest().char_indices().skip(1).peekable();
        while let Some((at, letter)) = letters.next() {
            if escapes && letter == '\\' {
                letters.next();
            } else if letter != quote {
                text.push(letter);
            } else if letters.peek().is_some_and(|(_, next)| *next == quote) {
                letters.next();
                text.push(quote);
            } else {
                self.at += at + quote.len_utf8();
                return text;
            }
        }
        // It is never closed: DuckDB is the one to say so.
        self.at = self.sql.len();
        text
    }

    /// Skips `$$ … $$` or `$tag$ … $tag$`, if it stands there.
    fn dollar_quoted(&mut self) -> bool {
        let rest = self.rest();
        let Some(end) = rest[1..].find('$').map(|end| end + 2) else {
            return false;
        };
        let mark = &rest[..end];
        let tag = &mark[1..mark.len() - 1];
        if !tag
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_')
            || tag.starts_with(|letter: char| letter.is_ascii_digit())
        {
            return false;
        }
        let close = rest[end..].find(mark).map(|close| end + close + mark.len());
        self.at += close.unwrap_or(rest.len());
        true
    }
}
