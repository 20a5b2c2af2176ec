//! Authentication of calls: basic, bearer, and OAuth 2 access tokens of the grants
//! `client_credentials` and `password` (RFC 6749, 4.3 and 4.4).

use super::call::shown;
use crate::action::with::With;
use flux_core::chart::{Fault, FaultKind};
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A token is replaced this long before it expires.
const MARGIN: Duration = Duration::from_secs(30);
/// Most tokens kept; credentials that come from data must not fill the memory.
const KEPT: usize = 1_000;

/// How a call authenticates.
#[derive(Clone)]
pub(super) enum Authentication {
    Basic(Basic),
    Bearer(Bearer),
    OAuth2(Box<OAuth2>),
}

#[derive(Clone, Deserialize)]
pub(super) struct Basic {
    pub username: String,
    pub password: String,
}

#[derive(Clone, Deserialize)]
pub(super) struct Bearer {
    pub token: String,
}

/// Also the key of the cache, in its JSON form.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct OAuth2 {
    authority: String,
    grant: String,
    #[serde(default)]
    endpoints: Endpoints,
    #[serde(default)]
    client: Credentials,
    #[serde(default)]
    request: Encoding,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    username: Option<String>,
    password: Option<String>,
}

#[derive(Clone, Default, Deserialize, Serialize)]
struct Endpoints {
    token: Option<String>,
}

#[derive(Clone, Default, Deserialize, Serialize)]
struct Credentials {
    id: Option<String>,
    secret: Option<String>,
    authentication: Option<String>,
}

#[derive(Clone, Default, Deserialize, Serialize)]
struct Encoding {
    encoding: Option<String>,
}

/// Reads the task's `authentication`.
pub(super) fn read(value: &Value) -> Result<Authentication, Fault> {
    let with = With::of("http: authentication", value)?;
    let scheme = ["basic", "bearer", "oauth2"]
        .into_iter()
        .find(|name| with.raw(name).is_some());
    match scheme {
        Some("basic") => {
            let example = "{ username: ada, password: ${ $secrets.password } }";
            with.required("basic", example).map(Authentication::Basic)
        }
        Some("bearer") => with
            .required("bearer", "{ token: ${ $secrets.token } }")
            .map(Authentication::Bearer),
        Some(_) => {
            let example = "{ authority: 'https://id.example.com', grant: client_credentials, client: { id: a, secret: b } }";
            let oauth2: OAuth2 = with.required("oauth2", example)?;
            oauth2.check(&with)?;
            Ok(Authentication::OAuth2(Box::new(oauth2)))
        }
        None => {
            let names: Vec<_> = value
                .as_object()
                .into_iter()
                .flat_map(Map::keys)
                .cloned()
                .collect();
            let detail = format!(
                "http: the authentication `{}` is not supported; use basic, bearer or oauth2",
                names.join(", ")
            );
            Err(Fault::new(FaultKind::Configuration, detail))
        }
    }
}

impl OAuth2 {
    /// Refuses what this engine does not do before anything is sent.
    fn check(&self, with: &With) -> Result<(), Fault> {
        let one_of = |field: &str, value: Option<&str>, known: &[&str]| match value {
            Some(value) if !known.contains(&value) => Err(with.fault(&format!(
                "`oauth2.{field}` is {value:?}, which is not supported; one of {}",
                known.join(", ")
            ))),
            _ => Ok(()),
        };
        one_of(
            "grant",
            Some(&self.grant),
            &["client_credentials", "password"],
        )?;
        let methods = ["client_secret_post", "client_secret_basic", "none"];
        one_of(
            "client.authentication",
            self.client.authentication.as_deref(),
            &methods,
        )?;
        let encodings = ["application/x-www-form-urlencoded", "application/json"];
        one_of(
            "request.encoding",
            self.request.encoding.as_deref(),
            &encodings,
        )?;
        self.url().map(drop).map_err(|why| with.fault(&why))
    }

    /// The token endpoint: a path below the authority, or a URL of its own.
    fn url(&self) -> Result<Url, String> {
        let path = self.endpoints.token.as_deref().unwrap_or("/oauth2/token");
        let text = if path.starts_with("http://") || path.starts_with("https://") {
            path.to_owned()
        } else {
            format!(
                "{}/{}",
                self.authority.trim_end_matches('/'),
                path.trim_start_matches('/')
            )
        };
        Url::parse(&text).map_err(|error| {
            format!("`oauth2.authority` gives no URL of a token endpoint: {error}; write for example `authority: https://id.example.com`")
        })
    }

    fn basic(&self) -> bool {
        self.client.authentication.as_deref() == Some("client_secret_basic")
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![("grant_type", self.grant.clone())];
        let mut add = |name, value: Option<&String>| {
            parameters.extend(value.map(|value| (name, value.clone())));
        };
        if self.grant == "password" {
            add("username", self.username.as_ref());
            add("password", self.password.as_ref());
        }
        if !self.basic() {
            add("client_id", self.client.id.as_ref());
            add("client_secret", self.client.secret.as_ref());
        }
        let scope = self.scopes.join(" ");
        add("scope", Some(&scope).filter(|scope| !scope.is_empty()));
        self.audiences
            .iter()
            .for_each(|audience| add("audience", Some(audience)));
        parameters
    }
}

/// Access tokens that have not expired. Parallel calls with the same credentials ask once.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Arc<Mutex<Option<Token>>>>>);

struct Token {
    text: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

impl Tokens {
    /// A token that is still good, asked for where there is none.
    pub async fn get(&self, oauth2: &OAuth2, client: &Client) -> Result<String, Fault> {
        let slot = self.slot(oauth2).await;
        let mut slot = slot.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.text.clone());
        }
        *slot = None;
        let asked = Instant::now();
        let granted = ask(oauth2, client).await?;
        // Without an expiry nothing says how long it is good: it serves this call only.
        let lifetime = Duration::from_secs(granted.expires_in.unwrap_or_default().min(86_400));
        *slot = Some(Token {
            text: granted.access_token.clone(),
            until: asked + lifetime.saturating_sub(MARGIN),
        });
        Ok(granted.access_token)
    }

    /// Drops the token of these credentials.
    pub async fn forget(&self, authentication: &Authentication) {
        if let Authentication::OAuth2(oauth2) = authentication {
            self.0.lock().await.remove(&key(oauth2));
        }
    }

    async fn slot(&self, oauth2: &OAuth2) -> Arc<Mutex<Option<Token>>> {
        let mut slots = self.0.lock().await;
        if slots.len() >= KEPT {
            slots.clear();
        }
        Arc::clone(slots.entry(key(oauth2)).or_default())
    }
}

fn key(oauth2: &OAuth2) -> String {
    serde_json::to_string(oauth2).expect("texts and lists are always JSON")
}

async fn ask(oauth2: &OAuth2, client: &Client) -> Result<Granted, Fault> {
    let url = oauth2
        .url()
        .map_err(|why| Fault::new(FaultKind::Validation, why))?;
    let name = format!("the token endpoint {}", shown(&url));
    let parameters = oauth2.parameters();
    let mut builder = client.post(url).header("Accept", "application/json");
    builder = if oauth2.request.encoding.as_deref() == Some("application/json") {
        builder.json(&parameters.into_iter().collect::<HashMap<_, _>>())
    } else {
        builder.form(&parameters)
    };
    if oauth2.basic() {
        builder = builder.basic_auth(
            oauth2.client.id.as_deref().unwrap_or_default(),
            oauth2.client.secret.as_ref(),
        );
    }
    let failed = |error| super::failure::fault(&name, error);
    let response = builder.send().await.map_err(failed)?;
    let status = response.status();
    let refused = |what: String| Fault::new(FaultKind::Authentication, format!("{name} {what}"));
    if !status.is_success() {
        let body: Value = response.json().await.unwrap_or_default();
        // Only the two fields of RFC 6749, 5.2: other parts may repeat what was sent.
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let why = format!("{} {}", text("error"), text("error_description"));
        return Err(refused(format!("answered {status}: {}", why.trim())));
    }
    response.json().await.map_err(|error| {
        refused(format!(
            "answered without an access token: {}",
            error.without_url()
        ))
    })
}
