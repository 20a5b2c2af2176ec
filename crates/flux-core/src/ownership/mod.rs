//! Who may act on what, and who is believed dead: the rules of heartbeats, trust and judging.
//!
//! ```text
//!  an engine                                          the others
//!  heartbeat every H = W/3 ---> the shared store ---> watch its number every C
//!  TrustWindow: until when may                        Observer: unchanged for W
//!  I act on what I own?  W - g                        by my own clock? convict, take over
//! ```
//! No step compares times read on two machines. An engine measures its trust from *before* it
//! sent its last successful heartbeat; an observer measures silence from *after* it read a
//! number; both on their own boot clocks. So an engine has stopped acting a guard time `g` before
//! anybody can convict it, however wrong any calendar clock is, as long as the rates of the boot
//! clocks differ by less than 5 %. What is left (a process frozen between looking at its clock and
//! acting) is refused by the store, which compares owner, epoch and commit point in every write.

mod differences;
mod observer;
mod timing;
mod trust;

pub use differences::{calendar_correction, differing_windows, wrong_clocks};
pub use observer::{Observer, Verdict};
pub use timing::Timing;
pub use trust::{Trust, TrustWindow};
