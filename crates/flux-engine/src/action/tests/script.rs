use super::*;
use ActionKind::Script;

#[tokio::test]
async fn each_language_gets_code_arguments_and_input() {
    let code = [
        (
            "python",
            "import sys\nprint(sys.argv[1:], sys.stdin.read())",
            "['a b', '1'] in",
        ),
        (
            "js",
            "import { readFileSync } from 'node:fs';\nconst [_, __, a, b] = process.argv;\n\
             console.log(a, b, readFileSync(process.stdin.fd, 'utf8'))",
            "a b 1 in",
        ),
        ("sh", "echo \"$1\" \"$2\" \"$(cat)\"", "a b 1 in"),
        (
            "bash",
            "args=(\"$@\"); echo \"${args[@]}\" \"$(cat)\"",
            "a b 1 in",
        ),
    ];
    for (language, code, expected) in code {
        let with =
            json!({"language": language, "code": code, "arguments": ["a b", 1], "stdin": "in"});
        assert_eq!(
            perform(Script, with).await,
            Ok(json!(expected)),
            "{language}"
        );
    }
}

#[tokio::test]
async fn the_code_is_private_and_removed() {
    let with = json!({"language": "sh", "code": "echo \"$0\"; ls -l \"$0\""});
    let output = perform(Script, with).await.expect("the script works");
    let (path, listing) = output
        .as_str()
        .and_then(|text| text.split_once('\n'))
        .expect("lines");
    assert!(listing.starts_with("-rw-------"), "{listing}");
    assert!(!std::path::Path::new(path).exists(), "{path} is removed");
}

#[tokio::test]
async fn a_script_that_fails_says_so() {
    let with = json!({"language": "python", "code": "raise SystemExit('bad day')"});
    let (kind, detail) = fault(perform(Script, with).await);
    assert_eq!(
        (kind.as_str(), detail.as_str()),
        (
            "runtime",
            "the python script ended with exit code 1: bad day"
        )
    );
}

#[tokio::test]
async fn a_missing_interpreter_is_named() {
    // The PATH of the task decides where its interpreter is looked for.
    let with = json!({"language": "js", "code": "1", "environment": {"PATH": "/nowhere"}});
    let (_, detail) = fault(perform(Script, with).await);
    assert!(
        detail.contains("`node`") && detail.contains("install Node.js"),
        "{detail}"
    );
}

#[tokio::test]
async fn an_unknown_language_is_refused() {
    let (kind, detail) = fault(perform(Script, json!({"language": "cobol", "code": "x"})).await);
    assert_eq!(kind, "configuration");
    assert!(
        detail.contains("cobol") && detail.contains("python"),
        "{detail}"
    );
}
