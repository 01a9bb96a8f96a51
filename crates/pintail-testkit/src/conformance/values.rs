//! A value arrives as it is, or the scan fails.

use pintail_lake::connector::{Doubt, DoubtfulScan, Scan, ScanRequest};
use pintail_lake::{Call, Session};
use pintail_model::Range;

use super::attached::{ALIAS, read_as, shown_text, whole_text};
use super::{Attached, Fixture, Sample, Unfit};

pub fn arrive_as_they_are(fixture: &dyn Fixture) {
    let samples = fixture.samples();
    for (index, sample) in samples.iter().enumerate() {
        fixture.execute(&table_of(
            fixture,
            index,
            sample.declared,
            sample.values.iter().map(|(literal, _)| *literal),
        ));
    }
    let attached = Attached::new(fixture.connector());
    for (index, sample) in samples.iter().enumerate() {
        let table = format!("sample_{index}");
        let value = attached
            .describe(&table)
            .column("value")
            .cloned()
            .expect("the table was made with it");
        assert_eq!(value.logical_type, Some(sample.home), "{sample:?}");
        for range in both_ways() {
            let request = attached.request(&table, range);
            check_sample(&attached, sample, &request);
        }
    }
}

/// A sample arrives as it is by either kind of scan, and no doubt about it is right.
fn check_sample(attached: &Attached, sample: &Sample, request: &ScanRequest) {
    let connector = attached.connector();
    check_scan(attached, sample, request, &connector.scan(ALIAS, request));
    if let Some(DoubtfulScan { scan, doubts }) = connector.doubtful_scan(ALIAS, request) {
        check_scan(attached, sample, request, &scan);
        for doubt in doubts {
            assert!(!is_right(attached, request, &doubt), "{sample:?}: {doubt:?}");
        }
    }
}

fn check_scan(attached: &Attached, sample: &Sample, request: &ScanRequest, scan: &Scan) {
    let sql = format!(
        "select typeof(value), value::varchar from ({}) order by id",
        scan.sql
    );
    let rows = attached
        .reading(|session| session.query(Call::new("read samples"), &sql))
        .unwrap_or_else(|error| panic!("{sample:?}: {}\n{}", whole_text(&error), scan.sql));
    let read: Vec<_> = rows.iter().map(|row| row.text(1)).collect();
    let expected: Vec<_> = sample
        .values
        .iter()
        .map(|(_, shown)| Some(*shown))
        .chain([None])
        .collect();
    assert_eq!(read, expected, "`{}`, {:?}", sample.declared, request.range);
    for row in &rows {
        let name = row.text(0).unwrap_or_default().to_lowercase();
        assert_eq!(
            name,
            sample.home.to_string(),
            "`{}`, {:?}",
            sample.declared,
            request.range
        );
    }
}

pub fn that_do_not_fit_fail_the_scan(fixture: &dyn Fixture) {
    let unfit = fixture.unfit();
    for (
        index,
        Unfit {
            declared, literal, ..
        },
    ) in unfit.iter().enumerate()
    {
        fixture.execute(&table_of(fixture, index, declared, [*literal].into_iter()));
    }
    let attached = Attached::new(fixture.connector());
    for (index, unfit) in unfit.iter().enumerate() {
        let description = attached.describe(&format!("sample_{index}"));
        let value = description
            .column("value")
            .cloned()
            .expect("the table was made with it");
        assert!(attached.connector().reads_as(&value, unfit.wanted), "{unfit:?}");
        for range in both_ways() {
            let request = ScanRequest {
                relation: description.name.clone().into(),
                columns: vec![read_as(value.clone(), unfit.wanted)],
                range,
            };
            let read = attached.reading(|session| attached.try_checksums(session, &request));
            let error = read.expect_err(&format!("{unfit:?}, {:?} arrived as something", request.range));
            let shown = shown_text(&error);
            let value = unfit.literal.trim_matches('\'');
            // A word such as NaN tells nothing about the data.
            let telling = value.contains(|letter: char| letter.is_ascii_digit());
            assert!(!telling || !shown.contains(value), "{unfit:?} is shown: {shown}");
            assert!(is_doubted(&attached, &request), "{unfit:?}, {:?}", request.range);
        }
    }
}

/// Whether a scan that leaves questions open fails, or leads to one whose answer is yes.
fn is_doubted(attached: &Attached, request: &ScanRequest) -> bool {
    let Some(DoubtfulScan { scan, doubts }) = attached.connector().doubtful_scan(ALIAS, request) else {
        return true;
    };
    let suspicious = |session: &Session, doubt: &Doubt| {
        // Not in the WHERE clause: from there it could be evaluated by the source.
        let sql = format!("select bool_or({}) from ({})", doubt.suspicious, scan.sql);
        session
            .query(Call::new("look for rows in doubt"), &sql)
            .map(|rows| rows[0].boolean(0))
    };
    doubts.iter().any(|doubt| {
        attached
            .reading(|session| suspicious(session, doubt))
            .map_or(true, |met| met && is_right(attached, request, doubt))
    }) || attached
        .reading(|session| session.query(Call::new("read a table"), &scan.sql))
        .is_err()
}

/// What the source says to a doubt, the same with the keys of all rows as without.
fn is_right(attached: &Attached, request: &ScanRequest, doubt: &Doubt) -> bool {
    let read = request
        .columns
        .iter()
        .find(|read| read.column.name == doubt.column);
    let column = &read.expect("a doubt is about a column that is read").source.name;
    let keys: Vec<i64> = (0..64).collect();
    let [all, named] = [None, Some(("id", keys.as_slice()))].map(|keys| {
        let sql = attached
            .connector()
            .confirm(ALIAS, &request.relation, &request.range, column, keys);
        let answer = attached.reading(|session| session.query(Call::new("ask about rows in doubt"), &sql));
        answer.unwrap_or_else(|error| panic!("{}\n{sql}", whole_text(&error)))[0].integer(0) > Some(0)
    });
    assert_eq!(all, named, "{doubt:?}");
    all
}

/// A whole table may be read in another way than a part of it.
fn both_ways() -> [Range; 2] {
    let all = Range::Key {
        column: "id".to_owned(),
        low: Some(0),
        high: None,
        with_null: false,
    };
    [Range::Whole, all]
}

/// One row for each literal, and one with NULL.
fn table_of(
    fixture: &dyn Fixture,
    index: usize,
    declared: &str,
    literals: impl Iterator<Item = &'static str>,
) -> String {
    let (integer, _) = fixture.integer_and_text();
    let rows: Vec<String> = literals
        .chain(["null"])
        .enumerate()
        .map(|(id, literal)| format!("({id}, {literal})"))
        .collect();
    format!(
        "create table sample_{index} (id {integer} {}, value {declared}); \
         insert into sample_{index} values {}",
        fixture.key_constraint(),
        rows.join(", ")
    )
}
