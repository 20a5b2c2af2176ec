//! Random expressions: compiling never panics, and what compiles ends.

use crate::expr::{Expr, Scope};
use crate::value::{Value, check, object, text};
use proptest::prelude::*;

fn leaf() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        ".",
        "..",
        ".a",
        ".b",
        ".a.b",
        ".[]",
        ".[]?",
        ".[0]",
        ".[1:]",
        ".[:-1]",
        "1",
        "0",
        "-1",
        "2.5",
        "1e1000",
        "\"x\"",
        "\"\"",
        "null",
        "true",
        "false",
        "empty",
        "$v",
        "$w",
        "[]",
        "{}",
        "length",
        "keys",
        "add",
        "tojson",
        "tostring",
        "type",
        "reverse",
        "sort",
        "flatten",
        "to_entries",
        "explode",
        "@base64",
        "first",
        "last",
        "not",
        "paths",
        "nan",
        "infinite",
        "error",
        "floor",
        "recurse",
        "transpose",
        "any",
        "all",
        "min",
        "max",
        "unique",
        "ascii_downcase",
        "9223372036854775807",
        "fromjson",
        "values",
    ])
    .prop_map(str::to_owned)
}

fn code() -> impl Strategy<Value = String> {
    leaf().prop_recursive(5, 40, 3, |inner| {
        let ops = vec![
            "|", ",", "+", "-", "*", "/", "%", "==", "!=", "<", "<=", "and", "or", "//", "=", "|=",
            "+=", "*=", "//=",
        ];
        let calls = vec![
            "map",
            "select",
            "walk",
            "sort_by",
            "group_by",
            "min_by",
            "unique_by",
            "path",
            "del",
            "first",
            "last",
            "any",
            "all",
            "map_values",
            "with_entries",
            "contains",
            "has",
            "index",
            "indices",
            "split",
            "join",
            "test",
            "getpath",
            "error",
            "isempty",
            "to_entries",
            "pick",
            "ltrimstr",
            "flatten",
            "paths",
            "inside",
            "splits",
            "capture",
            "add",
            "nth",
        ];
        prop_oneof![
            (inner.clone(), prop::sample::select(ops), inner.clone())
                .prop_map(|(l, op, r)| format!("({l} {op} {r})")),
            (prop::sample::select(calls), inner.clone())
                .prop_map(|(name, f)| format!("{name}({f})")),
            inner.clone().prop_map(|f| format!("[{f}]")),
            (inner.clone(), inner.clone()).prop_map(|(k, v)| format!("{{a: {v}, ({k}): {v}}}")),
            inner.clone().prop_map(|f| format!("\"x\\({f})\"")),
            inner.clone().prop_map(|f| format!("try ({f}) catch .")),
            inner.clone().prop_map(|f| format!("-({f})")),
            (inner.clone(), inner.clone()).prop_map(|(f, i)| format!("({f})[{i}]")),
            (inner.clone(), inner.clone()).prop_map(|(f, g)| format!("({f} as $v | {g})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(f, g, h)| format!("if {f} then {g} else {h} end")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(f, g, h)| format!("reduce ({f}) as $v ({g}; {h})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(f, g, h)| format!("foreach ({f}) as $v ({g}; {h}; [.])")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(f, g, h)| format!("setpath({f}; {g}) | gsub({h}; \"\\({g})\")")),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<isize>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c<\\\\\"é]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| items.into_iter().collect()),
            (inner.clone(), inner).prop_map(|(a, b)| object([("a", a), ("b", b)])),
        ]
    })
}

fn run(code: &str, input: &Value) -> Result<(), TestCaseError> {
    if let Ok(expr) = Expr::compile(code, &["v", "w"])
        && let Ok(value) = expr.eval(input, &Scope::new().with("v", text("a")))
    {
        prop_assert!(check(&value, &crate::expr::budget::CAP).is_ok(), "{}", code);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expressions_end(code in code(), input in value()) {
        run(&code, &input)?;
    }

    #[test]
    fn any_text_compiles_or_is_refused_with_a_place(code in "\\PC{0,60}") {
        match Expr::compile(&code, &[]) {
            Ok(_) => {}
            Err(error) => prop_assert!(code.get(error.at.clone()).is_some(), "{code:?} {error:?}"),
        }
    }

    #[test]
    fn any_tokens_compile_or_are_refused(parts in prop::collection::vec(prop::sample::select(vec![
        "(", ")", "[", "]", "{", "}", "\"", "\\(", "\\", ".", ".a", "$v", "|", ",", ";", ":", "if", "then", "else", "end", "as", "reduce",
        "foreach", "try", "catch", "label", "break", "def", "@json", "1", "?", "//", "|=", "-", "..", "#", "\n", " ", "map", "import",
    ]), 0..30)) {
        let code = parts.concat();
        run(&code, &Value::Null)?;
        run(&parts.join(" "), &Value::Null)?;
    }

    #[test]
    fn the_fast_path_agrees_with_jaq(
        left in operand(), op in prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]), right in operand(),
        logic in prop::sample::select(vec!["and", "or"]), plain in any::<bool>(), not in any::<bool>(), input in value(), var in value(),
    ) {
        let mut code = if plain { left.clone() } else { format!("{left} {op} {right} {logic} {right}") };
        if not {
            code.push_str(" | not");
        }
        let expr = Expr::compile(&code, &["v", "w"]).map_err(|e| TestCaseError::fail(format!("{code}: {e}")))?;
        prop_assert!(expr.0.fast.is_some(), "{code}");
        let scope = Scope::new().with("v", var);
        if let Some(value) = expr.0.fast.as_ref().and_then(|fast| fast.eval(&input, &scope)) {
            let slow = expr.eval_slow(&input, &scope);
            let json = slow.map(|slow| crate::value::to_json(&slow));
            prop_assert_eq!(json, Ok(crate::value::to_json(&value)), "{}", code);
        }
    }
}

fn operand() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        ".",
        ".a",
        ".a.b",
        ".b.a",
        ".[\"a\"]",
        ".\"a\"",
        "$v",
        "$v.a",
        "$v.a.b",
        "$w",
        "$w.a",
        "1",
        "0",
        "2.5",
        "1e1000",
        "\"x\"",
        "\"a\\u0062\"",
        "\"\"",
        "null",
        "true",
        "false",
        "12345678901234567890",
    ])
    .prop_map(str::to_owned)
}
