//! What expressions may not use, and what to write instead.

/// `(name, what to use instead)`.
const REFUSED: &[(&str, &str)] = &[
    (
        "repeat",
        "work on the items of an array with `map(..)` or `reduce`",
    ),
    (
        "while",
        "use `reduce` or `foreach` over the items of an array",
    ),
    ("until", "use `reduce` over the items of an array"),
    (
        "range",
        "iterate over the items of an array with `.[]`, or over `keys`",
    ),
    ("limit", "use `first(f)`, or collect and cut: `[f][:3]`"),
    (
        "combinations",
        "use two generators: `.[0][] as $a | .[1][] as $b | ..`",
    ),
    ("input", "the input of the expression is `.`"),
    ("inputs", "the input of the expression is `.`"),
    ("input_filename", "the input of the expression is `.`"),
    ("input_line_number", "the input of the expression is `.`"),
    (
        "env",
        "pass settings in the input of the workflow, or secrets as `$secrets`",
    ),
    (
        "now",
        "use the times in `$workflow`, `$task` or `$runtime`; an expression must give the same result each time",
    ),
    (
        "localtime",
        "use `gmtime`; the time zone of the machine must not matter",
    ),
    (
        "strflocaltime",
        "use `strftime`; the time zone of the machine must not matter",
    ),
    (
        "debug",
        "put the value into the output of a task to look at it",
    ),
    (
        "stderr",
        "put the value into the output of a task to look at it",
    ),
    ("halt", "use `error(..)`, or a `raise` task"),
    ("halt_error", "use `error(..)`, or a `raise` task"),
    (
        "jn",
        "Bessel functions take unbounded time; `j0` and `j1` exist",
    ),
    (
        "yn",
        "Bessel functions take unbounded time; `y0` and `y1` exist",
    ),
    ("get_search_list", "modules are not available"),
    ("input_line_number", "the input of the expression is `.`"),
];

/// What to use instead of a refused function.
pub fn instead_of(name: &str, arity: usize) -> Option<&'static str> {
    if name == "recurse" && arity > 0 {
        return Some("use `..` or `recurse` without argument, and select from it");
    }
    REFUSED
        .iter()
        .find(|(refused, _)| *refused == name)
        .map(|(_, instead)| *instead)
}

/// Natives of jaq that no expression may reach, directly or through a definition.
pub fn is_hidden(name: &str) -> bool {
    const HIDDEN: &[&str] = &[
        "fromjson",
        "halt",
        "env",
        "now",
        "localtime",
        "strflocaltime",
        "debug_empty",
        "stderr_empty",
        "limit",
        "jn",
        "yn",
    ];
    HIDDEN.contains(&name)
}
