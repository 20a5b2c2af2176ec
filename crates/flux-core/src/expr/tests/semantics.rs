//! What expressions mean: jq.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::expr::{EvalError, Expr, Scope};
use crate::value::{parse, to_json};

fn eval(text: &str, input: &str) -> Result<String, EvalError> {
    let expr = Expr::compile(text, &["context"]).unwrap_or_else(|e| panic!("{text}: {e}"));
    let scope = Scope::new().with("context", parse(r#"{"user":{"name":"Ada"}}"#).unwrap());
    expr.eval(&parse(input).unwrap(), &scope)
        .map(|v| to_json(&v))
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn means_what_jq_means() {
    let doc =
        r#"{"a":{"b":1},"s":"x,y","n":[3,1,2],"items":[{"id":1,"p":2.5},{"id":2,"p":4}],"z":null}"#;
    let table = [
        (".", doc),
        (".a.b", "1"),
        (".missing.deep", "null"),
        (".a.b == 1 and (.z | not)", "true"),
        ("$context.user.name", "\"Ada\""),
        ("$context.user.name == \"Ada\"", "true"),
        ("[.items[] | select(.p > 3) | .id]", "[2]"),
        ("[.items[].p] | add", "6.5"),
        (".n | sort", "[1,2,3]"),
        (".n | map(. * 2)", "[6,2,4]"),
        (".n | sort_by(-.)", "[3,2,1]"),
        (".items | group_by(.id % 2) | length", "2"),
        (".items | min_by(.p).id", "1"),
        (".items | unique_by(.id) | length", "2"),
        (".a | to_entries", r#"[{"key":"b","value":1}]"#),
        (".a | with_entries(.value += 1)", r#"{"b":2}"#),
        ("[.n | paths]", "[[0],[1],[2]]"),
        ("[.a | paths]", r#"[["b"]]"#),
        ("[[1,[2]],3] | flatten", "[1,2,3]"),
        (".n | any(. > 2), all(. > 2)", "true"),
        (".n | all(. > 2)", "false"),
        (".s | test(\"x\")", "true"),
        (".s | split(\",\")", r#"["x","y"]"#),
        (".s / \",\"", r#"["x","y"]"#),
        (".s | sub(\"x\"; \"z\")", "\"z,y\""),
        (".s | gsub(\"[xy]\"; \"z\")", "\"z,z\""),
        (".s | [match(\"(?<c>y)\").captures[0].string]", "[\"y\"]"),
        (".s | capture(\"(?<c>y)\")", r#"{"c":"y"}"#),
        (".s | ascii_upcase", "\"X,Y\""),
        (".s | ltrimstr(\"x\")", "\",y\""),
        (".s | @base64", "\"eCx5\""),
        (".s | @base64 | @base64d", "\"x,y\""),
        ("\"<\\(.s)> \\(.n)\"", "\"<x,y> [3,1,2]\""),
        ("@json \"v=\\(.n)\"", "\"v=[3,1,2]\""),
        (".n | join(\"-\")", "\"3-1-2\""),
        (
            ".a | walk(if type == \"number\" then . + 1 else . end)",
            r#"{"b":2}"#,
        ),
        (".a.b |= . + 1 | .a", r#"{"b":2}"#),
        (".a.c = 5 | .a", r#"{"b":1,"c":5}"#),
        (".n[] += 1 | .n", "[4,2,3]"),
        (".n[0] *= 3 | .n", "[9,1,2]"),
        (".z //= 7 | .z", "7"),
        ("del(.n[0]) | .n", "[1,2]"),
        ("del(.a) | has(\"a\")", "false"),
        ("reduce .n[] as $x (0; . + $x)", "6"),
        ("[foreach .n[] as $x (0; . + $x)]", "[3,4,6]"),
        (
            "[foreach .n[] as $x (0; . + $x; [$x, .])]",
            "[[3,3],[1,4],[2,6]]",
        ),
        (".n as [$a, $b] | $a - $b", "2"),
        (".a as {b: $x} | $x", "1"),
        ("getpath([\"a\", \"b\"])", "1"),
        ("setpath([\"a\", \"b\"]; 9) | .a", r#"{"b":9}"#),
        (
            "delpaths([[\"a\"], [\"z\"]]) | keys",
            r#"["items","n","s"]"#,
        ),
        ("[.. | numbers]", "[1,3,1,2,1,2.5,2,4]"),
        ("[recurse | strings]", r#"["x,y"]"#),
        (".n[1:]", "[1,2]"),
        (".n[:-1]", "[3,1]"),
        (".n[-1]", "2"),
        (".n[1:] |= map(. + 1) | .n", "[3,2,3]"),
        (".n[:1] = [9, 9] | .n", "[9,9,1,2]"),
        ("del(.n[1:]) | .n", "[3]"),
        ("[path(.n[1:][0])]", r#"[["n",{"start":1},0]]"#),
        ("(.n | first) |= 8 | .n", "[8,1,2]"),
        ("(.n[] | select(. > 1)) |= 0 | .n", "[0,1,0]"),
        ("(.a, .a).b += 1 | .a.b", "3"),
        ("(.. | numbers) |= -. | .n", "[-3,-1,-2]"),
        ("(if .z then .a else .n end) |= length | .n", "3"),
        ("to_entries | map(.key) | first", "\"a\""),
        (".n[-2:]", "[1,2]"),
        (".n | index(1)", "1"),
        (".n | contains([1])", "true"),
        ("[.n[] | . as $x | {v: $x}]", r#"[{"v":3},{"v":1},{"v":2}]"#),
        (
            "{a, b: 2, (.s): 3, $context}",
            r#"{"a":{"b":1},"b":2,"x,y":3,"context":{"user":{"name":"Ada"}}}"#,
        ),
        ("try error(\"x\") catch .", "\"x\""),
        ("[.n[]?, .s[]?]", "[3,1,2]"),
        ("if .a then 1 elif .z then 2 else 3 end", "1"),
        ("first(.n[])", "3"),
        ("[.n[] | if . > 2 then empty else . end]", "[1,2]"),
        ("empty", "null"),
        ("{} | .x.y = 1", r#"{"x":{"y":1}}"#),
        (".z.k += 2 | .z", r#"{"k":2}"#),
        (".items[0].new.deep |= 5 | .items[0].new", r#"{"deep":5}"#),
        ("null | .a = 1", r#"{"a":1}"#),
        (".items[].t = 1 | [.items[].t]", "[1,1]"),
        (".n | toarray", "[3,1,2]"),
        (
            "label $out | .n[] | if . == 1 then ., break $out else empty end",
            "1",
        ),
        (".n | tojson | fromjson", "[3,1,2]"),
        ("\"ab\" * 3", "\"ababab\""),
        ("\"ab\" * 0", "null"),
        ("{a: {b: 1}} * {a: {c: 2}}", r#"{"a":{"b":1,"c":2}}"#),
        ("6 / 3, 7 % 4", "2"),
        ("\"\\(6 / 3) \\(1 / 2)\"", "\"2 0.5\""),
        ("6 / 3 | tojson", "\"2\""),
        ("[1,2,3] - [2]", "[1,3]"),
        ("\"abc\" | explode | implode", "\"abc\""),
        ("[1,2] | .[1] = 5", "[1,5]"),
        ("infinite > 1e300", "true"),
        (
            "\"2015-03-05T23:51:47Z\" | fromdateiso8601 | todate",
            "\"2015-03-05T23:51:47Z\"",
        ),
        ("[[1,2],[3,4]] | [.[][(0,1)]]", "[1,3,2,4]"),
        ("[[1,2],[3,4]] | transpose", "[[1,3],[2,4]]"),
        ("pick(.a.b)", r#"{"a":{"b":1}}"#),
        (".items | map(has(\"id\")) | all", "true"),
        (".s | ascii_downcase | length", "3"),
        ("1 as $x | [$x, $x + 1]", "[1,2]"),
        ("[.[] | numbers, arrays] | length", "2"),
        (".items | map(.p) | (min, max)", "2.5"),
        ("pow(2; 10)", "1024"),
        ("12345678901234567890123", "12345678901234567890123"),
    ];
    for (text, want) in table {
        assert_eq!(eval(text, doc), Ok(want.to_owned()), "{text}");
    }
}
