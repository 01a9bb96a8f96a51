//! What of an error's text is shown.

use pintail_lake::{Call, Engine, EngineSettings, Error};
use pintail_model::{ErrorKind, Secret};

/// An error whose text repeats `words`, which a server may have said.
fn error(engine: &Engine, words: &str) -> Error {
    let sql = format!("from read_parquet({})", pintail_lake::quote::literal(words));
    let session = engine.session().unwrap();
    session.query(Call::new("read a file"), &sql).unwrap_err()
}

fn shown(error: &Error) -> String {
    let source = std::error::Error::source(error).expect("DuckDB's answer");
    format!("{error}: {source} {source:?}")
}

#[test]
fn the_answer_of_a_server_shows_names_and_no_values() {
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    for (said, kept) in [
        (
            r#"x: ERROR:  relation "orders" has a value "geheim" in it"#,
            r#"relation "orders""#,
        ),
        (
            "x: ERROR:  invalid byte sequence for encoding: 0x67 0x68\nDETAIL:  geheim",
            "invalid byte sequence",
        ),
        (
            "x: FATAL:  no\nCONTEXT:  COPY orders, line 1: geheim",
            "FATAL: no",
        ),
        (
            "x: FEHLER:  ungültige Eingabesyntax: »geheim«",
            "the server refused it",
        ),
        (
            "x: ERREUR:  syntaxe en entrée invalide : « geheim »",
            "the server refused it",
        ),
        (
            "x: ОШИБКА:  неверный синтаксис: \"geheim\"",
            "the server refused it",
        ),
        ("x: 错误:  无效的输入语法 \"geheim\"", "the server refused it"),
        (
            r#"Failed to prepare COPY "COPY (select 'geheim' where "a": 1)": no"#,
            "no",
        ),
    ] {
        let shown = shown(&error(&engine, said));
        for value in ["geheim", "0x6", "Eingabe", "DETAIL", "CONTEXT"] {
            assert!(!shown.contains(value), "{shown}");
        }
        assert!(shown.contains(kept), "{shown}");
    }
}

#[test]
fn a_secret_is_struck_out_in_every_spelling() {
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    engine.protect(&Secret::new(r"it's \ odd"));
    for spelling in [
        r"it's \ odd",
        r"it''s \ odd",
        r"it's \\ odd",
        r"it\'s \\ odd",
        r"it\''s \\ odd",
    ] {
        let error = error(&engine, spelling);
        let Error::Statement { source, .. } = &error else {
            panic!("{error:?}")
        };
        // What follows is the statement of this test, with one more layer of quotes.
        let text = source.raw_text().split("LINE").next().unwrap();
        assert!(!text.contains("odd") && text.contains("***"), "{text}");
    }
}

#[test]
fn a_secret_that_is_a_word_of_duckdb_changes_no_class() {
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    for word in ["IO Error", "Error", "No files found"] {
        engine.protect(&Secret::new(word));
        let error = error(&engine, "nowhere.parquet");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(!shown(&error).contains(word), "{error:?}");
    }
}
