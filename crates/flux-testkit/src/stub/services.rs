//! The two public services that the conformance kit calls, as far as it calls them.

use super::{Answer, Asked};
use serde_json::{Value, json};

const PETS: [(u64, &str, &str); 4] = [
    (1, "Rex", "available"),
    (2, "Milou", "pending"),
    (3, "Idefix", "sold"),
    (4, "Rantanplan", "available"),
];

/// `petstore.swagger.io`: `/v2/pet/{id}`, `/v2/pet/findByStatus?status=..`; anything else is 404.
pub fn petstore(asked: &Asked) -> Answer {
    let Some(rest) = asked.path.strip_prefix("/v2/pet/") else {
        return unknown(asked);
    };
    if rest == "findByStatus" {
        let wanted = asked
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("status="));
        let found = PETS
            .iter()
            .filter(|(_, _, status)| wanted == Some(status))
            .map(pet)
            .collect();
        return Answer::json(200, &Value::Array(found));
    }
    let id = rest.parse::<u64>().ok();
    match PETS.iter().find(|(known, _, _)| Some(*known) == id) {
        Some(found) => Answer::json(200, &pet(found)),
        None => unknown(asked),
    }
}

fn pet((id, name, status): &(u64, &str, &str)) -> Value {
    json!({
        "id": id,
        "category": {"id": 1, "name": "dogs"},
        "name": name,
        "photoUrls": [],
        "tags": [],
        "status": status,
    })
}

/// `httpbin.org`: `/basic-auth/{user}/{password}`, `/status/{code}` and `/anything`, which echoes.
pub fn httpbin(asked: &Asked) -> Answer {
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    match parts[..] {
        ["basic-auth", user, password] => basic(asked, user, password),
        ["status", code] => match code.parse() {
            Ok(code) => Answer::text(code, ""),
            Err(_) => unknown(asked),
        },
        ["anything", ..] => Answer::json(200, &echo(asked)),
        _ => unknown(asked),
    }
}

/// Both, told apart by their paths: one server can play both hosts.
pub fn conformance(asked: &Asked) -> Answer {
    if asked.path.starts_with("/v2/") {
        petstore(asked)
    } else {
        httpbin(asked)
    }
}

fn basic(asked: &Asked, user: &str, password: &str) -> Answer {
    let expected = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
    if asked.header("authorization") == Some(&expected) {
        Answer::json(200, &json!({"authenticated": true, "user": user}))
    } else {
        Answer::text(401, "").with("WWW-Authenticate", "Basic realm=\"Fake Realm\"")
    }
}

fn echo(asked: &Asked) -> Value {
    let headers: serde_json::Map<String, Value> = asked
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({
        "method": asked.method,
        "path": asked.path,
        "query": asked.query,
        "headers": headers,
        "data": String::from_utf8_lossy(&asked.body),
        "json": serde_json::from_slice::<Value>(&asked.body).unwrap_or_default(),
    })
}

fn unknown(asked: &Asked) -> Answer {
    Answer::json(
        404,
        &json!({"code": 404, "type": "unknown", "message": asked.path}),
    )
}

/// RFC 4648, written out here because the tests of the engine must not check its encoder against
/// itself.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let padded = [
            chunk[0],
            *chunk.get(1).unwrap_or(&0),
            *chunk.get(2).unwrap_or(&0),
        ];
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for index in 0..4 {
            let sextet = bits >> (18 - 6 * index) & 63;
            let letter = if index <= chunk.len() {
                ALPHABET[sextet as usize]
            } else {
                b'='
            };
            text.push(char::from(letter));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
