//! Requests to stop.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use pintail_lake::{Call, Engine, EngineSettings};
use pintail_model::ErrorKind;

#[test]
fn a_request_to_stop_is_not_lost_while_a_statement_is_prepared() {
    // Reading so many numbers takes DuckDB a while before it begins to run.
    let numbers: Vec<String> = (0..50_000).map(|number| number.to_string()).collect();
    let endless = format!(
        "select count(*) from range(1000000000000) as numbers (i) where i not in ({})",
        numbers.join(", ")
    );
    for round in 0..10 {
        let settings = EngineSettings {
            deadline: Duration::from_secs(20),
            ..EngineSettings::default()
        };
        let engine = Engine::open(&settings).expect("an engine");
        let session = engine.session().expect("a session");
        let (stopper, both) = (engine.stopper(), Barrier::new(2));
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                let began = Instant::now();
                while began.elapsed() < Duration::from_micros(300) * round {
                    std::hint::spin_loop();
                }
                stopper.stop();
            });
            both.wait();
            session
                .query(Call::new("count for ever"), &endless)
                .expect_err("it was stopped")
        });
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    }
}
