//! The statements that every database is asked, for the tests that look at their plans.

use std::collections::BTreeMap;

use flux_core::branch::RunState;

use super::queries::{
    branches, cancel, claim, commit, definitions, end, history, lanes, members, operations,
    outlook, release, runs, signal, submit, takeover, throttles, wait,
};

/// Tables that grow with the work: none may be read from one end to the other.
pub(crate) const GROWING: [&str; 9] = [
    "branch",
    "run",
    "history",
    "ended_branch",
    "takeover",
    "signal",
    "arrival",
    "inbox",
    "subscription",
];

/// Those whose text is always the same.
const FIXED: [(&str, &str); 63] = [
    ("ready", claim::READY),
    ("signals", claim::SIGNALS_AFTER),
    ("arrivals", claim::ARRIVALS),
    ("leave suspect", claim::LEAVE),
    ("move", wait::MOVE),
    ("lanes", lanes::LANES),
    ("slots taken", lanes::TAKEN),
    ("common queue", lanes::COMMON),
    ("queue of a lane", lanes::OF_LANE),
    ("occupy slots", throttles::OCCUPY),
    ("holders of slots", throttles::HOLDERS),
    ("waiting for slots", throttles::WAITING),
    ("guard", commit::GUARD_RUN),
    ("guard of a wait", commit::GUARD_WAIT),
    ("guard of an end", commit::GUARD_END),
    ("last commit", commit::LAST_COMMIT),
    ("history row", commit::INSERT_HISTORY),
    ("wake signalled", wait::WAKE_SIGNALLED),
    ("wake joined", wait::WAKE_JOINED),
    ("child", wait::INSERT_CHILD),
    ("ended branch", end::INSERT_ENDED),
    ("close run", end::CLOSE_RUN),
    ("run of branch", end::RUN_OF_BRANCH),
    ("schedule after", end::SCHEDULE_AFTER),
    ("clear 0", end::CLEAR[0]),
    ("clear 1", end::CLEAR[1]),
    ("clear 2", end::CLEAR[2]),
    ("clear 3", end::CLEAR[3]),
    ("remove children", cancel::REMOVE_CHILDREN),
    ("remove of run", cancel::REMOVE_OF_RUN),
    ("child runs", cancel::CHILD_RUNS),
    ("cut loose 0", cancel::CUT_LOOSE[0]),
    ("cut loose 1", cancel::CUT_LOOSE[1]),
    ("forget arrivals", cancel::FORGET_ARRIVALS),
    ("release", release::RELEASE),
    ("release ready", release::RELEASE_READY),
    ("pause", operations::PAUSE),
    ("resume", operations::RESUME),
    ("expedite", operations::EXPEDITE),
    ("needed", operations::NEEDED),
    ("owned", branches::OWNED),
    ("branches of run", branches::OF_RUN),
    ("history of run", history::OF_RUN),
    ("takeovers", history::TAKEOVERS),
    ("record takeover", takeover::RECORD),
    ("count takeovers", takeover::COUNT),
    ("remove poisoned", takeover::REMOVE),
    ("fan out", signal::FAN_OUT_INBOX),
    ("inbox", signal::INSERT_INBOX),
    ("subscription", submit::INSERT_SUBSCRIPTION),
    ("arrival", end::INSERT_ARRIVAL),
    ("insert run", submit::INSERT_RUN),
    ("insert root", submit::INSERT_ROOT),
    ("request", submit::RUN_OF_REQUEST),
    ("defined", submit::DEFINED),
    ("state of run", signal::STATE_OF_RUN),
    ("consume", signal::CONSUME),
    ("insert signal", signal::INSERT_SIGNAL),
    ("purge", members::PURGE),
    ("known", members::KNOWN),
    ("leave", members::LEAVE),
    ("schedules", definitions::SCHEDULES),
    ("fire", definitions::FIRE),
];

/// By name.
pub(crate) fn statements() -> BTreeMap<&'static str, String> {
    let mut all: BTreeMap<&'static str, String> = BTreeMap::new();
    all.extend(FIXED.map(|(name, text)| (name, text.to_owned())));
    all.insert("cluster", members::cluster_text(""));
    all.insert("outlook", outlook::text(""));
    all.insert("members", members::members_text());
    all.insert("heartbeat", members::heartbeat_text());
    all.insert("show run", format!("{} WHERE id = ?", runs::SHOWN));
    all.insert("list", runs::list_text(&[]));
    all.insert("list ended", runs::list_text(&[RunState::Faulted]));
    all.insert("list open", runs::list_text(&[RunState::Running]));
    all
}
