//! Connections to engines, one of which is used until it fails.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::v1::flux_service_client::FluxServiceClient;
use crate::{Error, Service};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it proves its right with; engines that listen to more than their own machine ask for it.
    pub token: Option<String>,
    /// Whom to trust, as PEM, instead of the authorities of the system.
    pub ca_pem: Option<String>,
    /// How long to go on looking for an engine that answers.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: None,
            ca_pem: None,
            patience: Duration::from_secs(15),
        }
    }
}

/// The longest answer: what engines send at most.
const LARGEST: usize = 16 << 20;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// Pauses between rounds of vain tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A channel whose calls bring the token along.
pub(crate) type Authorized = InterceptedService<Channel, Token>;

/// Adds the token to each call.
#[derive(Clone)]
pub(crate) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

pub(crate) struct Channels {
    addresses: String,
    channels: Vec<Channel>,
    token: Token,
    patience: Duration,
    /// Which one has answered last.
    current: Mutex<usize>,
}

impl Channels {
    pub fn new(addresses: &[impl AsRef<str>], options: Options) -> Result<Channels, Error> {
        let names: Vec<&str> = addresses.iter().map(AsRef::as_ref).collect();
        if names.is_empty() {
            let text = "no engine is named; an address such as http://127.0.0.1:7520 is needed";
            return Err(Error::Setting(text.to_owned()));
        }
        let channels = names.iter().map(|name| channel(name, &options));
        let channels = channels.collect::<Result<_, _>>()?;
        let token = options.token.map(|token| {
            let value = format!("Bearer {token}").parse();
            value.map_err(|_| Error::Setting("the token has characters that none has".to_owned()))
        });
        Ok(Channels {
            addresses: names.join(", "),
            channels,
            token: Token(token.transpose()?),
            patience: options.patience,
            current: Mutex::new(0),
        })
    }

    /// Asks one engine after the other until one answers.
    pub async fn call<T, Answer>(&self, call: impl Fn(Service) -> Answer) -> Result<T, Error>
    where
        Answer: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let began = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let mut last = None;
            for _each in 0..self.channels.len() {
                match call(self.service()).await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) if !is_elsewhere_better(&status) => {
                        return Err(Error::Refused(Box::new(status)));
                    }
                    Err(status) => last = Some(status),
                }
                self.next();
            }
            if began.elapsed() + pause > self.patience {
                return Err(self.unreachable(last.as_ref()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    pub fn patience(&self) -> Duration {
        self.patience
    }

    pub fn unreachable(&self, last: Option<&Status>) -> Error {
        Error::Unreachable {
            addresses: self.addresses.clone(),
            reason: last.map_or_else(String::new, reason),
        }
    }

    /// The one that has answered last.
    fn service(&self) -> Service {
        let current = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = self.channels[current % self.channels.len()].clone();
        FluxServiceClient::with_interceptor(channel, self.token.clone())
            .max_decoding_message_size(LARGEST)
    }

    fn next(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (*current + 1) % self.channels.len();
    }
}

/// Whether another engine, or the same one later, may do better.
pub(crate) fn is_elsewhere_better(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        // A connection that broke before it had answered; asking again is safe.
        Code::Cancelled | Code::Unknown => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// What the status says, with what lies behind it.
fn reason(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

fn channel(address: &str, options: &Options) -> Result<Channel, Error> {
    let wrong = |what: &str| {
        let text = format!("{address}: {what}; an address is such as http://127.0.0.1:7520");
        Error::Setting(text)
    };
    let known = ["http://", "https://"];
    if !known.iter().any(|scheme| address.starts_with(scheme)) {
        return Err(wrong("it begins neither with http:// nor with https://"));
    }
    let mut endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| wrong(&error.to_string()))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    if address.starts_with("https://") {
        endpoint = endpoint
            .tls_config(tls(options))
            .map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(endpoint.connect_lazy())
}

fn tls(options: &Options) -> ClientTlsConfig {
    match &options.ca_pem {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    }
}
