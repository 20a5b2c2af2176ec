//! How two engines prove to each other that they know the key of their cluster, without telling it.

use flux_core::ids::Incarnation;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// 16 random bytes, so that no proof can be used again.
pub(crate) type Nonce = [u8; 16];

pub(crate) fn nonce() -> Nonce {
    Uuid::new_v4().into_bytes()
}

/// Reads a nonce that came over the wire.
pub(crate) fn parse_nonce(bytes: &[u8]) -> Option<Nonce> {
    bytes.try_into().ok()
}

/// Which side a proof is of: that of one is none for the other.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Caller,
    Answerer,
}

/// What both sides of a conversation know: who calls whom, and their nonces.
#[derive(Clone, Copy)]
pub(crate) struct Meeting {
    pub caller: Incarnation,
    pub answerer: Incarnation,
    pub caller_nonce: Nonce,
    pub answerer_nonce: Nonce,
}

impl Meeting {
    pub fn proof(&self, key: &str, side: Side) -> Vec<u8> {
        self.mac(key, side).finalize().into_bytes().to_vec()
    }

    /// In a time that does not depend on how wrong it is.
    pub fn is_proof(&self, key: &str, side: Side, proof: &[u8]) -> bool {
        self.mac(key, side).verify_slice(proof).is_ok()
    }

    fn mac(&self, key: &str, side: Side) -> Hmac<Sha256> {
        // Keys of any length are right.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        let purpose: &[u8] = match side {
            Side::Caller => b"flux caller",
            Side::Answerer => b"flux welcome",
        };
        mac.update(purpose);
        mac.update(&self.caller_nonce);
        mac.update(&self.answerer_nonce);
        mac.update(self.caller.uuid().as_bytes());
        mac.update(self.answerer.uuid().as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting() -> Meeting {
        let who = |number| Incarnation::new(Uuid::from_u128(number));
        Meeting {
            caller: who(1),
            answerer: who(2),
            caller_nonce: nonce(),
            answerer_nonce: nonce(),
        }
    }

    #[test]
    fn a_proof_is_one_for_its_side_its_meeting_and_its_key_alone() {
        let one = meeting();
        let proof = one.proof("key", Side::Caller);
        assert!(one.is_proof("key", Side::Caller, &proof));
        assert!(!one.is_proof("key", Side::Answerer, &proof));
        assert!(!one.is_proof("another key", Side::Caller, &proof));
        assert!(!meeting().is_proof("key", Side::Caller, &proof));
        assert!(!one.is_proof("key", Side::Caller, &proof[1..]));
        assert!(!one.is_proof("key", Side::Caller, &[]));
    }
}
