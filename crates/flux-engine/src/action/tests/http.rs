use super::*;
use ActionKind::Http;
use flux_testkit::{Answer, Asked, Manner, Stub, conformance, wait_until_async};

const PETSTORE: &str = "petstore.swagger.io";
const HTTPBIN: &str = "httpbin.org";

/// An engine that finds these hosts at the stub and trusts its authority.
fn towards(stub: &Stub, hosts: &[&str]) -> Arc<Actions> {
    let resolve = |host: &&str| ((*host).to_owned(), 443, stub.address());
    actions(Config {
        http_resolve: hosts.iter().map(resolve).collect(),
        http_ca_file: Some(stub.ca_file().to_owned()),
        ..Config::default()
    })
}

fn get(stub: &Stub, path: &str) -> serde_json::Value {
    json!({"method": "get", "endpoint": stub.url(path)})
}

async fn error(with: serde_json::Value) -> (String, String) {
    fault(perform(Http, with).await)
}

#[tokio::test]
async fn the_calls_of_the_conformance_kit_are_answered_over_tls() {
    let stub = Stub::https(&[PETSTORE, HTTPBIN], conformance);
    let actions = towards(&stub, &[PETSTORE, HTTPBIN]);
    let endpoint = "https://petstore.swagger.io/v2/pet/findByStatus?status=available";
    let pets = perform_by(
        &actions,
        Http,
        json!({"method": "get", "endpoint": endpoint}),
    )
    .await;
    assert_eq!(pets.expect("an answer")[0]["name"], "Rex");

    let endpoint = "https://petstore.swagger.io/v2/pet/2";
    let with = json!({"method": "GET", "endpoint": endpoint, "output": "response"});
    let response = perform_by(&actions, Http, with).await.expect("an answer");
    assert_eq!(response["request"]["method"], "GET");
    assert_eq!(response["request"]["uri"], endpoint);
    assert_eq!(response["request"]["headers"]["idempotency-key"], "key-1");
    assert_eq!(response["statusCode"], 200);
    assert_eq!(response["headers"]["content-type"], "application/json");
    assert_eq!(response["content"]["name"], "Milou");

    let endpoint = "https://httpbin.org/basic-auth/ada/love%20lace";
    let with = |password: &str| {
        let basic = json!({"basic": {"username": "ada", "password": password}});
        json!({"method": "get", "endpoint": endpoint, "authentication": basic})
    };
    let (_, detail) = fault(perform_by(&actions, Http, with("wrong")).await);
    assert!(
        detail.contains("401") && !detail.contains("wrong"),
        "{detail}"
    );
    let right = perform_by(&actions, Http, with("love%20lace")).await;
    assert_eq!(
        right.map(|answer| answer["authenticated"].clone()),
        Ok(json!(true))
    );

    let endpoint = "https://petstore.swagger.io/v2/pet/getPetByName/Milou";
    let missing = perform_by(
        &actions,
        Http,
        json!({"method": "get", "endpoint": endpoint}),
    )
    .await;
    assert_eq!(missing.as_ref().err().map(|fault| fault.status), Some(404));
    let (kind, detail) = fault(missing);
    assert_eq!(kind, "communication");
    assert!(
        detail.starts_with(&format!("GET {endpoint} answered 404")),
        "{detail}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_refused() {
    let stub = Stub::https(&[PETSTORE], conformance);
    let resolve = vec![(PETSTORE.to_owned(), 443, stub.address())];
    let actions = actions(Config {
        http_resolve: resolve,
        ..Config::default()
    });
    let with = json!({"method": "get", "endpoint": "https://petstore.swagger.io/v2/pet/1"});
    let (kind, detail) = fault(perform_by(&actions, Http, with).await);
    assert_eq!(kind, "communication");
    assert!(
        detail.contains("TLS") && detail.contains("http_ca_file"),
        "{detail}"
    );
    // Trusted, but for another name.
    let with = json!({"method": "get", "endpoint": "https://httpbin.org/status/200"});
    let (_, detail) = fault(perform_by(&towards(&stub, &[HTTPBIN]), Http, with).await);
    assert!(
        detail.contains("TLS") && detail.contains("name"),
        "{detail}"
    );
    assert_eq!(stub.asked(), []);
}

#[tokio::test]
async fn each_request_tells_the_step_unless_the_task_does() {
    let stub = Stub::http(conformance);
    let actions = actions(Config::default());
    let mut with = get(&stub, "/anything");
    perform_by(&actions, Http, with.clone())
        .await
        .expect("an answer");
    with["headers"] = json!({"idempotency-KEY": "mine", "X-Count": 3, "X-Nil": null});
    perform_by(&actions, Http, with).await.expect("an answer");
    let asked = stub.asked();
    assert_eq!(asked[0].header("idempotency-key"), Some("key-1"));
    assert_eq!(asked[0].header("flux-fencing-token"), Some("7"));
    assert!(
        asked[0]
            .header("traceparent")
            .is_some_and(|parent| parent.starts_with("00-0af7"))
    );
    assert_eq!(asked[1].header("idempotency-key"), Some("mine"));
    assert_eq!(asked[1].header("x-count"), Some("3"));
    assert_eq!(asked[1].header("x-nil"), None);
}

#[tokio::test]
async fn query_and_body_are_sent_by_their_type() {
    let stub = Stub::http(conformance);
    let mut with = get(&stub, "/anything?a=1");
    with["method"] = json!("post");
    with["query"] = json!({"b": "x y&z", "c": [1, 2], "d": null});
    with["body"] = json!({"k": [1]});
    let echo = perform(Http, with.clone()).await.expect("an answer");
    assert_eq!(
        (&echo["method"], &echo["json"]),
        (&json!("POST"), &json!({"k": [1]}))
    );
    assert_eq!(echo["query"], "a=1&b=x+y%26z&c=1&c=2");
    assert_eq!(echo["headers"]["content-type"], "application/json");

    with["body"] = json!("{plain");
    let echo = perform(Http, with.clone()).await.expect("an answer");
    assert_eq!(
        (&echo["data"], &echo["headers"]["content-type"]),
        (&json!("{plain"), &json!(null))
    );

    with["headers"] = json!({"Content-Type": "application/x-www-form-urlencoded"});
    with["body"] = json!({"a b": "1&2"});
    let echo = perform(Http, with).await.expect("an answer");
    assert_eq!(echo["data"], "a+b=1%262");
}

#[tokio::test]
async fn content_is_decoded_by_its_type_and_raw_is_base64() {
    let answer = |asked: &Asked| {
        let kind = asked.query.replace("%2B", "+");
        let body: &[u8] = match &*asked.path {
            "/json" => b"{\"a\":1}",
            "/text" => b"{text",
            "/binary" => b"\xff\x00\x01",
            _ => b"",
        };
        let mut answer = Answer::text(200, "");
        answer.headers = vec![("Content-Type".to_owned(), kind)];
        answer.body = body.to_vec();
        answer
    };
    let stub = Stub::http(answer);
    for (path, expected) in [
        ("/json?application/json;charset=utf-8", json!({"a": 1})),
        ("/json?application/problem%2Bjson", json!({"a": 1})),
        ("/json?text/plain", json!("{\"a\":1}")),
        ("/text?text/plain", json!("{text")),
        ("/binary?application/octet-stream", json!("/wAB")),
        ("/binary?text/plain", json!("\u{fffd}\u{0}\u{1}")),
        ("/empty?application/json", json!(null)),
    ] {
        assert_eq!(
            perform(Http, get(&stub, path)).await,
            Ok(expected),
            "{path}"
        );
    }
    let (kind, detail) = error(get(&stub, "/text?application/json")).await;
    assert!(
        kind == "communication" && detail.contains("not JSON"),
        "{detail}"
    );
    let mut with = get(&stub, "/text?application/json");
    with["output"] = json!("raw");
    assert_eq!(perform(Http, with).await, Ok(json!("e3RleHQ=")));
}

#[tokio::test]
async fn redirects_are_followed_only_when_asked_for() {
    let stub = Stub::http(|asked| match asked.path.as_str() {
        "/start" => Answer::text(302, "").with("Location", "/end"),
        "/circle" => Answer::text(307, "").with("Location", "/circle"),
        "/unchanged" => Answer::text(304, ""),
        _ => Answer::text(200, "done"),
    });
    let result = perform(Http, get(&stub, "/start")).await;
    assert_eq!(result.as_ref().err().map(|fault| fault.status), Some(302));
    let (kind, detail) = fault(result);
    assert!(
        kind == "communication" && detail.contains("redirect: true"),
        "{detail}"
    );
    let following = |path: &str| {
        let mut with = get(&stub, path);
        with["redirect"] = json!(true);
        with
    };
    assert_eq!(perform(Http, following("/start")).await, Ok(json!("done")));
    assert_eq!(
        perform(Http, following("/unchanged")).await,
        Ok(json!(null))
    );
    let (_, detail) = error(following("/circle")).await;
    assert!(detail.contains("redirected more than 5 times"), "{detail}");
}

#[tokio::test]
async fn answers_that_are_late_cut_or_too_large_are_faults() {
    let stub = Stub::http(|asked| {
        let manner = match asked.path.as_str() {
            "/never" => Manner::Never,
            "/drop" => Manner::Drop,
            "/half" => Manner::Half,
            "/slow" => Manner::Slow(Duration::from_millis(300)),
            "/endless" => Manner::Endless,
            _ => Manner::Plain,
        };
        Answer::text(200, "x".repeat(1_001)).sent(manner)
    });
    let limits = |max_body, timeout_ms| {
        let http_timeout = Duration::from_millis(timeout_ms);
        actions(Config {
            max_body,
            http_timeout,
            ..Config::default()
        })
    };
    let ask = async |actions: Arc<Actions>, path: &str| {
        fault(perform_by(&actions, Http, get(&stub, path)).await)
    };
    for path in ["/never", "/slow"] {
        let (kind, detail) = ask(limits(2_000, 700), path).await;
        assert!(
            kind == "timeout" && detail.contains("took too long"),
            "{path} {detail}"
        );
    }
    for path in ["/drop", "/half"] {
        let (kind, detail) = ask(limits(2_000, 30_000), path).await;
        assert!(
            kind == "communication" && detail.contains("broke"),
            "{path} {detail}"
        );
    }
    for path in ["/large", "/endless"] {
        let (kind, detail) = ask(limits(1_000, 30_000), path).await;
        assert!(
            kind == "communication" && detail.contains("more than 1000 bytes"),
            "{path} {detail}"
        );
    }
    let whole = perform_by(&limits(1_001, 30_000), Http, get(&stub, "/large")).await;
    assert_eq!(whole, Ok(json!("x".repeat(1_001))));
}

#[tokio::test]
async fn cancelling_closes_the_connection() {
    let stub = Stub::http(|_| Answer::text(200, "").sent(Manner::Never));
    let cancel = CancellationToken::new();
    let task = {
        let (actions, cancel) = (actions(Config::default()), cancel.clone());
        let request = request(Http, &get(&stub, "/"));
        tokio::spawn(async move { actions.perform(request, cancel).await })
    };
    wait_until_async("the request arrives", LONG, async || {
        stub.asked().len() == 1
    })
    .await;
    cancel.cancel();
    let result = tokio::time::timeout(LONG, task)
        .await
        .expect("it ends")
        .expect("no panic");
    assert!(result.is_err_and(|failure| {
        only_fault(failure)
            .to_string()
            .contains("the http action was cancelled")
    }));
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_named_without_credentials() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.expect("a free port");
    let endpoint = format!("http://ada:secret@{address}/a?key=secret");
    let (kind, detail) = error(json!({"method": "get", "endpoint": endpoint})).await;
    assert_eq!(kind, "communication");
    assert!(
        detail.starts_with(&format!(
            "GET http://{address}/a: the connection was refused"
        )),
        "{detail}"
    );
    let endpoint = "http://no-such-host.invalid/";
    let (kind, detail) = error(json!({"method": "get", "endpoint": endpoint})).await;
    assert_eq!(kind, "communication");
    assert!(detail.contains("could not be resolved"), "{detail}");
}

#[tokio::test]
async fn wrong_parameters_name_field_value_and_example() {
    for (with, expected) in [
        (json!({"endpoint": "http://a"}), "`method` is missing"),
        (
            json!({"method": "g t", "endpoint": "http://a"}),
            "`method` is \"g t\"",
        ),
        (
            json!({"method": "get", "endpoint": "a/b"}),
            "`endpoint` is \"a/b\"",
        ),
        (
            json!({"method": "get", "endpoint": "ftp://a"}),
            "only http and https",
        ),
        (
            json!({"method": "get", "endpoint": "http://a", "output": "all"}),
            "`output` is \"all\"",
        ),
        (
            json!({"method": "get", "endpoint": "http://a", "redirect": 1}),
            "`redirect` is 1",
        ),
        (
            json!({"method": "get", "endpoint": "http://a", "headers": {"a b": "c"}}),
            "\"a b\"",
        ),
        (
            json!({"method": "get", "endpoint": "http://a", "query": [1]}),
            "`query` is [1]",
        ),
    ] {
        let (kind, detail) = error(with).await;
        assert!(
            kind == "validation" && detail.contains(expected),
            "{detail}"
        );
    }
    let digest = json!({"digest": {"username": "a", "password": "secret"}});
    let with = json!({"method": "get", "endpoint": "http://a", "authentication": digest});
    let (kind, detail) = error(with).await;
    assert!(
        kind == "configuration" && detail.contains("digest"),
        "{detail}"
    );
    assert!(!detail.contains("secret"), "{detail}");
}

/// A service behind tokens that are numbered; `/revoked` never takes any.
fn guarded(lifetime: Option<u64>) -> Stub {
    let count = std::sync::atomic::AtomicU32::new(0);
    Stub::http(move |asked| match asked.path.as_str() {
        "/realm/oauth2/token" => {
            let number = 1 + count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let token = format!("token-{number}");
            Answer::json(200, &json!({"access_token": token, "expires_in": lifetime}))
        }
        "/refuses/oauth2/token" => {
            let body = json!({"error": "invalid_client", "error_description": "who is that"});
            Answer::json(400, &body)
        }
        "/revoked" => Answer::text(401, ""),
        _ => Answer::text(200, asked.header("authorization").unwrap_or_default()),
    })
}

fn with_token(stub: &Stub, path: &str, realm: &str) -> serde_json::Value {
    let mut with = get(stub, path);
    with["authentication"] = json!({"oauth2": {
        "authority": stub.url(realm),
        "grant": "client_credentials",
        "client": {"id": "flux", "secret": "hush"},
        "scopes": ["a", "b"],
        "audiences": ["runtime"],
    }});
    with
}

#[tokio::test]
async fn an_access_token_is_asked_for_and_kept_until_it_expires() {
    let stub = guarded(Some(3_600));
    let actions = actions(Config::default());
    let with = with_token(&stub, "/", "/realm");
    for _ in 0..2 {
        let answer = perform_by(&actions, Http, with.clone()).await;
        assert_eq!(answer, Ok(json!("Bearer token-1")));
    }
    let sent = String::from_utf8(stub.asked()[0].body.clone()).expect("a form");
    let expected = "grant_type=client_credentials&client_id=flux&client_secret=hush&scope=a+b&audience=runtime";
    assert_eq!(sent, expected);
    let refused = perform_by(&actions, Http, with_token(&stub, "/revoked", "/realm")).await;
    assert!(refused.is_err());
    assert_eq!(
        perform_by(&actions, Http, with).await,
        Ok(json!("Bearer token-2"))
    );

    let short = guarded(None);
    for number in 1..3 {
        let answer = perform_by(&actions, Http, with_token(&short, "/", "/realm")).await;
        assert_eq!(answer, Ok(json!(format!("Bearer token-{number}"))));
    }
}

#[tokio::test]
async fn a_token_that_is_not_granted_is_an_authentication_fault() {
    let stub = guarded(None);
    let (kind, detail) = error(with_token(&stub, "/", "/refuses")).await;
    assert_eq!(kind, "authentication");
    assert!(
        detail.contains("invalid_client who is that") && !detail.contains("hush"),
        "{detail}"
    );
    let mut with = with_token(&stub, "/", "/realm");
    with["authentication"]["oauth2"]["grant"] = json!("authorization_code");
    let (kind, detail) = error(with).await;
    assert_eq!(kind, "validation");
    assert!(
        detail.contains("authorization_code") && detail.contains("password"),
        "{detail}"
    );
}

#[tokio::test]
async fn the_password_grant_and_basic_client_authentication_are_sent() {
    let stub = guarded(Some(60));
    let mut with = with_token(&stub, "/", "/realm/");
    let oauth2 = &mut with["authentication"]["oauth2"];
    oauth2["grant"] = json!("password");
    oauth2["username"] = json!("ada");
    oauth2["password"] = json!("p&w");
    oauth2["client"]["authentication"] = json!("client_secret_basic");
    assert_eq!(perform(Http, with).await, Ok(json!("Bearer token-1")));
    let asked = stub.asked();
    let sent = String::from_utf8_lossy(&asked[0].body);
    assert!(
        sent.starts_with("grant_type=password&username=ada&password=p%26w&scope="),
        "{sent}"
    );
    assert_eq!(asked[0].header("authorization"), Some("Basic Zmx1eDpodXNo"));
}
