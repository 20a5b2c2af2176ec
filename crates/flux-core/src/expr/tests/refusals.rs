//! What is refused, where, and what the author is told.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::expr::{Expr, Scope};
use crate::value::Value;

fn refused(code: &str) -> (String, String, String) {
    let error = match Expr::compile(code, &["context", "workflow"]) {
        Ok(_) => panic!("{code} was accepted"),
        Err(error) => error,
    };
    let at = code
        .get(error.at.clone())
        .unwrap_or_else(|| panic!("{code}: {:?}", error.at));
    (error.message, at.to_owned(), error.help.unwrap_or_default())
}

/// Expression, what is pointed at, part of the message, part of the help.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("def f: 1; f", "f", "def", "set"),
    ("1 | def f: 1; f", "f", "def", "set"),
    ("[repeat(1)]", "repeat", "not available", "map"),
    ("recurse(.[])", "recurse", "not available", ".."),
    (
        "[.[] | while(. < 3; . + 1)]",
        "while",
        "not available",
        "reduce",
    ),
    ("until(. > 3; . + 1)", "until", "not available", "reduce"),
    ("[range(10)]", "range", "not available", ".[]"),
    ("[limit(3; .[])]", "limit", "not available", "first"),
    (
        "combinations",
        "combinations",
        "not available",
        "generators",
    ),
    ("input", "input", "not available", "`.`"),
    ("env.HOME", "env", "not available", "secrets"),
    ("$ENV.HOME", "$ENV", "unknown variable", "secrets"),
    ("now - 1", "now", "not available", "$workflow"),
    ("1 | debug", "debug", "not available", "output"),
    ("debug(1)", "debug", "not available", "output"),
    ("stderr", "stderr", "not available", "output"),
    ("halt", "halt", "not available", "raise"),
    ("halt_error", "halt_error", "not available", "raise"),
    ("localtime", "localtime", "not available", "gmtime"),
    ("import \"a\" as a; 1", "import", "modules", ""),
    ("include \"a\"; 1", "include", "modules", ""),
    ("a::b", "a::b", "unknown function", ""),
    (
        ".a == $contxt.a",
        "$contxt",
        "unknown variable",
        "`$context`",
    ),
    ("$zzz", "$zzz", "unknown variable", "$context, $workflow"),
    (".[] as $x | $y", "$y", "unknown variable", "$x"),
    ("(1 as $x | 2) | $x", "$x", "unknown variable", ""),
    ("selct(.a)", "selct", "unknown function", "`select`"),
    ("map()", ")", "expected", ""),
    ("map", "map", "takes 1", ""),
    ("length(1)", "length", "takes 0", ""),
    ("__mul(1; 2)", "__mul", "unknown function", ""),
    ("1 as $__held | 2", "$__held", "reserved", ""),
    ("break $out", "$out", "label", ""),
    ("reduce .[] as $x (1)", "reduce", "arguments", "start"),
    ("@nope \"x\"", "@nope", "unknown function", ""),
    ("\"\\(now)\"", "now", "not available", ""),
    ("{a: now}", "now", "not available", ""),
    (".[now]", "now", "not available", ""),
    (".[] as {(now): $x} | $x", "now", "not available", ""),
    ("try now catch 1", "now", "not available", ""),
    ("if now then 1 end", "now", "not available", ""),
    (". |= now", "now", "not available", ""),
    ("", "", "expected term", ""),
    (".a ==", "", "expected term", ""),
    (".a b", "b", "expected nothing", ""),
    ("(.a", "", "closing", ""),
    (".a)", ")", "closes nothing", ""),
    ("\"abc", "", "closing quote", ""),
    ("ä", "ä", "expected token", ""),
    (".a & .b", "&", "expected token", ""),
];

#[test]
fn refusals_say_where_and_what_instead() {
    for (code, at, message, help) in REFUSED {
        let found = refused(code);
        assert_eq!(found.1, *at, "{code}: {found:?}");
        assert!(found.0.contains(message), "{code}: {found:?}");
        assert!(found.2.contains(help), "{code}: {found:?}");
    }
}

#[test]
fn text_that_would_overflow_the_stack_is_refused_before_it_is_parsed() {
    let nests = [
        "(",
        "[",
        "{a:",
        "-",
        "1|",
        "1,",
        "1+",
        "if 1 then ",
        "if 1 then 1 elif ",
        "\"\\(",
        "try ",
        "not|",
        ".a",
        ".[0]",
        "?",
        "1 as $x|",
        "label $x|",
        "reduce 1 as [",
        "map(",
        ".a=",
        "1//",
        "[.[",
        "$x",
        "..",
        "#",
        "\\\n",
        "\"",
        "reduce ",
        "[1,",
        "(1|",
        "{\"\\(",
        "1 as [",
    ];
    let run = move || {
        for nest in nests {
            for length in [
                1, 5, 20, 47, 60, 100, 99, 150, 190, 199, 205, 300, 1000, 3000, 100_000,
            ] {
                let open = nest.repeat(length);
                for code in [
                    open.clone(),
                    format!("{open}1"),
                    format!("{open}1{}", ")".repeat(length)),
                ] {
                    let compiled = Expr::compile(&code, &["x"]);
                    assert!(
                        length < 4000 || nest == "#" || compiled.is_err(),
                        "{nest} {length}"
                    );
                    if let Ok(expr) = compiled {
                        let _ = expr.eval(&Value::from(1isize), &Scope::new());
                    }
                }
            }
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap();
    thread.join().unwrap();
}

#[test]
fn the_longest_accepted_expressions_run_on_a_small_stack() {
    let chains = [
        ("1", " | .", 98),
        ("1", " + 1", 98),
        ("1", ", 1", 98),
        ("[1]", " | map(.)", 60),
        ("{}", " | .a = 1", 38),
        ("null", " // null", 60),
        ("{a: 1}", " | to_entries | from_entries", 48),
    ];
    let run = move || {
        for (start, more, times) in chains {
            let code = start.to_owned() + &more.repeat(times);
            let expr = Expr::compile(&code, &[]).unwrap_or_else(|e| panic!("{code}: {e}"));
            expr.eval(&Value::Null, &Scope::new())
                .unwrap_or_else(|e| panic!("{code}: {e}"));
        }
        let members: Vec<_> = (0..60).map(|n| format!("k{n}: [.[] | . + {n}]")).collect();
        let expr = Expr::compile(&format!("{{{}}}", members.join(", ")), &[]);
        expr.unwrap_or_else(|e| panic!("{e}"));
        let nested = (0..45).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
        Expr::compile(&nested, &[]).unwrap();
        let nested = (0..45).fold(".".to_owned(), |inner, _| format!("map({inner})"));
        let value = (0..45).fold(Value::Null, |inner, _| [inner].into_iter().collect());
        Expr::compile(&nested, &[])
            .unwrap()
            .eval(&value, &Scope::new())
            .unwrap();
    };
    let thread = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap();
    thread.join().unwrap();
}
