//! What a client has been told of a run's history, and the token that says it.

use crate::check::token;
use flux_core::ids::BranchId;
use flux_core::ports::runs::HistoryRecord;
use prost::encoding::{decode_varint, encode_varint};
use std::collections::{BTreeMap, HashMap, VecDeque};
use uuid::Uuid;

/// The kind of token.
pub(super) const TOKEN: u8 = 3;

/// Of each branch, the commit number and epoch told last. Both only grow: a takeover or recovery keeps
/// the commit number and raises the epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told(BTreeMap<Uuid, (u64, u64)>);

impl Told {
    /// What a token says after its version; `None` for what no token says.
    pub fn parse(mut says: &[u8]) -> Option<Told> {
        let mut told = BTreeMap::new();
        while !says.is_empty() {
            let (id, rest) = says.split_at_checked(16)?;
            says = rest;
            let id = Uuid::from_slice(id).ok()?;
            let commit_no = decode_varint(&mut says).ok()?;
            let epoch = decode_varint(&mut says).ok()?;
            told.insert(id, (commit_no, epoch));
        }
        Some(Told(told))
    }

    /// The token that says it.
    pub fn token(&self) -> String {
        let mut says = Vec::with_capacity(self.0.len() * 20);
        for (id, (commit_no, epoch)) in &self.0 {
            says.extend_from_slice(id.as_bytes());
            encode_varint(*commit_no, &mut says);
            encode_varint(*epoch, &mut says);
        }
        token(TOKEN, &says)
    }

    /// This was told.
    pub fn tell(&mut self, record: &HistoryRecord) {
        self.0.insert(record.branch.uuid(), place(record));
    }

    /// What was not told yet: about in the order of time, but each branch in its own order, whatever
    /// the clocks of its engines said.
    pub fn missing(&self, history: Vec<HistoryRecord>) -> Vec<HistoryRecord> {
        let is_new = |record: &HistoryRecord| {
            let last = self.0.get(&record.branch.uuid());
            last.is_none_or(|last| place(record) > *last)
        };
        let mut new: Vec<HistoryRecord> = history.into_iter().filter(is_new).collect();
        let slots: Vec<BranchId> = new.iter().map(|record| record.branch).collect();
        new.sort_by_key(place);
        let mut queues: HashMap<BranchId, VecDeque<HistoryRecord>> = HashMap::new();
        for record in new {
            queues.entry(record.branch).or_default().push_back(record);
        }
        let next = |branch| queues.get_mut(&branch).and_then(VecDeque::pop_front);
        slots.into_iter().filter_map(next).collect()
    }
}

fn place(record: &HistoryRecord) -> (u64, u64) {
    (record.commit_no.get(), record.epoch.get())
}

#[cfg(test)]
mod tests {
    use super::Told;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use flux_core::clock::Timestamp;
    use flux_core::ids::{BranchId, CommitNo, Epoch};
    use flux_core::ports::runs::HistoryRecord;
    use uuid::Uuid;

    fn record(branch: u128, commit_no: u64, epoch: u64) -> HistoryRecord {
        HistoryRecord {
            branch: BranchId::new(Uuid::from_u128(branch)),
            commit_no: CommitNo(commit_no),
            epoch: Epoch(epoch),
            engine: String::new(),
            at: Timestamp::default(),
            node: String::new(),
            events: String::new(),
        }
    }

    #[test]
    fn a_token_says_all_that_was_told() {
        let mut told = Told::default();
        for branch in 0..300 {
            told.tell(&record(branch, u64::MAX - branch as u64, branch as u64));
        }
        let bytes = URL_SAFE_NO_PAD.decode(told.token()).expect("base64");
        assert_eq!(Told::parse(&bytes[1..]), Some(told));
        for cut in [2, 17, 20] {
            assert_eq!(Told::parse(&bytes[1..cut]), None, "{cut}");
        }
    }

    #[test]
    fn each_branch_is_told_in_its_own_order() {
        let mut told = Told::default();
        told.tell(&record(1, 2, 5));
        // In the order of clocks that do not agree; the takeover (2, 6) has no commit of its own.
        let history = [
            (1, 1, 5),
            (2, 2, 1),
            (1, 3, 7),
            (1, 2, 5),
            (2, 1, 1),
            (1, 2, 6),
        ];
        let history = history.map(|(branch, commit_no, epoch)| record(branch, commit_no, epoch));
        let missing = told.missing(history.to_vec());
        let expected = [(2, 1, 1), (1, 2, 6), (2, 2, 1), (1, 3, 7)];
        let expected = expected.map(|(branch, commit_no, epoch)| record(branch, commit_no, epoch));
        assert_eq!(missing, expected);
    }
}
