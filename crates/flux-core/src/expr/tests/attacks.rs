//! Expressions that try to exhaust the engine: each must end soon, with an error, in little memory.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::expr::{EvalError, Expr, Scope};
use crate::value::{Value, parse, text};
use std::time::{Duration, Instant};

/// Runs with the stack of a usual thread, so that recursion shows.
fn on_small_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap()
}

fn numbers(n: isize) -> Value {
    (0..n).map(Value::from).collect()
}

fn attack(code: &'static str, input: Value) -> (Result<Value, EvalError>, Duration) {
    on_small_stack(move || {
        let expr = Expr::compile(code, &[]).unwrap_or_else(|e| panic!("{code}: {e}"));
        let start = Instant::now();
        let result = expr.eval(&input, &Scope::new());
        (result, start.elapsed())
    })
}

#[track_caller]
fn stopped(code: &'static str, input: Value) {
    let (result, took) = attack(code, input);
    let result = result.map(|value| crate::value::to_json(&value).len());
    assert!(
        matches!(result, Err(EvalError::Budget(_) | EvalError::TooLarge(_))),
        "{code}: {result:?} after {took:?}"
    );
    // The limit is 2 s on an idle machine; the machine that tests is shared.
    assert!(took < Duration::from_secs(6), "{code}: {took:?}");
    println_time(code, took);
}

fn println_time(code: &str, took: Duration) {
    if std::env::var_os("FLUX_TEST_TIMES").is_some() {
        let line = format!("{took:>12?} {code}\n");
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    }
}

#[test]
fn huge_texts() {
    stopped(
        r#""x" * 2e9"#.replace("2e9", "2000000000").leak(),
        Value::Null,
    );
    stopped(r#""" * 9000000000000000000"#, Value::Null);
    stopped(r#""x" * 99999999999999999999999"#, Value::Null);
    stopped(
        r#"("x" * 4000000) as $a | [.[] | $a + "y"] | length"#,
        numbers(2000),
    );
    stopped(r#"reduce .[] as $x ("x"; . + .)"#, numbers(2000));
    stopped(r#"reduce .[] as $x ("x"; "\(.)\(.)")"#, numbers(2000));
    stopped(r#"reduce .[] as $x ("x"; tojson)"#, numbers(2000));
    stopped(r#"reduce .[] as $x ("x"; @base64)"#, numbers(2000));
    stopped(
        r#"reduce .[] as $x ("x"; [., .] | join(""))"#,
        numbers(2000),
    );
    stopped(r#"reduce .[] as $x ("x"; gsub(""; "x"))"#, numbers(2000));
    stopped(r#"("x" * 4000000) | gsub(""; "x")"#, Value::Null);
    stopped(r#"("x" * 4000000) | [splits("")] | length"#, Value::Null);
    stopped(r#"("x" * 4000000) | explode | length"#, Value::Null);
    stopped(r#"("x" * 4000000) / "" | length"#, Value::Null);
    stopped(
        r#"("x" * 4000000) as $b | [.[] | [$b, .]] | tojson"#,
        numbers(2000),
    );
    stopped(
        r#"("x" * 8000000) as $b | sort_by($b + tojson) | length"#,
        numbers(2000),
    );
    stopped(r#"[.[] as $x | ("x" * 1000000)] | join("")"#, numbers(2000));
}

#[test]
fn many_steps() {
    stopped(
        "[.[] as $a | .[] as $b | .[] as $c | .[] as $d | 1] | length",
        numbers(2000),
    );
    stopped(
        "reduce (.[] | $ctx)"
            .replace(
                "reduce (.[] | $ctx)",
                "reduce (.[] as $a | .[] as $b | .[]) as $x (0; 1)",
            )
            .leak(),
        numbers(2000),
    );
    stopped("any(.[] as $a | .[] as $b | .[]; . < 0)", numbers(2000));
    stopped("[.[] as $x | .[]] | length", numbers(2000));
    let doubling = "(1,1)".to_owned() + &" | (.,.)".repeat(30);
    stopped(
        format!("reduce ({doubling}) as $x (0; 1)").leak(),
        Value::Null,
    );
    let trying = "(1,1)".to_owned() + &" | ((.,.)?)".repeat(30);
    stopped(
        format!("reduce (try ({trying})) as $x (0; 1)").leak(),
        Value::Null,
    );
    stopped(
        "[.[] as $x | [.[] as $y | try error(\"x\") catch .]] | length",
        numbers(2000),
    );
    stopped(
        "reduce (.[] as $a | .[]) as $x (.; . == . | $a)"
            .replace(" | $a", "")
            .leak(),
        numbers(2000),
    );
    stopped(
        ". as $d | [.[] | $d | contains($d)] | length",
        numbers(2000),
    );
    stopped(". as $d | [.[] | $d - [.]] | length", numbers(20_000));
}

#[test]
fn growing_values() {
    stopped("reduce .[] as $x (.; . + .)", numbers(2000));
    stopped("reduce .[] as $x (.; [., .]) | tojson", numbers(2000));
    stopped("reduce .[] as $x (.; [.]) | tojson", numbers(2000));
    stopped("reduce .[] as $x ({}; {a: ., b: .})", numbers(2000));
    stopped("reduce .[] as $x ({}; .a = .)", numbers(2000));
    stopped("reduce .[] as $x ([[]]; .[0] = . + .)", numbers(2000));
    stopped("reduce .[] as $x ([1]; .[] = .)", numbers(2000));
    stopped("reduce .[] as $x ([1]; .[] |= [., .])", numbers(2000));
    stopped("reduce .[] as $x ([1, 2]; .. |= [., .])", numbers(2000));
    stopped(". as $d | [.[] | $d] | [.[] | .[]] | length", numbers(2000));
    stopped("reduce .[] as $x (3; . * .)", numbers(2000));
    stopped("reduce .[] as $x (.; .[1:1] = .)", numbers(2000));
}

#[test]
fn many_copies() {
    stopped(". as $d | [.[] | $d + [1]] | length", numbers(20_000));
    stopped(". as $d | .[] |= ($d + [1]) | length", numbers(20_000));
    stopped(". as $d | .[] = ($d + [1]) | length", numbers(20_000));
    stopped(
        ". as $d | map_values($d | reverse) | length",
        numbers(20_000),
    );
    stopped(
        ". as $d | sort_by($d == $d | not | [$d, .]) | sort_by($d < $d) | length",
        numbers(20_000),
    );
    stopped(
        ". as $d | [.[] | {a: ($d + [1])}] | length",
        numbers(20_000),
    );
    stopped(". as $d | [.[] | $d - [1]] | length", numbers(20_000));
    stopped(
        ". as $d | reduce .[] as $x (0; $d | sort | length)",
        numbers(20_000),
    );
    stopped(
        ". as $d | reduce .[] as $x (0; $d | tojson | length)",
        numbers(20_000),
    );
}

#[test]
fn deep_paths() {
    stopped("(reduce .[] as $x (.; .)) |= 1", numbers(20_000));
    stopped(
        ". as $d | null | [path(reduce $d[] as $x (.; .a))]",
        numbers(20_000),
    );
    stopped("(foreach .[] as $x (.; .)) |= 1", numbers(20_000));
    stopped("[.[] | \"a\"] as $p | null | getpath($p)", numbers(20_000));
    stopped("[.[] | \"a\"] as $p | {} | setpath($p; 1)", numbers(20_000));
    stopped("[.[] | \"a\"] as $p | {} | delpaths([$p])", numbers(20_000));
    let deep = |code: &str| {
        Expr::compile(code, &[])
            .unwrap()
            .eval(&Value::Null, &Scope::new())
    };
    let code = r#"(("[" * 100000) + ("]" * 100000)) | fromjson"#;
    assert!(matches!(deep(code), Err(EvalError::Failed(message)) if message.contains("levels")));
    assert!(deep(r#"(("[" * 100) + ("]" * 100)) | fromjson | flatten"#).is_ok());
}

#[test]
fn harmless_but_odd() {
    for code in [
        ".[1000000000] = 1",
        "[.[] | -1 as $i | .[$i]?] | length",
        ".[:-1] | length",
        "1e1000 | . * 2",
        "-9223372036854775808 | -. | . % -1",
        "-9223372036854775807 - 1 | -(.)",
        "-9223372036854775807 - 1 | . % -1",
        "(-9223372036854775807 - 1) | abs",
        "pow(10; 1000)",
        "nan | tojson",
        "[nan] | sort | tojson",
        "[-9223372036854775808] | implode",
        "[1114112] | implode",
        "\"a\" | test(\"(\")",
        "\"a\" | test(\"(a{1000}){1000}\")",
        "\"aaaa\" | test(\"(a+)+b\")",
        "{(1): 2}",
        "{} | .[1] = 2",
        "now_is_refused?",
        "@text \"\\(.)\" | length",
    ] {
        if let Ok(expr) = Expr::compile(code, &[]) {
            let _ = expr.eval(&numbers(5), &Scope::new());
        }
    }
    let expr = Expr::compile("{(tojson): 2}", &[]).unwrap();
    assert!(expr.eval(&text("a"), &Scope::new()).is_ok());
    let expr = Expr::compile("{} | .[1] = 2", &[]).unwrap();
    assert!(matches!(
        expr.eval(&Value::Null, &Scope::new()),
        Err(EvalError::Failed(_))
    ));
    let odd = parse("[1e1000, 1.10, 18446744073709551616]").unwrap();
    assert_eq!(
        crate::value::to_json(&odd),
        "[1e1000,1.10,18446744073709551616]"
    );
}

#[test]
fn ordinary_loops_over_large_data_still_work() {
    for (code, want) in [
        ("reduce .[] as $x ([]; . + [$x]) | length", 10_000),
        (
            "reduce .[] as $x ({}; .[$x | tostring] = $x) | length",
            10_000,
        ),
        (
            "reduce .[] as $x ({}; .[$x % 10 | tostring] += 1) | length",
            10,
        ),
        (
            "map({id: ., name: \"n\\(.)\"}) | group_by(.id % 7) | length",
            7,
        ),
        ("[.[] | select(. % 2 == 0)] | length", 5_000),
        (
            "reduce .[] as $x ({}; .all += [$x]) | .all | length",
            10_000,
        ),
        (
            "reduce .[] as $x ({}; .[$x % 3 | tostring] |= . + [$x]) | length",
            3,
        ),
        (
            "walk(if type == \"number\" then . + 1 else . end) | length",
            10_000,
        ),
        (
            "map(tostring) | join(\",\") | split(\",\") | length",
            10_000,
        ),
        ("[.[] | tostring] | unique | length", 10_000),
        ("to_entries | map(.value) | add", 49_995_000),
    ] {
        let (result, took) = attack(code, numbers(10_000));
        assert_eq!(result, Ok(Value::from(want as isize)), "{code}");
        println_time(code, took);
    }
}
