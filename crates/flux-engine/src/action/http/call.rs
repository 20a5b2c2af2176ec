//! The parameters of a call.

use super::auth::{self, Authentication};
use crate::action::with::{Text, Texts, With};
use flux_core::chart::{Fault, FaultKind};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Map, Value};

const ENDPOINT: &str = "https://example.com/items/1";

/// A call, checked.
pub(super) struct Call {
    pub method: Method,
    /// With the query.
    pub url: Url,
    /// With a content type where the body implies one.
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    pub output: Output,
    pub redirect: bool,
    pub authentication: Option<Authentication>,
}

/// `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Output {
    /// The content, decoded by its type.
    #[default]
    Content,
    /// Request, status, headers and content.
    Response,
    /// The content in base64.
    Raw,
}

impl Call {
    /// Reads the task's parameters.
    pub fn read(with: &With) -> Result<Call, Fault> {
        let method: String = with.required("method", "get")?;
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(|_| {
            with.fault(&format!(
                "`method` is {method:?}; write for example `method: get`"
            ))
        })?;
        let (mut url, inner) = endpoint(with)?;
        query(with, &mut url)?;
        let mut headers = headers(with)?;
        let body = body(with, &mut headers)?;
        Ok(Call {
            method,
            url,
            headers,
            body,
            output: with.optional("output", "content")?,
            redirect: with.optional("redirect", "true")?,
            authentication: match with.raw("authentication").or(inner) {
                Some(value) => Some(auth::read(value)?),
                None => None,
            },
        })
    }

    /// Method and URL for a person: without credentials, and without the query, which may hold some.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, shown(&self.url))
    }

    /// The fault of a call that got no answer.
    pub fn failed(&self, error: reqwest::Error) -> Fault {
        super::failure::fault(&self.name(), error)
    }
}

/// A URL without user, password, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // The errors say that this kind of URL has no such part.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The URL, and the authentication where the endpoint is an object that has one.
fn endpoint<'a>(with: &With<'a>) -> Result<(Url, Option<&'a Value>), Fault> {
    let (text, authentication) = match with.raw("endpoint") {
        Some(Value::Object(fields)) => {
            let uri = fields.get("uri").and_then(Value::as_str).ok_or_else(|| {
                with.fault(&format!(
                    "`endpoint.uri` is missing; write `uri: {ENDPOINT}`"
                ))
            })?;
            (
                uri.to_owned(),
                fields
                    .get("authentication")
                    .filter(|value| !value.is_null()),
            )
        }
        _ => (with.required::<String>("endpoint", ENDPOINT)?, None),
    };
    let wrong = |why: &str| {
        let text = text.split('?').next().unwrap_or_default();
        let text = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        with.fault(&format!(
            "`endpoint` is {text:?}: {why}; write for example `endpoint: {ENDPOINT}`"
        ))
    };
    let url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("only http and https are supported"));
    }
    Ok((url, authentication))
}

/// Appends the query: an array gives its name once for each item, null nothing.
fn query(with: &With, url: &mut Url) -> Result<(), Fault> {
    let parameters: Map<String, Value> = with.optional("query", "{ page: 1 }")?;
    for (name, value) in &parameters {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        for item in items.iter().filter_map(Text::of) {
            url.query_pairs_mut().append_pair(name, &item.0);
        }
    }
    Ok(())
}

fn headers(with: &With) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    let texts: Texts = with.optional("headers", "{ Accept: application/json }")?;
    for (name, text) in &texts.0 {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| with.fault(&format!("`headers`: {name:?} is no name of a header")))?;
        // Not the value: it may be a credential.
        let value = HeaderValue::from_str(text)
            .map_err(|_| with.fault(&format!("`headers.{name}` contains a control character")))?;
        headers.append(key, value);
    }
    Ok(headers)
}

/// Text is sent as it is. Other values are sent as JSON, or, when the task's content type says so
/// and the value is an object, as a form.
fn body(with: &With, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, Fault> {
    let Some(value) = with.raw("body") else {
        return Ok(None);
    };
    if let Value::String(text) = value {
        return Ok(Some(text.clone().into_bytes()));
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let Value::Object(fields) = value else {
            return Err(with.fault("`body` must be an object or text to be sent as a form"));
        };
        return Ok(Some(form(fields)));
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    let json = serde_json::to_vec(value)
        .map_err(|error| Fault::new(FaultKind::Runtime, format!("http: `body`: {error}")))?;
    Ok(Some(json))
}

fn form(fields: &Map<String, Value>) -> Vec<u8> {
    let mut url = Url::parse("http://form").expect("a constant URL");
    let pairs = fields
        .iter()
        .filter_map(|(name, value)| Some((name, Text::of(value)?.0)));
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().as_bytes().to_vec()
}
