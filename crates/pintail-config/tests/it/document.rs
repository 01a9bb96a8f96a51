//! YAML, its syntax errors and its variables.

use std::path::Path;

use insta::assert_snapshot;
use pintail_config::node::Entry;
use pintail_config::{Document, Node, Value};

use crate::environment;

/// Every scalar with its position and path, or the problems.
fn check(yaml: &str) -> String {
    let loaded = Document::parse(Path::new("test.yaml"), yaml, &environment)
        .and_then(|document| document.decode(|root, _| Some(scalars("", root).join("\n"))));
    loaded.unwrap_or_else(|problems| problems.to_string())
}

fn scalars(path: &str, node: &Node) -> Vec<String> {
    match &node.value {
        Value::List(items) => {
            let item = |(index, item)| scalars(&format!("{path}[{index}]"), item);
            items.iter().enumerate().flat_map(item).collect()
        }
        Value::Mapping(entries) => {
            let entry = |entry: &Entry| scalars(&format!("{path}.{}", entry.key), &entry.node);
            entries.iter().flat_map(entry).collect()
        }
        _ => vec![format!("{} {path} = {}", node.position, node.describe())],
    }
}

#[test]
fn every_node_knows_its_place() {
    assert_snapshot!(check("a: 1\nb:\n  - x\n  - {c: 'd'}\ne:\n"), @r"
    1:4 .a = the number `1`
    3:5 .b[0] = the text `x`
    4:9 .b[1].c = the text `d`
    5:2 .e = nothing
    ");
}

#[test]
fn scalars_keep_their_text() {
    assert_snapshot!(check("[007, 1_000, 'true', true, ~, 1e3, no, \"a\\nb\"]"), @r"
    1:2 [0] = the number `007`
    1:7 [1] = the text `1_000`
    1:14 [2] = the text `true`
    1:22 [3] = the boolean `true`
    1:28 [4] = nothing
    1:31 [5] = the number `1e3`
    1:36 [6] = the text `no`
    1:40 [7] = the text `a b`
    ");
}

#[test]
fn variables_are_put_in_and_remembered() {
    assert_snapshot!(
        check("host: ${DB_HOST}\nport: ${NONE:-5432}\nliteral: $${DB_HOST}\nempty: ${EMPTY}"), @r"
    1:7 .host = a value from `${DB_HOST}`
    2:7 .port = a value from `${NONE}`
    3:10 .literal = the text `${DB_HOST}`
    4:8 .empty = nothing
    ");
}

#[test]
fn a_missing_variable_is_named_where_it_stands() {
    assert_snapshot!(
        check("a:\n  - b: x${ERP_PASSWORD}y\n  - c: ${ERP_HOST}:${ERP_PORT}\n    d: ${oops"), @r"
    found 4 problems in test.yaml
    test.yaml:2:8: a[0].b: environment variable `ERP_PASSWORD` is not set
      hint: set it, or write a default: `${ERP_PASSWORD:-default}`
    test.yaml:3:8: a[1].c: environment variable `ERP_HOST` is not set
      hint: set it, or write a default: `${ERP_HOST:-default}`
    test.yaml:3:8: a[1].c: environment variable `ERP_PORT` is not set
      hint: set it, or write a default: `${ERP_PORT:-default}`
    test.yaml:4:8: a[1].d: a `${` is not closed
      hint: write `$${` where a `${` is meant literally
    ");
}

#[test]
fn duplicate_keys_are_all_reported() {
    assert_snapshot!(check("a: 1\nb:\n  c: 1\n  c: 2\na: 2\n"), @r"
    found 2 problems in test.yaml
    test.yaml:4:3: b: key `c` stands here twice, first in line 3
    test.yaml:5:1: key `a` stands here twice, first in line 1
    ");
}

#[test]
fn syntax_errors_have_a_place() {
    assert_snapshot!(check("a: [1, 2\nb: 3\n"), @"test.yaml:2:2: a[1]: this is not YAML: illegal placement of ':' indicator");
    assert_snapshot!(check("a: 1\n b: 2\n"), @"test.yaml:2:3: this is not YAML: mapping values are not allowed in this context");
    assert_snapshot!(check("a:\n\tb: 2\n"), @r"
    test.yaml:2:2: a: this is not YAML: tabs disallowed within this context (block indentation)
      hint: indent with spaces
    ");
    assert_snapshot!(check("a: 'open\n"), @"test.yaml:1:4: a: this is not YAML: while scanning a quoted scalar, found unexpected end of stream");
    assert_snapshot!(check("a: 1\nb\n"), @"test.yaml:3:1: this is not YAML: simple key expect ':'");
    assert_snapshot!(check("a: {b: ${DB_HOST}}"), @r"
    test.yaml:1:9: a: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
      hint: inside of `{…}` and `[…]` a `${VAR}` stands in quotes
    ");
    assert_snapshot!(check("a: @b"), @"test.yaml:1:4: a: this is not YAML: unexpected character: `@'");
}

#[test]
fn what_a_configuration_does_not_need_is_refused() {
    assert_snapshot!(check(""), @"test.yaml: the file is empty");
    assert_snapshot!(check("# nothing\n"), @"test.yaml: the file is empty");
    assert_snapshot!(check("a: 1\n---\nb: 2\n"), @"test.yaml:2:1: a second document begins here: a file holds one");
    assert_snapshot!(check("? [a]\n: 1\n"), @"test.yaml:1:3: a key has to be a text");
    assert_snapshot!(check("a: !secret x\n"), @"test.yaml:1:4: a: tags (`!…`) have no meaning here");
    assert_snapshot!(check(&"[".repeat(100)), @"test.yaml:1:65: values are nested deeper than 64 levels");
}

#[test]
fn aliases_repeat_a_value_within_limits() {
    assert_snapshot!(check("a: &x {b: 1}\npassword: &y hunter2\nc: *x\nd: *y\n"), @r"
    1:11 .a.b = the number `1`
    2:11 .password = a value that is not shown
    1:11 .c.b = the number `1`
    4:4 .d = a value that is not shown
    ");
    assert_snapshot!(check("a: &x [*x]\n"), @"test.yaml:1:8: a[0]: an alias refers to a value that contains it");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            below.trim_end_matches(", ")
        ));
    }
    assert_snapshot!(check(&bomb), @"test.yaml:4:45: a3[7]: aliases add too many values");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let check = |name: &str| {
        let problems = Document::read(&folder.path().join(name), &environment).expect_err(name);
        problems
            .to_string()
            .replace(&folder.path().display().to_string(), "<folder>")
    };
    std::fs::write(folder.path().join("binary.yaml"), [0xff, 0xfe, 0x80]).expect("a writable folder");
    assert_snapshot!(check("missing.yaml"), @"<folder>/missing.yaml: the file does not exist");
    assert_snapshot!(check(""), @"<folder>/: this is a folder, not a file");
    assert_snapshot!(check("binary.yaml"), @"<folder>/binary.yaml: the file is not UTF-8 text");
}

#[test]
fn a_tree_does_not_show_secrets_to_debug() {
    let yaml = "host: ${DB_HOST}\npassword: hunter2\nnested: {token: {a: [hunter2]}}\nurl: 'x://a:hunter2@b'";
    let document = Document::parse(Path::new("test.yaml"), yaml, &environment).expect("valid YAML");
    assert_snapshot!(format!("{:?}", document.root), @r#"{"host": a value from `${DB_HOST}`, "password": a value that is not shown, "nested": {"token": {"a": [a value that is not shown]}}, "url": a value that is not shown}"#);
}
