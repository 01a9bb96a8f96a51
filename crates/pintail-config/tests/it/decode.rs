//! Readers, alone and together.

use std::path::Path;

use insta::assert_snapshot;
use pintail_config::decode::{
    Decoder, boolean, duration, list, mapping, one_of, positive_number, scalar, size, text, whole_number,
};
use pintail_config::{Document, Node};

use crate::environment;

fn check<T: std::fmt::Debug>(yaml: &str, read: impl FnOnce(&Node, &mut Decoder) -> Option<T>) -> String {
    let document = Document::parse(Path::new("test.yaml"), yaml, &environment).expect("valid YAML");
    match document.decode(read) {
        Ok(value) => format!("{value:?}"),
        Err(problems) => problems.to_string(),
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Full,
    Delta,
}

#[derive(Debug)]
#[expect(dead_code, reason = "shown through Debug")]
struct Strategy {
    name: String,
    kind: Kind,
    enabled: bool,
    page_size: Option<u32>,
}

fn strategy(node: &Node, decoder: &mut Decoder) -> Option<Strategy> {
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", text);
    let kind = fields.required(
        "type",
        one_of("a strategy type", &[("full", Kind::Full), ("delta", Kind::Delta)]),
    );
    let enabled = fields.with_default("enabled", true, boolean);
    let page_size = fields.optional("page_size", whole_number(1..=1_000_000));
    fields.refuse("colour", "belongs to a paint shop");
    fields.finish();
    Some(Strategy {
        name: name?,
        kind: kind?,
        enabled,
        page_size,
    })
}

#[test]
fn a_mapping_reads_its_fields() {
    assert_snapshot!(check("{name: hourly, type: delta, page_size: 1_000}", strategy), @r#"Strategy { name: "hourly", kind: Delta, enabled: true, page_size: Some(1000) }"#);
    assert_snapshot!(check("{name: 7, type: full, enabled: false, page_size: }", strategy), @r#"Strategy { name: "7", kind: Full, enabled: false, page_size: None }"#);
}

#[test]
fn several_mistakes_are_reported_at_once() {
    let yaml = "\
- name: hourly
  type: dleta
  page_sise: 10
- nmae: daily
  type: full
  enabled: maybe
  page_size: 0
- text
- type: full
  colour: red
  page_size: [1]
";
    assert_snapshot!(check(yaml, list(strategy)), @r"
    found 9 problems in test.yaml
    test.yaml:2:9: [0].type: expected a strategy type, found the text `dleta`
      hint: did you mean `delta`?
    test.yaml:3:3: [0]: key `page_sise` is not known
      hint: did you mean `page_size`?
    test.yaml:4:3: [1]: key `nmae` is not known
      hint: did you mean `name`?
    test.yaml:6:12: [1].enabled: expected `true` or `false`, found the text `maybe`
    test.yaml:7:14: [1].page_size: expected a whole number from 1 to 1000000, found the number `0`
    test.yaml:8:3: [2]: expected a mapping, found the text `text`
    test.yaml:9:3: [3]: key `name` is missing
    test.yaml:10:3: [3]: key `colour` belongs to a paint shop
    test.yaml:11:14: [3].page_size: expected a whole number, found a list
    ");
}

#[test]
fn a_wrong_type_says_what_was_expected_and_found() {
    assert_snapshot!(check("[a]", text), @"test.yaml:1:1: expected a text, found a list");
    assert_snapshot!(check("true", text), @"test.yaml:1:1: expected a text, found the boolean `true`");
    assert_snapshot!(check("''", text), @"test.yaml:1:1: expected a text, found an empty one");
    assert_snapshot!(check("{}", scalar), @"test.yaml:1:1: expected a single value, found a mapping");
    assert_snapshot!(check("yes", boolean), @"test.yaml:1:1: expected `true` or `false`, found the text `yes`");
    assert_snapshot!(check("ten", whole_number(0_u32..)), @"test.yaml:1:1: expected a whole number, found the text `ten`");
    assert_snapshot!(check("1.5", whole_number(0_u32..)), @"test.yaml:1:1: expected a whole number, found the number `1.5`");
    assert_snapshot!(check("-1", whole_number(0_u32..)), @"test.yaml:1:1: expected a whole number of at least 0, found the number `-1`");
    assert_snapshot!(check("70000", whole_number(1_u16..)), @"test.yaml:1:1: expected a whole number that fits 16 bits, found the number `70000`");
    assert_snapshot!(check("0", positive_number), @"test.yaml:1:1: expected a number above 0, found the number `0`");
    assert_snapshot!(check("5 parsecs", duration), @"test.yaml:1:1: expected a duration like `5m`, `250ms` or `2h`, found the text `5 parsecs`");
    assert_snapshot!(check("a lot", size), @"test.yaml:1:1: expected a size like `64 MiB` or `2 GB`, found the text `a lot`");
    assert_snapshot!(check("a: 1", list(text)), @"test.yaml:1:1: expected a list, found a mapping");
    assert_snapshot!(check("[1]", mapping(|_, node, decoder| text(node, decoder))), @"test.yaml:1:1: expected a mapping, found a list");
    assert_snapshot!(check(&"x".repeat(100), boolean), @"test.yaml:1:1: expected `true` or `false`, found the text `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`");
}

#[test]
fn units_are_read() {
    assert_snapshot!(check("5m", duration), @"300s");
    assert_snapshot!(check("30", duration), @"30s");
    assert_snapshot!(check("64 MiB", size), @"64.0 MiB (67108864 bytes)");
    assert_snapshot!(check("0.5", positive_number), @"0.5");
    assert_snapshot!(check("'5432'", whole_number(1_u16..)), @"5432");
}

#[test]
fn a_value_from_a_variable_is_never_shown() {
    assert_snapshot!(check("${DB_PASSWORD}", whole_number(0_u32..)), @"test.yaml:1:1: expected a whole number, found a value from `${DB_PASSWORD}`");
    assert_snapshot!(check("x-${DB_PASSWORD}-${DB_HOST}", boolean), @"test.yaml:1:1: expected `true` or `false`, found a value from `${DB_PASSWORD}` and `${DB_HOST}`");
    assert_snapshot!(check("${DB_PASSWORD}", one_of("a word", &[("hunter", ()), ("other", ())])), @r"
    test.yaml:1:1: expected a word, found a value from `${DB_PASSWORD}`
      hint: known are `hunter` and `other`
    ");
    assert_snapshot!(check("${DB_PORT}", whole_number(0_u32..)), @"6432");
}

#[test]
fn a_value_that_is_secret_by_its_key_or_look_is_never_shown() {
    fn fields(node: &Node, decoder: &mut Decoder) -> Option<()> {
        let mut fields = decoder.fields(node)?;
        fields.optional("password", boolean);
        fields.optional("credentials", list(boolean));
        fields.optional("url", boolean);
        fields.finish();
        Some(())
    }
    let yaml =
        "password: hunter2\ncredentials: [hunter2]\nurl: postgres://a:hunter2@b\npostgres://a:hunter2@b: x";
    assert_snapshot!(check(yaml, fields), @r"
    found 4 problems in test.yaml
    test.yaml:1:11: password: expected `true` or `false`, found a value that is not shown
    test.yaml:2:15: credentials[0]: expected `true` or `false`, found a value that is not shown
    test.yaml:3:6: url: expected `true` or `false`, found a value that is not shown
    test.yaml:4:1: key `***` is not known
    ");
}
