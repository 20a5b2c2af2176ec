//! The conformance suite of the store ports: one case for each promise of `flux_core::ports`.
//!
//! A store runs all of it with a few lines. Every case gets a store of its own:
//!
//! ```ignore
//! async fn fresh() -> Ports { .. }
//! flux_testkit::store_suite!(fresh);
//! ```
//!
//! ```text
//!   cases.rs    the list of cases, as a macro that makes a test of each
//!   fixture.rs  the store under test, and short words for what the cases do with it
//!   others      the cases, one file for each topic
//! ```

mod cases;
pub mod claim;
pub mod commit;
pub mod definitions;
pub mod end;
pub mod fence;
pub(crate) mod fixture;
pub mod join;
pub mod list;
pub mod members;
pub mod outlook;
pub mod release;
pub mod show;
pub mod signal;
pub mod submit;
pub mod takeover;
pub mod throttle;
pub mod wait;

pub use fixture::{Ports, Store};

#[cfg(test)]
mod tests {
    /// A case that nobody runs would look like a promise that is kept.
    #[test]
    fn every_case_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store_suite");
        let list = include_str!("cases.rs");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("the suite's folder is there") {
            let path = entry.expect("it can be read").path();
            if path.ends_with("fixture.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("it can be read");
            for line in text.lines() {
                let Some(rest) = line.strip_prefix("pub async fn ") else {
                    continue;
                };
                let name = rest.split('(').next().unwrap_or_default();
                assert!(list.contains(&format!(" {name},")), "{name} is in no list");
                count += 1;
            }
        }
        assert!(count > 60, "only {count} cases were found");
    }
}
