//! `flux health`

use crate::config::Config;
use crate::exit::{CONFIG, Failure, UNAVAILABLE};
use crate::output;
use std::time::Duration;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks an engine whether it takes work, or whether it lives: for probes
///
/// An engine is not ready while it drains or its store does not answer, but it lives then. Without
/// --engine it is the one on the configured port of this machine.
///
/// Examples:
///   flux health
///   flux health liveness --engine http://10.0.0.7:7520
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What is asked
    #[arg(value_enum, default_value_t)]
    what: What,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum What {
    /// It takes work, and its store answers.
    #[default]
    Readiness,
    /// The process lives.
    Liveness,
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let port = config.listening.address.port();
    let own = || format!("http://127.0.0.1:{port}");
    let url = config.network.engines.first().cloned().unwrap_or_else(own);
    let ca_pem = config.network.ca_pem()?;
    let service = match args.what {
        What::Readiness => flux_server::READINESS,
        What::Liveness => flux_server::LIVENESS,
    };
    let away = |why: String| Failure::new(UNAVAILABLE, format!("{url} does not answer: {why}"));
    let asked = tokio::time::timeout(PATIENCE, ask(ca_pem, &url, service));
    let status = match asked.await {
        Ok(answer) => answer?.map_err(away)?,
        Err(_) => return Err(away(format!("nothing within {} s", PATIENCE.as_secs()))),
    };
    if status != ServingStatus::Serving {
        return Err(Failure::new(UNAVAILABLE, format!("{url}: no {service}")));
    }
    output::note(&format!("{url}: {service}"));
    Ok(())
}

/// What the engine answers, or why it does not.
async fn ask(
    ca_pem: Option<String>,
    url: &str,
    service: &str,
) -> Result<Result<ServingStatus, String>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        let message = format!("`{url}` is no address of an engine: {why}");
        Failure::new(CONFIG, message).help("for example http://127.0.0.1:7520")
    };
    let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| wrong(&error))?;
    if let Some(pem) = ca_pem {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        endpoint = endpoint.tls_config(tls).map_err(|error| wrong(&error))?;
    }
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return Ok(Err(with_source(&error))),
    };
    let service = service.to_owned();
    let mut client = HealthClient::new(channel);
    let answer = client.check(HealthCheckRequest { service }).await;
    let answer = answer.map_err(|status| status.to_string());
    Ok(answer.map(|answer| answer.into_inner().status()))
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_source(source)),
        None => error.to_string(),
    }
}
