//! Types in DuckDB's spelling, taken apart: `STRUCT("a b" HUGEINT[], c ENUM('x', 'y'))`.

use std::fmt;

use pintail_lake::quote::identifier;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SqlType {
    /// One without others inside, as DuckDB spells it: `DECIMAL(10,2)`, `ENUM('a', 'b')`.
    Plain(String),
    List(Box<SqlType>),
    Array(Box<SqlType>, u64),
    Struct(Vec<Field>),
    Union(Vec<Field>),
    Map(Box<SqlType>, Box<SqlType>),
}

/// A field of a struct, or a member of a union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) field_type: SqlType,
}

impl SqlType {
    /// `None` for a spelling that DuckDB does not use for the column of a table.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let parsed = reader.whole_type()?;
        reader.rest.is_empty().then_some(parsed)
    }

    /// The same type with every plain part replaced, and every part that `whole` knows better.
    pub(crate) fn map(&self, whole: &impl Fn(&Self) -> Option<Self>) -> Self {
        if let Some(replaced) = whole(self) {
            return replaced;
        }
        let fields = |fields: &[Field]| -> Vec<Field> {
            fields
                .iter()
                .map(|field| Field {
                    name: field.name.clone(),
                    field_type: field.field_type.map(whole),
                })
                .collect()
        };
        match self {
            Self::Plain(name) => Self::Plain(name.clone()),
            Self::List(inner) => Self::List(Box::new(inner.map(whole))),
            Self::Array(inner, length) => Self::Array(Box::new(inner.map(whole)), *length),
            Self::Struct(inner) => Self::Struct(fields(inner)),
            Self::Union(inner) => Self::Union(fields(inner)),
            Self::Map(key, value) => Self::Map(Box::new(key.map(whole)), Box::new(value.map(whole))),
        }
    }

    /// Whether `is` holds for the type or any type in it.
    pub(crate) fn any(&self, is: &impl Fn(&Self) -> bool) -> bool {
        is(self)
            || match self {
                Self::Plain(_) => false,
                Self::List(inner) | Self::Array(inner, _) => inner.any(is),
                Self::Struct(fields) | Self::Union(fields) => {
                    fields.iter().any(|field| field.field_type.any(is))
                }
                Self::Map(key, value) => key.any(is) || value.any(is),
            }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, word: &str, fields: &[Field]| {
            let list: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {}", identifier(&field.name), field.field_type))
                .collect();
            write!(f, "{word}({})", list.join(", "))
        };
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::List(inner) => write!(f, "{inner}[]"),
            Self::Array(inner, length) => write!(f, "{inner}[{length}]"),
            Self::Struct(inner) => fields(f, "STRUCT", inner),
            Self::Union(inner) => fields(f, "UNION", inner),
            Self::Map(key, value) => write!(f, "MAP({key}, {value})"),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn whole_type(&mut self) -> Option<SqlType> {
        let mut read = self.without_brackets()?;
        while self.eat("[") {
            let end = self.rest.find(']')?;
            let length = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            read = match length {
                "" => SqlType::List(Box::new(read)),
                length => SqlType::Array(Box::new(read), length.parse().ok()?),
            };
        }
        Some(read)
    }

    fn without_brackets(&mut self) -> Option<SqlType> {
        let word = if self.rest.starts_with('"') {
            let before = self.rest;
            self.quoted('"')?;
            &before[..before.len() - self.rest.len()]
        } else {
            let end = self.rest.find(['(', ')', ',', '[']).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            word.trim()
        };
        if word.is_empty() {
            return None;
        }
        if !self.rest.starts_with('(') {
            return Some(SqlType::Plain(word.to_owned()));
        }
        match word {
            "STRUCT" => self.fields().map(SqlType::Struct),
            "UNION" => self.fields().map(SqlType::Union),
            "MAP" => {
                self.eat("(");
                let key = self.whole_type()?;
                let comma = self.eat(",");
                self.blanks();
                let value = self.whole_type()?;
                (comma && self.eat(")")).then(|| SqlType::Map(Box::new(key), Box::new(value)))
            }
            _ => {
                let modifiers = self.parentheses()?;
                Some(SqlType::Plain(format!("{word}{modifiers}")))
            }
        }
    }

    fn fields(&mut self) -> Option<Vec<Field>> {
        self.eat("(");
        let mut fields = Vec::new();
        loop {
            self.blanks();
            let name = if self.rest.starts_with('"') {
                self.quoted('"')?
            } else {
                let end = self.rest.find(' ')?;
                let (name, rest) = self.rest.split_at(end);
                self.rest = rest;
                name.to_owned()
            };
            self.blanks();
            let field_type = self.whole_type()?;
            fields.push(Field { name, field_type });
            if !self.eat(",") {
                break;
            }
        }
        self.eat(")").then_some(fields)
    }

    /// What stands in quotes, without them.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1).peekable();
        while let Some((at, letter)) = letters.next() {
            if letter != quote {
                text.push(letter);
            } else if letters.peek().is_some_and(|(_, next)| *next == quote) {
                letters.next();
                text.push(quote);
            } else {
                self.rest = &self.rest[at + quote.len_utf8()..];
                return Some(text);
            }
        }
        None
    }

    /// What stands in parentheses, with them.
    fn parentheses(&mut self) -> Option<&'a str> {
        let before = self.rest;
        let mut depth = 0_u32;
        loop {
            match self.rest.chars().next()? {
                quote @ ('\'' | '"') => {
                    self.quoted(quote)?;
                    continue;
                }
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            let width = self.rest.chars().next().map_or(1, char::len_utf8);
            self.rest = &self.rest[width..];
            if depth == 0 {
                return Some(&before[..before.len() - self.rest.len()]);
            }
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }
}
