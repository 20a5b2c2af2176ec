//! From text to something jaq can run.

use super::guard::{Guard, place};
use super::library::Signature;
use super::{CompileError, Filter, instrument, library, natives, prescan};
use jaq_core::load::lex::{Lexer, Tok, Token};
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader};
use std::collections::BTreeSet;

/// The definition that holds the expression.
const MAIN: &str = "__main";

/// A parsed expression that passed the guards.
pub struct Judged<'s> {
    /// The expression.
    pub term: Term<&'s str>,
    calls: BTreeSet<Signature<'s>>,
}

/// Parses the text and refuses what is not allowed.
pub fn judge<'s>(text: &'s str, vars: &'s [String]) -> Result<Judged<'s>, CompileError> {
    prescan::scan(text)?;
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        let (expected, found) = match errors.into_iter().next() {
            Some((expected, found)) => (expected.as_str(), found),
            None => ("expression", ""),
        };
        let near: String = found.chars().take(1).collect();
        let at = place(text, &found[..near.len()]);
        CompileError {
            message: format!("expected {expected}{}", but_found(&near)),
            at,
            help: None,
        }
    })?;
    refuse_modules(text, &tokens)?;
    let term = Parser::new(&tokens)
        .parse(|parser| parser.term())
        .map_err(|errors| {
            let (expected, found) = match errors.into_iter().next() {
                Some((expected, found)) => (expected.as_str(), Token::opt_as_str(found, text)),
                None => ("expression", &text[text.len()..]),
            };
            let message = format!("expected {expected}{}", but_found(found));
            CompileError {
                message,
                at: place(text, found),
                help: None,
            }
        })?;
    let mut guard = Guard::new(text, vars);
    guard.term(&term)?;
    Ok(Judged {
        term,
        calls: guard.calls,
    })
}

fn but_found(found: &str) -> String {
    match found.chars().count() {
        0 => ", but the expression ends".to_owned(),
        1..=20 => format!(" instead of `{found}`"),
        _ => format!(
            " instead of `{}..`",
            found.chars().take(20).collect::<String>()
        ),
    }
}

fn refuse_modules(text: &str, tokens: &[Token<&str>]) -> Result<(), CompileError> {
    match tokens.first() {
        Some(Token(word @ ("import" | "include" | "module"), Tok::Word)) => Err(CompileError {
            message: format!("`{word}`: modules are not available in expressions"),
            at: place(text, word),
            help: None,
        }),
        _ => Ok(()),
    }
}

/// Compiles a judged expression.
pub fn build(text: &str, judged: Judged<'_>, vars: &[String]) -> Result<Filter, CompileError> {
    let names: Vec<String> = vars.iter().map(|name| format!("${name}")).collect();
    let mut defs: Vec<Def<&str>> = library::definitions(&judged.calls);
    defs.push(Def {
        name: MAIN,
        args: Vec::new(),
        body: instrument::term(judged.term),
    });
    let refused = |message: String| CompileError {
        message,
        at: 0..text.len(),
        help: None,
    };
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(
            &arena,
            File {
                code: MAIN,
                path: (),
            },
        )
        .map_err(|_| refused("the expression cannot be loaded".to_owned()))?;
    jaq_core::Compiler::default()
        .with_funs(natives::all())
        .with_global_vars(names.iter().map(String::as_str))
        .compile(modules)
        .map_err(|errors| {
            let symbol = errors.into_iter().flat_map(|(_, errors)| errors).next();
            refused(match symbol {
                Some((name, kind)) => format!("unknown {} `{name}`", kind.as_str()),
                None => "the expression cannot be compiled".to_owned(),
            })
        })
}
