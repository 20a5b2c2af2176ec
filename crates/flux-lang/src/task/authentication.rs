//! How a call proves who it is.

use crate::code;
use crate::cx::Cx;
use crate::expression::Place;
use crate::reuse::Section;
use crate::tree::{Entry, Node};
use flux_core::chart::Template;

const SCHEMES: [&str; 5] = ["basic", "bearer", "digest", "oauth2", "oidc"];
const OAUTH2: [&str; 13] = [
    "authority",
    "grant",
    "client",
    "request",
    "issuers",
    "scopes",
    "audiences",
    "username",
    "password",
    "subject",
    "actor",
    "endpoints",
    "use",
];

impl<'s> Cx<'s> {
    /// A policy, or `{ use: name }` of one.
    pub(super) fn authentication(&mut self, node: &'s Node) -> Option<Template> {
        if let Some(name) = node.get("use") {
            self.map(node, "`authentication`", &["use"])?;
            let entry = self.named(Section::Authentications, name)?;
            return self.authentication_policy(&entry.value);
        }
        self.authentication_policy(node)
    }

    /// A policy: one scheme with its settings.
    pub(crate) fn authentication_policy(&mut self, node: &'s Node) -> Option<Template> {
        let fields = self.map(node, "an authentication policy", &SCHEMES)?;
        let [entry] = fields.entries() else {
            let message = format!("an authentication policy has one of {}", SCHEMES.join(", "));
            self.error(code::WRONG_VALUE, node.span, message);
            return None;
        };
        if let Some(secret) = entry
            .value
            .entries()
            .iter()
            .find(|entry| entry.key == "use")
        {
            let message = "credentials from secrets are not supported";
            let help = "pass them as input: `token: ${ .token }`";
            self.error_help(code::NO_SECRETS, secret.key_span, message, help);
            return None;
        }
        match entry.key.as_str() {
            "basic" => self.credentials(entry, &["username", "password"])?,
            "bearer" => self.credentials(entry, &["token"])?,
            "oauth2" => self.oauth2(entry)?,
            scheme => {
                let message = format!("{scheme} authentication is not supported");
                let help =
                    "use basic, bearer or oauth2 (an OpenID provider's token endpoint is OAuth 2)";
                self.error_help(code::NO_AUTHENTICATION, entry.key_span, message, help);
                return None;
            }
        }
        self.template(node, Place::Task)
    }

    fn credentials(&mut self, entry: &'s Entry, keys: &[&str]) -> Option<()> {
        let what = format!("`{}`", entry.key);
        let fields = self.map(&entry.value, &what, keys)?;
        for key in keys {
            let node = self.require(fields, key, &what)?;
            self.text(node, &format!("`{key}`"))?;
        }
        Some(())
    }

    fn oauth2(&mut self, entry: &'s Entry) -> Option<()> {
        let what = format!("`{}`", entry.key);
        let fields = self.map(&entry.value, &what, &OAUTH2)?;
        let authority = self.require(fields, "authority", &what)?;
        self.text(authority, "`authority`")?;
        let grant = self.require(fields, "grant", &what)?;
        let choices = [
            ("client_credentials", true),
            ("password", true),
            ("authorization_code", false),
            ("refresh_token", false),
            ("urn:ietf:params:oauth:grant-type:token-exchange", false),
        ];
        if !self.choice(grant, "`grant`", &choices)? {
            let message = "this grant is not supported";
            let help = "use client_credentials or password";
            self.error_help(code::NO_AUTHENTICATION, grant.span, message, help);
            return None;
        }
        Some(())
    }
}
