//! `call: http`.
//!
//! Each request carries `Idempotency-Key` (unless the task sets it), `Flux-Fencing-Token` and,
//! where there is one, `traceparent`. Proxies are those of the environment (`HTTPS_PROXY`, ..).

mod answer;
mod auth;
mod call;
mod client;
mod failure;

use super::with::With;
use super::{Config, Request, cancelled};
use answer::Answer;
use call::Call;
use client::Clients;
use flux_core::chart::{Fault, FaultKind};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Most of an error's body that goes into its fault, in characters.
const EXCERPT: usize = 500;

/// Performs HTTP calls; keeps connections and access tokens.
pub(super) struct Http {
    clients: Clients,
    tokens: auth::Tokens,
    max_body: usize,
}

impl Http {
    /// The error names the setting that is wrong.
    pub fn new(config: &Config) -> Result<Http, String> {
        let clients = client::build(config)?;
        Ok(Http {
            clients,
            tokens: auth::Tokens::default(),
            max_body: config.max_body,
        })
    }

    /// One call. Cancelling closes its connection.
    pub async fn perform(
        &self,
        with: &With<'_>,
        request: &Request,
        cancel: &CancellationToken,
    ) -> Result<Value, Fault> {
        let call = Call::read(with)?;
        tokio::select! {
            output = self.call(&call, request) => output,
            () = cancel.cancelled() => Err(cancelled(request.kind)),
        }
    }

    async fn call(&self, call: &Call, request: &Request) -> Result<Value, Fault> {
        let mut headers = call.headers.clone();
        identify(&mut headers, request)?;
        let mut builder = self
            .clients
            .of(call.redirect)
            .request(call.method.clone(), call.url.clone());
        if let Some(body) = &call.body {
            builder = builder.body(body.clone());
        }
        let builder = match &call.authentication {
            Some(authentication) => self.authenticate(builder, authentication).await?,
            None => builder,
        };
        // Last, so that what the task sets wins.
        let sent = builder
            .headers(headers)
            .build()
            .map_err(|error| call.failed(error))?;
        let asked = answer::Asked::of(call, &sent);
        let response = self.clients.of(call.redirect).execute(sent).await;
        let response = response.map_err(|error| call.failed(error))?;
        let answer = Answer::read(response, self.max_body, call).await?;
        if answer.status == StatusCode::UNAUTHORIZED
            && let Some(authentication) = &call.authentication
        {
            // A token may be revoked before its time: the next attempt asks for a new one.
            self.tokens.forget(authentication).await;
        }
        let redirected = call.redirect && answer.status.is_redirection();
        if !answer.status.is_success() && !redirected {
            return Err(refused(call, &answer));
        }
        answer.output(call, &asked)
    }

    async fn authenticate(
        &self,
        builder: reqwest::RequestBuilder,
        authentication: &auth::Authentication,
    ) -> Result<reqwest::RequestBuilder, Fault> {
        Ok(match authentication {
            auth::Authentication::Basic(basic) => {
                builder.basic_auth(&basic.username, Some(&basic.password))
            }
            auth::Authentication::Bearer(bearer) => builder.bearer_auth(&bearer.token),
            auth::Authentication::OAuth2(oauth2) => {
                builder.bearer_auth(self.tokens.get(oauth2, self.clients.of(false)).await?)
            }
        })
    }
}

/// Adds what tells a repeated attempt and a replaced owner.
fn identify(headers: &mut HeaderMap, request: &Request) -> Result<(), Fault> {
    let key = HeaderName::from_static("idempotency-key");
    if !headers.contains_key(&key) {
        headers.insert(key, header(&request.key)?);
    }
    headers.insert(
        HeaderName::from_static("flux-fencing-token"),
        header(&request.epoch.to_string())?,
    );
    let traceparent = HeaderName::from_static("traceparent");
    if let Some(parent) = &request.traceparent
        && !headers.contains_key(&traceparent)
    {
        headers.insert(traceparent, header(parent)?);
    }
    Ok(())
}

fn header(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| {
        Fault::new(
            FaultKind::Runtime,
            format!("http: {text:?} cannot be sent in a header"),
        )
    })
}

fn refused(call: &Call, answer: &Answer) -> Fault {
    let mut detail = format!("{} answered {}", call.name(), answer.status);
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    if !text.is_empty() {
        detail.push_str(": ");
        detail.extend(text.chars().take(EXCERPT));
    }
    if answer.status.is_redirection() {
        detail.push_str(" (set `redirect: true` to follow redirects)");
    }
    Fault::new(FaultKind::Communication, detail).with_status(answer.status.as_u16())
}
