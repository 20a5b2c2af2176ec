//! The functions expressions may call: jaq's natives and its definitions written in jq. The latter
//! are slow to compile, so an expression gets only those it calls.

use super::{instrument, natives, refuse};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{Def, Pattern, Term};
use jaq_core::path::Part;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Name and number of arguments.
pub type Signature<'s> = (&'s str, usize);

/// Definitions used instead of jaq's; they come first, so they may call natives only.
const REPLACED: &str = "def getpath($path): reduce ($path | __path)[] as $part (.; .[$part]);";
/// Definitions jq has and jaq lacks.
const ADDED: &str = "def toarray: if isarray then . else [.] end;";

static LIBRARY: LazyLock<Library> = LazyLock::new(Library::new);

struct Library {
    /// In an order in which each uses only earlier ones.
    defs: Vec<Entry>,
    by_name: BTreeMap<Signature<'static>, usize>,
    natives: BTreeSet<Signature<'static>>,
}

struct Entry {
    def: Def<&'static str>,
    uses: BTreeSet<usize>,
}

impl Library {
    fn new() -> Self {
        let natives = natives::all()
            .map(|(name, args, _)| (name, args.len()))
            .collect();
        let mut library = Self {
            defs: Vec::new(),
            by_name: BTreeMap::new(),
            natives,
        };
        let parse = |text| jaq_core::load::parse(text, |p| p.defs()).unwrap_or_default();
        parse(REPLACED).into_iter().for_each(|def| library.add(def));
        let replaced: BTreeSet<_> = library.by_name.keys().copied().collect();
        let theirs = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        for def in theirs {
            if !replaced.contains(&(def.name, def.args.len())) && !is_dropped(def.name) {
                library.add(def);
            }
        }
        parse(ADDED).into_iter().for_each(|def| library.add(def));
        library
    }

    fn add(&mut self, def: Def<&'static str>) {
        let def = instrument::definition(def);
        let at = self.defs.len();
        let mut called = BTreeSet::new();
        calls(&def.body, &mut called);
        self.by_name.insert((def.name, def.args.len()), at);
        let uses = called
            .iter()
            .filter_map(|signature| self.by_name.get(signature).copied());
        let uses = uses.filter(|used| *used != at).collect();
        self.defs.push(Entry { def, uses });
    }
}

/// Definitions of no use without what is refused.
fn is_dropped(name: &str) -> bool {
    [
        "repeat",
        "while",
        "until",
        "combinations",
        "debug",
        "stderr",
        "halt",
        "halt_error",
    ]
    .contains(&name)
}

/// Whether expressions may call this function.
pub fn knows(signature: Signature<'_>) -> bool {
    let (name, arity) = signature;
    !name.starts_with("__")
        && refuse::instead_of(name, arity).is_none()
        && (LIBRARY.by_name.contains_key(&signature) || LIBRARY.natives.contains(&signature))
}

/// All functions expressions may call.
pub fn names() -> impl Iterator<Item = Signature<'static>> {
    LIBRARY
        .by_name
        .keys()
        .chain(&LIBRARY.natives)
        .copied()
        .filter(|signature| knows(*signature))
}

/// The definitions needed to call these functions, in order.
pub fn definitions(called: &BTreeSet<Signature<'_>>) -> Vec<Def<&'static str>> {
    let mut needed = BTreeSet::new();
    let mut open: Vec<usize> = called
        .iter()
        .filter_map(|signature| LIBRARY.by_name.get(signature).copied())
        .collect();
    while let Some(at) = open.pop() {
        if needed.insert(at) {
            open.extend(&LIBRARY.defs[at].uses);
        }
    }
    needed
        .into_iter()
        .map(|at| LIBRARY.defs[at].def.clone())
        .collect()
}

/// Collects every function a term calls.
fn calls<'s>(t: &Term<&'s str>, into: &mut BTreeSet<Signature<'s>>) {
    match t {
        Term::Id
        | Term::Recurse
        | Term::Num(_)
        | Term::Arr(None)
        | Term::Break(_)
        | Term::Var(_) => {}
        Term::Str(format, parts) => {
            into.extend(format.map(|name| (name, 0)));
            for part in parts {
                if let StrPart::Term(t) = part {
                    calls(t, into);
                }
            }
        }
        Term::Arr(Some(t)) | Term::Neg(t) | Term::Label(_, t) => calls(t, into),
        Term::Obj(members) => members.iter().for_each(|(key, value)| {
            calls(key, into);
            value.iter().for_each(|t| calls(t, into));
        }),
        Term::BinOp(left, op, right) => {
            calls(left, into);
            if let jaq_core::load::parse::BinaryOp::Pipe(Some(bound)) = op {
                pattern_calls(bound, into);
            }
            calls(right, into);
        }
        Term::Fold(_, items, bound, args) => {
            calls(items, into);
            pattern_calls(bound, into);
            args.iter().for_each(|t| calls(t, into));
        }
        Term::TryCatch(t, catch) => {
            calls(t, into);
            catch.iter().for_each(|t| calls(t, into));
        }
        Term::IfThenElse(cases, last) => {
            cases.iter().for_each(|(test, then)| {
                calls(test, into);
                calls(then, into);
            });
            last.iter().for_each(|t| calls(t, into));
        }
        Term::Def(defs, t) => {
            defs.iter().for_each(|def| calls(&def.body, into));
            calls(t, into);
        }
        Term::Call(name, args) => {
            into.insert((name, args.len()));
            args.iter().for_each(|t| calls(t, into));
        }
        Term::Path(t, path) => {
            calls(t, into);
            for (part, _) in &path.0 {
                match part {
                    Part::Index(t) => calls(t, into),
                    Part::Range(from, upto) => from.iter().chain(upto).for_each(|t| calls(t, into)),
                }
            }
        }
    }
}

fn pattern_calls<'s>(bound: &Pattern<&'s str>, into: &mut BTreeSet<Signature<'s>>) {
    match bound {
        Pattern::Var(_) => {}
        Pattern::Arr(parts) => parts.iter().for_each(|part| pattern_calls(part, into)),
        Pattern::Obj(parts) => parts.iter().for_each(|(key, part)| {
            calls(key, into);
            pattern_calls(part, into);
        }),
    }
}
