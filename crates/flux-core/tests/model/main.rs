//! The ownership protocol, checked exhaustively: every order of events up to a last tick.
//!
//! ```text
//!  variants    which guard is removed, in which world, and what must then break
//!     |
//!  actions  -> engine    what an engine does; asks the real Observer and TrustWindow
//!     |          |
//!     |        database  the statements of flux-store, guard by guard
//!  properties            what must hold in every state
//! ```
//! The full protocol must keep every rule, and each removed guard must be missed: a variant that
//! should break and does not says that the model cannot see. `docs/model.md` explains it all.
//! `FLUX_MODEL=full` goes further than continuous integration does.
#![expect(clippy::print_stdout, reason = "each variant reports what it found")]

mod actions;
mod database;
mod engine;
mod properties;
mod report;
mod state;
mod variant;
mod variants;

use report::check;

#[test]
fn the_full_protocol_keeps_every_rule() {
    check(&variants::FULL);
}

#[test]
fn so_it_does_for_longer() {
    check(&variants::LONGER);
}

#[test]
fn so_it_does_with_three_engines() {
    check(&variants::THREE_ENGINES);
}

#[test]
fn so_it_does_when_the_database_fails_over_and_loses_writes() {
    check(&variants::FAILS_OVER);
}

#[test]
fn a_crashed_engine_is_convicted_in_time() {
    check(&variants::PROMPT);
}

#[test]
fn without_a_fence_strangers_commit_and_commits_repeat() {
    check(&variants::NO_FENCE);
}

#[test]
fn the_commit_number_alone_is_no_fence() {
    check(&variants::NO_OWNER_AND_EPOCH);
}

#[test]
fn an_epoch_without_its_owner_is_given_twice_by_a_failover() {
    check(&variants::NO_OWNER);
}

#[test]
fn without_the_commit_number_a_commit_in_doubt_is_stored_twice() {
    check(&variants::NO_COMMIT_NUMBER);
}

#[test]
fn without_the_commit_number_a_failover_leaves_a_gap() {
    check(&variants::NO_COMMIT_NUMBER_FAILOVER);
}

#[test]
fn a_conviction_must_compare_the_heartbeat_number() {
    check(&variants::NO_COMPARISON);
}

#[test]
fn without_a_deadline_actions_overlap_though_nobody_freezes() {
    check(&variants::NO_DEADLINE);
}

#[test]
fn trust_must_count_from_the_sending_of_a_heartbeat() {
    check(&variants::TRUST_FROM_ANSWER);
}

#[test]
fn observers_must_begin_anew_when_the_database_fails_over() {
    check(&variants::NO_RESET);
}

#[test]
fn owners_must_look_again_when_the_database_fails_over() {
    check(&variants::NO_REVALIDATION);
}

#[test]
fn the_dead_must_not_claim() {
    check(&variants::NO_ALIVE_CHECK);
}

#[test]
fn the_stamps_of_others_are_no_evidence() {
    check(&variants::STAMPS);
}

#[test]
fn judged_by_its_stamps_a_crashed_engine_is_convicted_late() {
    check(&variants::STAMPS_PROMPT);
}

#[test]
fn a_heartbeat_number_must_not_wrap() {
    check(&variants::NARROW_COUNTER);
}

#[test]
fn a_branch_whose_claim_was_not_answered_is_given_back() {
    check(&variants::LOST_CLAIM);
}

#[test]
fn without_giving_back_it_is_stranded() {
    check(&variants::NO_GIVING_BACK);
}
