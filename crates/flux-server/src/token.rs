//! The client token: who does not say it is not let in.

use crate::refusal::refusal;
use subtle::ConstantTimeEq;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

/// Lets in who says the token; everybody when there is none.
#[derive(Clone)]
pub(crate) struct Gate(pub Option<String>);

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.0 else {
            return Ok(request);
        };
        let Some(header) = request.metadata().get("authorization") else {
            return Err(stranger("TOKEN_MISSING", "there is no client token"));
        };
        let said = header.as_bytes();
        let said = match said.split_at_checked(7) {
            Some((scheme, said)) if scheme.eq_ignore_ascii_case(b"bearer ") => said,
            _ => return Err(stranger("TOKEN_MISSING", "there is no bearer token")),
        };
        if bool::from(said.ct_eq(token.as_bytes())) {
            return Ok(request);
        }
        Err(stranger("TOKEN_WRONG", "the client token is wrong"))
    }
}

fn stranger(reason: &str, what: &str) -> Status {
    let text = format!("{what}; send the metadata `authorization: Bearer TOKEN`");
    refusal(Code::Unauthenticated, reason, &[], &text)
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use tonic::service::Interceptor;
    use tonic::{Code, Request};

    fn outcome(header: Option<&'static str>) -> Result<(), Code> {
        let mut request = Request::new(());
        if let Some(header) = header {
            let value = header.parse().expect("ASCII");
            request.metadata_mut().insert("authorization", value);
        }
        let mut gate = Gate(Some("0123456789abcdef".to_owned()));
        gate.call(request)
            .map(|_| ())
            .map_err(|status| status.code())
    }

    #[test]
    fn exactly_the_token_opens() {
        assert_eq!(outcome(Some("Bearer 0123456789abcdef")), Ok(()));
        assert_eq!(outcome(Some("bearer 0123456789abcdef")), Ok(()));
        for wrong in [
            None,
            Some(""),
            Some("Bearer "),
            Some("Bearer 0123456789abcdeg"),
            Some("Bearer 0123456789abcdef0"),
            Some("Bearer  0123456789abcdef"),
            Some("Basic 0123456789abcdef"),
            Some("0123456789abcdef"),
        ] {
            assert_eq!(outcome(wrong), Err(Code::Unauthenticated), "{wrong:?}");
        }
    }
}
