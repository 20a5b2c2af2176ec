//! Why there was no answer, in words that say what to do.

use flux_core::chart::{Fault, FaultKind};
use std::error::Error;
use std::io;

/// The fault of a request that failed; `name` is its method and URL.
pub(super) fn fault(name: &str, error: reqwest::Error) -> Fault {
    // The URL may hold credentials; `name` is what may be shown.
    let error = error.without_url();
    if error.is_timeout() {
        let what = if error.is_connect() {
            "could not connect in time"
        } else {
            "took too long"
        };
        return Fault::new(FaultKind::Timeout, format!("{name} {what}"));
    }
    let causes = causes(&error);
    let texts: Vec<String> = causes.iter().map(ToString::to_string).collect();
    let why = texts.last().cloned().unwrap_or_default();
    let detail = if error.is_redirect() {
        format!("{name} was redirected more than 5 times, or in a circle")
    } else if let Some(tls) = causes
        .iter()
        .find_map(|cause| find::<rustls::Error>(*cause))
    {
        format!(
            "{name}: no trusted TLS connection: {tls}; if the server's authority is your own, name \
             its PEM file in http_ca_file"
        )
    } else if texts
        .iter()
        .any(|text| text.contains("dns error") || text.contains("lookup"))
    {
        format!("{name}: the host's name could not be resolved: {why}")
    } else if refused(&causes) {
        format!("{name}: the connection was refused: nothing listens there")
    } else if error.is_connect() {
        format!("{name}: no connection: {why}")
    } else if error.is_builder() {
        return Fault::new(
            FaultKind::Validation,
            format!("{name} cannot be sent: {why}"),
        );
    } else {
        format!("{name}: the connection broke before the answer was complete: {why}")
    };
    Fault::new(FaultKind::Communication, detail)
}

fn causes(error: &reqwest::Error) -> Vec<&(dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}

/// The cause as that type. An `io::Error` hides what it wraps from `source`, and TLS errors arrive
/// in several such wrappings.
fn find<'a, T: Error + 'static>(cause: &'a (dyn Error + 'static)) -> Option<&'a T> {
    cause.downcast_ref::<T>().or_else(|| {
        let inner = cause.downcast_ref::<io::Error>()?.get_ref()?;
        find(inner)
    })
}

fn refused(causes: &[&(dyn Error + 'static)]) -> bool {
    causes.iter().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    })
}
