//! The answer of a call, and the task's output made of it.

use super::call::{Call, Output, shown};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_core::chart::{Fault, FaultKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, PROXY_AUTHORIZATION};
use reqwest::{Response, StatusCode};
use serde_json::{Map, Value, json};

/// The request as the output shows it.
pub(super) struct Asked {
    headers: Map<String, Value>,
    uri: String,
}

impl Asked {
    /// Of the request that is about to be sent. Credentials are left out: outputs are stored.
    pub fn of(call: &Call, sent: &reqwest::Request) -> Asked {
        let mut headers = sent.headers().clone();
        headers.remove(AUTHORIZATION);
        headers.remove(PROXY_AUTHORIZATION);
        let mut uri = shown(&call.url);
        if let Some(query) = call.url.query() {
            uri = format!("{uri}?{query}");
        }
        Asked {
            headers: map(&headers),
            uri,
        }
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads the body, at most `limit` bytes of it. The body of an error is read as far as it
    /// comes: its status says more than how it broke off.
    pub async fn read(mut response: Response, limit: usize, call: &Call) -> Result<Answer, Fault> {
        let (status, headers) = (response.status(), response.headers().clone());
        let too_large = || {
            let detail = format!(
                "{} answered more than {limit} bytes (max_body)",
                call.name()
            );
            Fault::new(FaultKind::Communication, detail)
        };
        let wanted = status.is_success() || call.redirect && status.is_redirection();
        let length = response.content_length().unwrap_or_default();
        if wanted && length > limit as u64 {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= limit => {
                    body.extend_from_slice(&chunk)
                }
                Ok(Some(_)) if wanted => return Err(too_large()),
                Err(error) if wanted => return Err(call.failed(error)),
                Ok(_) | Err(_) => break,
            }
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// What the task asked for.
    pub fn output(&self, call: &Call, asked: &Asked) -> Result<Value, Fault> {
        Ok(match call.output {
            Output::Raw => Value::String(STANDARD.encode(&self.body)),
            Output::Content => self.content(call)?,
            Output::Response => json!({
                "request": {
                    "method": call.method.as_str(),
                    "uri": asked.uri,
                    "headers": asked.headers,
                },
                "statusCode": self.status.as_u16(),
                "headers": map(&self.headers),
                "content": self.content(call)?,
            }),
        })
    }

    /// JSON as a value, text as text, anything else in base64; null when there is none.
    fn content(&self, call: &Call) -> Result<Value, Fault> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        let kind = self
            .headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        if kind == "application/json" || kind == "text/json" || kind.ends_with("+json") {
            return serde_json::from_slice(&self.body).map_err(|error| {
                let detail = format!(
                    "{} answered with the content type {kind}, but its content is not JSON: \
                     {error}; `output: raw` takes it as it is",
                    call.name()
                );
                Fault::new(FaultKind::Communication, detail)
            });
        }
        Ok(Value::String(match std::str::from_utf8(&self.body) {
            Ok(text) => text.to_owned(),
            Err(_) if kind.starts_with("text/") => String::from_utf8_lossy(&self.body).into_owned(),
            Err(_) => STANDARD.encode(&self.body),
        }))
    }
}

/// Headers with lower-case names; the values of a repeated one are joined.
fn map(headers: &HeaderMap) -> Map<String, Value> {
    let joined = |name| {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        Value::String(values.join(", "))
    };
    headers
        .keys()
        .map(|name| (name.as_str().to_owned(), joined(name)))
        .collect()
}
