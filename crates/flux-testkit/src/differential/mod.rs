//! The same operations on two stores give the same answers.
//!
//! ```text
//!   op.rs      an operation, and how to make random ones
//!   make.rs    what an operation hands to a store
//!   world.rs   a store with what its callers remember; applies operations, renders answers
//! ```
//!
//! Operations name what they work on by position ("the third claim"), so that they mean the same
//! to every store, also where a store is free to choose: numbers of signals, ties between equally
//! urgent branches, the order within a batch.

mod make;
mod op;
mod world;

use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

use crate::store_suite::Ports;
use world::World;

/// Names the number of random sequences, instead of what a test asks for.
const CASES_VARIABLE: &str = "FLUX_DIFFERENTIAL_CASES";

/// The whole content is compared after this many operations, and at the end.
const VIEW_EVERY: usize = 10;

/// Applies so many random sequences of operations to the stores that `fresh` opens, the first of which is
/// the model, and panics where one answers differently. `source` is the `file!()` of the test:
/// sequences that failed are kept beside it and tried first the next time.
pub fn check(source: &'static str, cases: u32, fresh: impl AsyncFn() -> Vec<Ports>) {
    let wanted = std::env::var(CASES_VARIABLE).ok();
    let cases = wanted.map_or(cases, |cases| {
        let number = cases.parse();
        number.unwrap_or_else(|_| panic!("{CASES_VARIABLE}={cases} is no number"))
    });
    let persistence = FileFailurePersistence::WithSource("regressions");
    let config = Config {
        cases,
        source_file: Some(source),
        failure_persistence: Some(Box::new(persistence)),
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let judged = TestRunner::new(config).run(&op::sequences(), |ops| {
        runtime.block_on(async { compare(fresh().await, &ops).await })
    });
    if let Err(failure) = judged {
        panic!("{failure}");
    }
}

async fn compare(stores: Vec<Ports>, ops: &[op::Op]) -> Result<(), TestCaseError> {
    let mut worlds: Vec<World> = stores.into_iter().map(World::new).collect();
    for world in &mut worlds {
        world.begin().await;
    }
    for (step, op) in ops.iter().enumerate() {
        let mut answers = Vec::new();
        for world in &mut worlds {
            answers.push(world.apply(step, op).await);
        }
        agree(&answers, || format!("step {step}, {op:?}"))?;
        if step % VIEW_EVERY == 0 || step + 1 == ops.len() {
            let mut views = Vec::new();
            for world in &worlds {
                views.push(world.view().await);
            }
            agree(&views, || format!("the content after step {step}, {op:?}"))?;
        }
    }
    Ok(())
}

fn agree(answers: &[String], about: impl Fn() -> String) -> Result<(), TestCaseError> {
    let model = &answers[0];
    for (store, answer) in answers.iter().enumerate().skip(1) {
        if answer != model {
            let lines = model.lines().zip(answer.lines());
            let differing = lines.into_iter().find(|(model, store)| model != store);
            // Else one of them says more.
            let (model, answer) = differing.unwrap_or((model, answer));
            let text = format!(
                "store {store} differs in {}\n  model: {model}\n  store: {answer}",
                about()
            );
            return Err(TestCaseError::fail(text));
        }
    }
    Ok(())
}
