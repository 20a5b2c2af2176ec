//! Judges a parsed expression: every function must be allowed, every variable known.

use super::library::{self, Signature};
use super::{CompileError, refuse, suggest};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::path::Part;
use std::collections::BTreeSet;
use std::ops::Range;

type Verdict = Result<(), CompileError>;

/// Walks an expression, keeping what is bound at each place.
pub struct Guard<'s> {
    text: &'s str,
    /// Variables without `$`, the latest last.
    vars: Vec<&'s str>,
    labels: Vec<&'s str>,
    /// The functions called.
    pub calls: BTreeSet<Signature<'s>>,
}

impl<'s> Guard<'s> {
    /// A guard for `text`, where the variables `vars` (without `$`) are known.
    pub fn new(text: &'s str, vars: &'s [String]) -> Self {
        Self {
            text,
            vars: vars.iter().map(String::as_str).collect(),
            labels: Vec::new(),
            calls: BTreeSet::new(),
        }
    }

    /// Refuses the term if anything in it is not allowed.
    pub fn term(&mut self, t: &Term<&'s str>) -> Verdict {
        match t {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Arr(None) => Ok(()),
            Term::Str(format, parts) => self.text(*format, parts),
            Term::Arr(Some(t)) | Term::Neg(t) => self.term(t),
            Term::Obj(members) => members.iter().try_for_each(|(key, value)| {
                self.term(key)?;
                value.iter().try_for_each(|t| self.term(t))
            }),
            Term::BinOp(left, op, right) => {
                self.term(left)?;
                match op {
                    BinaryOp::Pipe(Some(bound)) => self.bound(bound, |guard| guard.term(right)),
                    _ => self.term(right),
                }
            }
            Term::Label(name, t) => {
                self.labels.push(name);
                let verdict = self.term(t);
                self.labels.pop();
                verdict
            }
            Term::Break(name) if self.labels.contains(name) => Ok(()),
            Term::Break(name) => Err(self.error(name, format!("no `label {name}` here"), None)),
            Term::Fold(name, items, bound, args) => self.fold(name, items, bound, args),
            Term::TryCatch(t, catch) => {
                self.term(t)?;
                catch.iter().try_for_each(|t| self.term(t))
            }
            Term::IfThenElse(cases, last) => {
                cases.iter().try_for_each(|(test, then)| {
                    self.term(test)?;
                    self.term(then)
                })?;
                last.iter().try_for_each(|t| self.term(t))
            }
            Term::Def(defs, _) => {
                let name = defs.first().map_or("", |def| def.name);
                let help =
                    Some("write the filter where it is used, or use a `set` task".to_owned());
                Err(self.error(
                    name,
                    "definitions (`def`) are not available".to_owned(),
                    help,
                ))
            }
            Term::Call(name, args) => {
                self.call(name, args.len())?;
                args.iter().try_for_each(|t| self.term(t))
            }
            Term::Var(name) => self.variable(name),
            Term::Path(t, path) => {
                self.term(t)?;
                path.0.iter().try_for_each(|(part, _)| match part {
                    Part::Index(t) => self.term(t),
                    Part::Range(from, upto) => {
                        from.iter().chain(upto).try_for_each(|t| self.term(t))
                    }
                })
            }
        }
    }

    fn text(
        &mut self,
        format: Option<&'s str>,
        parts: &[StrPart<&'s str, Term<&'s str>>],
    ) -> Verdict {
        if let Some(format) = format {
            self.call(format, 0)?;
        }
        parts.iter().try_for_each(|part| match part {
            StrPart::Term(t) => self.term(t),
            StrPart::Str(_) | StrPart::Char(_) => Ok(()),
        })
    }

    fn fold(
        &mut self,
        name: &'s str,
        items: &Term<&'s str>,
        bound: &Pattern<&'s str>,
        args: &[Term<&'s str>],
    ) -> Verdict {
        let fits = match name {
            "reduce" => args.len() == 2,
            _ => args.len() == 2 || args.len() == 3,
        };
        if !fits {
            let help = format!("write `{name} .[] as $item (start; step)`");
            return Err(self.error(
                name,
                format!("`{name}` has the wrong number of arguments"),
                Some(help),
            ));
        }
        self.term(items)?;
        let (start, rest) = args.split_at(1);
        start.iter().try_for_each(|t| self.term(t))?;
        self.bound(bound, |guard| rest.iter().try_for_each(|t| guard.term(t)))
    }

    /// Judges `then` with the variables of a pattern bound.
    fn bound(
        &mut self,
        bound: &Pattern<&'s str>,
        then: impl FnOnce(&mut Self) -> Verdict,
    ) -> Verdict {
        let known = self.vars.len();
        self.pattern(bound)?;
        let verdict = then(self);
        self.vars.truncate(known);
        verdict
    }

    fn pattern(&mut self, bound: &Pattern<&'s str>) -> Verdict {
        match bound {
            Pattern::Var(name) if name.contains("__") => {
                Err(self.error(name, format!("the name `{name}` is reserved"), None))
            }
            Pattern::Var(name) => {
                self.vars.push(&name[1..]);
                Ok(())
            }
            Pattern::Arr(parts) => parts.iter().try_for_each(|part| self.pattern(part)),
            Pattern::Obj(parts) => parts.iter().try_for_each(|(key, part)| {
                self.term(key)?;
                self.pattern(part)
            }),
        }
    }

    fn variable(&self, name: &'s str) -> Verdict {
        let bare = &name[1..];
        if self.vars.contains(&bare) {
            return Ok(());
        }
        let help = if name == "$ENV" {
            Some("pass settings in the input of the workflow, or secrets as `$secrets`".to_owned())
        } else {
            suggest::closest(bare, self.vars.iter().copied())
                .map(|near| format!("did you mean `${near}`?"))
        };
        let message = format!("unknown variable `{name}`");
        Err(self.error(name, message, help.or_else(|| self.known_variables())))
    }

    fn known_variables(&self) -> Option<String> {
        (!self.vars.is_empty()).then(|| format!("known here: ${}", self.vars.join(", $")))
    }

    fn call(&mut self, name: &'s str, arity: usize) -> Verdict {
        if let Some(instead) = refuse::instead_of(name, arity) {
            let message = format!("`{name}` is not available in expressions");
            return Err(self.error(name, message, Some(instead.to_owned())));
        }
        if library::knows((name, arity)) {
            self.calls.insert((name, arity));
            return Ok(());
        }
        let arities: BTreeSet<usize> = library::names()
            .filter(|known| known.0 == name)
            .map(|known| known.1)
            .collect();
        if !arities.is_empty() {
            let takes: Vec<_> = arities.iter().map(usize::to_string).collect();
            let message = format!(
                "`{name}` takes {} argument(s), not {arity}",
                takes.join(" or ")
            );
            return Err(self.error(name, message, None));
        }
        let help = suggest::closest(name, library::names().map(|known| known.0));
        let help = help.map(|near| format!("did you mean `{near}`?"));
        Err(self.error(name, format!("unknown function `{name}`"), help))
    }

    fn error(&self, part: &str, message: String, help: Option<String>) -> CompileError {
        CompileError {
            message,
            at: place(self.text, part),
            help,
        }
    }
}

/// Where `part`, a slice of `text`, is; the whole text if it is none.
pub fn place(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    if start <= text.len() && start + part.len() <= text.len() {
        start..start + part.len()
    } else {
        0..text.len()
    }
}
