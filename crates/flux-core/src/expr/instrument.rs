//! Weaves the guards of `natives.rs` into a parsed expression, so that every loop counts steps and
//! every operation that builds a value checks its size. The meaning of the expression stays the same.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Opt, Part, Path};

/// Variable for intermediate values; expressions cannot name it.
const HELD: &str = "$__held";
const HELD_TOO: &str = "$__held_too";

/// Adds the guards to a term.
pub fn term(t: Term<&str>) -> Term<&str> {
    match t {
        Term::Recurse => then(Term::Recurse, "__step"),
        Term::Str(format, parts) => text(format, parts),
        Term::Arr(Some(items)) => then(
            Term::Arr(Some(Box::new(then(term(*items), "__item")))),
            "__check",
        ),
        Term::Obj(members) if !members.is_empty() => {
            let members = members
                .into_iter()
                .map(|(key, value)| (object_key(key), value.map(|t| then(term(t), "__item"))));
            then(Term::Obj(members.collect()), "__check")
        }
        Term::Neg(t) => Term::Neg(boxed(*t)),
        Term::BinOp(left, op, right) => binary(*left, op, *right),
        Term::Label(name, t) => Term::Label(name, boxed(*t)),
        Term::Fold(name, items, bound, args) => fold(name, *items, bound, args),
        Term::TryCatch(t, catch) => Term::TryCatch(boxed(*t), catch.map(|t| boxed(*t))),
        Term::IfThenElse(cases, last) => Term::IfThenElse(
            cases
                .into_iter()
                .map(|(test, then)| (term(test), term(then)))
                .collect(),
            last.map(|t| boxed(*t)),
        ),
        Term::Def(defs, t) => Term::Def(defs.into_iter().map(definition).collect(), boxed(*t)),
        Term::Call(name, args) => call(name, args),
        Term::Path(from, Path(parts)) => path(term(*from), parts),
        other @ (Term::Id
        | Term::Num(_)
        | Term::Arr(None)
        | Term::Obj(_)
        | Term::Break(_)
        | Term::Var(_)) => other,
    }
}

/// Adds the guards to the body of a definition.
pub fn definition(def: Def<&str>) -> Def<&str> {
    Def {
        name: def.name,
        args: def.args,
        body: term(def.body),
    }
}

fn boxed(t: Term<&str>) -> Box<Term<&str>> {
    Box::new(term(t))
}

fn plain(name: &str) -> Term<&str> {
    Term::Call(name, Vec::new())
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn then<'s>(t: Term<&'s str>, guard: &'s str) -> Term<&'s str> {
    pipe(t, plain(guard))
}

/// `value as $name | body`
fn bind<'s>(value: Term<&'s str>, name: &'s str, body: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(
        Box::new(value),
        BinaryOp::Pipe(Some(Pattern::Var(name))),
        Box::new(body),
    )
}

fn text<'s>(format: Option<&'s str>, parts: Vec<StrPart<&'s str, Term<&'s str>>>) -> Term<&'s str> {
    let computed = parts.iter().any(|part| matches!(part, StrPart::Term(_)));
    let parts = parts.into_iter().map(|part| match part {
        StrPart::Term(t) => StrPart::Term(then(term(t), "__part")),
        other => other,
    });
    let text = Term::Str(format, parts.collect());
    if computed {
        then(text, "__check")
    } else {
        text
    }
}

fn object_key(key: Term<&str>) -> Term<&str> {
    match key {
        Term::Var(_) => key,
        Term::Str(None, ref parts)
            if !parts.iter().any(|part| matches!(part, StrPart::Term(_))) =>
        {
            key
        }
        other => then(term(other), "__key"),
    }
}

fn binary<'s>(left: Term<&'s str>, op: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    let join = |op, left, right| Term::BinOp(Box::new(left), op, Box::new(right));
    let appends = matches!(&right, Term::BinOp(from, BinaryOp::Math(Math::Add), _) if matches!(**from, Term::Id));
    let (left, right) = (term(left), term(right));
    match op {
        BinaryOp::Update if appends => update(left, right),
        BinaryOp::Pipe(None) => pipe(left, right),
        BinaryOp::Pipe(Some(bound)) => join(
            BinaryOp::Pipe(Some(pattern(bound))),
            then(left, "__bind"),
            right,
        ),
        // The left side counts itself; counting only the right side keeps long lists cheap.
        BinaryOp::Comma => join(BinaryOp::Comma, left, then(right, "__step")),
        BinaryOp::Math(op) => math(op, left, right),
        BinaryOp::Update => update(left, then(right, "__put")),
        BinaryOp::Assign => bind(right, HELD, update(left, then(Term::Var(HELD), "__put"))),
        BinaryOp::UpdateMath(op) => bind(
            right,
            HELD,
            update(left, math(op, Term::Id, Term::Var(HELD))),
        ),
        BinaryOp::UpdateAlt => bind(
            right,
            HELD,
            update(
                left,
                then(join(BinaryOp::Alt, Term::Id, Term::Var(HELD)), "__put"),
            ),
        ),
        op @ (BinaryOp::Alt | BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_)) => {
            join(op, left, right)
        }
    }
}

/// The change has to measure what it adds (`__put`); `+` does so itself, so that appending in a loop
/// does not look at all that is there each time.
fn update<'s>(place: Term<&'s str>, change: Term<&'s str>) -> Term<&'s str> {
    let place = opened(place);
    then(
        Term::BinOp(Box::new(place), BinaryOp::Update, Box::new(change)),
        "__sum",
    )
}

/// As in jq, and unlike in jaq, setting a member of `null` makes it an object.
fn opened(place: Term<&str>) -> Term<&str> {
    match place {
        Term::BinOp(left, BinaryOp::Pipe(None), right) => pipe(opened(*left), *right),
        Term::Path(from, Path(parts)) => {
            parts.into_iter().fold(opened(*from), |from, (part, opt)| {
                let names = matches!(&part, Part::Index(Term::Str(None, _)));
                let from = if names { then(from, "__open") } else { from };
                Term::Path(Box::new(from), Path(vec![(part, opt)]))
            })
        }
        other => other,
    }
}

fn math<'s>(op: Math, left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    let number = matches!(left, Term::Num(_)) || matches!(right, Term::Num(_));
    let join = |left, right| Term::BinOp(Box::new(left), BinaryOp::Math(op), Box::new(right));
    match op {
        Math::Add if !number => then(join(left, then(right, "__put")), "__sum"),
        Math::Mul => Term::Call("__mul", vec![left, right]),
        Math::Sub if !number => join(then(left, "__work"), then(right, "__work")),
        Math::Div => Term::Call("__div", vec![left, right]),
        _ => join(left, right),
    }
}

fn fold<'s>(
    name: &'s str,
    items: Term<&'s str>,
    bound: Pattern<&'s str>,
    args: Vec<Term<&'s str>>,
) -> Term<&'s str> {
    let items = then(term(items), "__bind");
    let args = args.into_iter().enumerate().map(|(at, arg)| {
        // Counting the body guards the stack when `reduce` is the path of an update.
        if at == 1 {
            then(term(arg), "__step")
        } else {
            term(arg)
        }
    });
    Term::Fold(name, Box::new(items), pattern(bound), args.collect())
}

fn pattern(bound: Pattern<&str>) -> Pattern<&str> {
    match bound {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(parts) => Pattern::Arr(parts.into_iter().map(pattern).collect()),
        Pattern::Obj(parts) => Pattern::Obj(
            parts
                .into_iter()
                .map(|(key, part)| (term(key), pattern(part)))
                .collect(),
        ),
    }
}

fn call<'s>(name: &'s str, args: Vec<Term<&'s str>>) -> Term<&'s str> {
    let mut args: Vec<_> = args.into_iter().map(term).collect();
    match (name, args.len()) {
        ("recurse", 0) => then(Term::Recurse, "__step"),
        ("sort_by" | "group_by" | "min_by_or_empty" | "max_by_or_empty", 1) => {
            args = args.into_iter().map(|key| then(key, "__rank")).collect();
            pipe(plain("__work"), Term::Call(name, args))
        }
        ("contains" | "indices", 1) => {
            let other = args.remove(0);
            let held = || vec![Term::Var(HELD)];
            bind(
                other,
                HELD,
                pipe(Term::Call("__pairs", held()), Term::Call(name, held())),
            )
        }
        ("matches" | "split_matches" | "split_", 2) => {
            let (flags, regex) = (args.remove(1), args.remove(0));
            let held = || vec![Term::Var(HELD), Term::Var(HELD_TOO)];
            let search = pipe(Term::Call("__search", held()), Term::Call(name, held()));
            // Both are evaluated before either name is bound anew.
            bind(regex, HELD, bind(flags, HELD_TOO, search))
        }
        (
            "sort" | "reverse" | "keys_unsorted" | "key_values" | "ascii_downcase" | "ascii_upcase",
            0,
        ) => pipe(plain("__work"), plain(name)),
        ("explode", 0) => pipe(plain("__chars"), plain("explode")),
        ("range", _) => then(Term::Call(name, args), "__step"),
        (
            "tojson" | "implode" | "escape_sh" | "escape_html" | "unescape_html" | "encode_uri"
            | "decode_uri" | "encode_base64" | "decode_base64" | "tobytes" | "fromjson"
            | "strftime",
            _,
        ) => then(Term::Call(name, args), "__check"),
        _ => Term::Call(name, args),
    }
}

/// Counts after each `[]`, so that iterating over many empty collections counts too.
fn path<'s>(from: Term<&'s str>, parts: Vec<(Part<Term<&'s str>>, Opt)>) -> Term<&'s str> {
    // With several outputs in an index the order of results would change, so such paths stay whole.
    let splittable = parts.iter().all(|(part, _)| match part {
        Part::Index(t) => is_single(t),
        Part::Range(from, upto) => from.iter().chain(upto).all(is_single),
    });
    let (mut from, mut open) = (from, Vec::new());
    let mut guard = None;
    for (part, opt) in parts {
        match &part {
            Part::Range(None, None) => guard = Some("__step"),
            Part::Range(..) => guard = guard.or(Some("__slice")),
            Part::Index(_) => {}
        }
        let iterates = matches!(part, Part::Range(None, None));
        open.push((index(part), opt));
        if splittable && iterates {
            from = then(
                Term::Path(Box::new(from), Path(std::mem::take(&mut open))),
                "__step",
            );
            guard = None;
        }
    }
    if open.is_empty() {
        return from;
    }
    let path = Term::Path(Box::new(from), Path(open));
    match guard {
        Some(guard) => then(path, guard),
        None => path,
    }
}

fn is_single(t: &Term<&str>) -> bool {
    match t {
        Term::Num(_) | Term::Var(_) => true,
        Term::Neg(t) => is_single(t),
        Term::Str(None, parts) => !parts.iter().any(|part| matches!(part, StrPart::Term(_))),
        _ => false,
    }
}

fn index(part: Part<Term<&str>>) -> Part<Term<&str>> {
    match part {
        Part::Index(t) if is_single(&t) && !matches!(t, Term::Var(_)) => Part::Index(t),
        Part::Index(t) => Part::Index(then(term(t), "__index")),
        Part::Range(from, upto) => Part::Range(from.map(term), upto.map(term)),
    }
}
