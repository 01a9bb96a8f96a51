//! The property of aggregates: after any history, the destination is what computing everything anew gives.

use pintail_sync::plan::Task;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{differences, shop};

/// A change of the source.
#[derive(Debug, Clone)]
enum Step {
    Insert {
        user: u8,
        day: u8,
        amount: u16,
    },
    /// May move the row to another group, or not.
    Update {
        order: u8,
        user: u8,
        day: u8,
        amount: u16,
    },
    /// Without moving the cursor.
    Quietly {
        order: u8,
        user: u8,
    },
    Delete {
        order: u8,
    },
}

/// How the destination is brought up to date.
#[derive(Debug, Clone, Copy)]
enum Sync {
    Delta,
    Hash,
    Full,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, day) = (0_u8..5, 0_u8..4);
    prop_oneof![
        3 => (user.clone(), day.clone(), 0_u16..1000).prop_map(|(user, day, amount)| Step::Insert { user, day, amount }),
        4 => (0_u8..30, user.clone(), day, 0_u16..1000)
            .prop_map(|(order, user, day, amount)| Step::Update { order, user, day, amount }),
        1 => (0_u8..30, user).prop_map(|(order, user)| Step::Quietly { order, user }),
        2 => (0_u8..30).prop_map(|order| Step::Delete { order }),
    ]
}

fn rounds() -> impl Strategy<Value = Vec<(Vec<Step>, Sync)>> {
    let sync = prop_oneof![6 => Just(Sync::Delta), 1 => Just(Sync::Hash), 1 => Just(Sync::Full)];
    prop::collection::vec((prop::collection::vec(step(), 0..8), sync), 2..6)
}

fn sql(step: &Step, at: &str, next: &mut u32) -> String {
    match step {
        Step::Insert { user, day, amount } => {
            *next += 1;
            format!(
                "insert into orders values ({next}, {user}, {amount}, '2024-01-0{}', '{at}')",
                day + 1
            )
        }
        Step::Update {
            order,
            user,
            day,
            amount,
        } => format!(
            "update orders set user_id = {user}, order_date = '2024-01-0{}', amount = {amount}, updated_at = '{at}' where \
             order_id = {order}",
            day + 1
        ),
        Step::Quietly { order, user } => {
            format!("update orders set user_id = {user} where order_id = {order}")
        }
        Step::Delete { order } => format!("delete from orders where order_id = {order}"),
    }
}

#[test]
fn after_any_history_the_groups_are_those_of_a_full_computation() {
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&rounds(), |rounds| {
        let mut shop = shop(
            "select id, id % 5, id, timestamp '2024-01-01' + to_days((id % 4)::integer), '2024-01-15 09:00:00+00' \
             from range(20) as ids (id)",
        );
        shop.allow_deletes = true;
        shop.run(None);
        let mut next = 19;
        for (minute, (steps, sync)) in rounds.iter().enumerate() {
            let at = format!("2024-01-15 14:{minute:02}:30+00");
            let changes: Vec<String> = steps.iter().map(|step| sql(step, &at, &mut next)).collect();
            let quiet = steps.iter().any(|step| matches!(step, Step::Quietly { .. }));
            let deleted = steps.iter().any(|step| matches!(step, Step::Delete { .. }));
            shop.change(&changes.join("; "));
            shop.later(60);
            shop.task = Task::Sync;
            match sync {
                Sync::Delta => {
                    let report = shop.run(None);
                    prop_assert_eq!(report.kind.as_str(), "groups", "{}", report.reason);
                    // What moves no cursor, the pass finds.
                    if quiet || deleted {
                        shop.task = Task::Deletes;
                        shop.run(None);
                    }
                }
                Sync::Hash => drop(shop.run(Some("compare"))),
                Sync::Full => drop(shop.run(Some("everything"))),
            }
            prop_assert_eq!(differences(&shop), "0", "round {}", minute);
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
