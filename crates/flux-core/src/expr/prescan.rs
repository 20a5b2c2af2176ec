//! Looks at an expression before it is parsed: lexer, parser, compiler and interpreter all recurse
//! along the text, so what nests or chains too far is refused here, with a stack of our own.

use super::CompileError;

/// Longest expression, in bytes.
pub const LENGTH: usize = 16 << 10;
/// Most brackets open at the same place.
const OPEN: usize = 48;
/// Most operators, words and path parts along one way from the outside to the inside.
const CHAIN: usize = 200;

struct Level {
    /// The character that closes it; `"` for texts.
    closes: char,
    /// Length of the chain where it was opened.
    chain: usize,
    /// Members so far, if it is an object: they are not chained to each other's insides.
    members: usize,
}

/// Refuses text that is too long, too deep, or has brackets that do not match.
pub fn scan(text: &str) -> Result<(), CompileError> {
    if text.len() > LENGTH {
        let message = format!("the expression is longer than {} KiB", LENGTH >> 10);
        return Err(CompileError {
            message,
            at: 0..text.len(),
            help: None,
        });
    }
    let mut levels: Vec<Level> = Vec::new();
    let mut chain = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let in_text = levels.last().is_some_and(|level| level.closes == '"');
        if in_text {
            match c {
                '"' => close(&mut levels, &mut chain),
                '\\' => {
                    if let Some((at, '(')) = chars.next() {
                        open(&mut levels, &mut chain, ')', at)?;
                    }
                }
                _ => {}
            }
            continue;
        }
        match c {
            '(' => open(&mut levels, &mut chain, ')', at)?,
            '[' => open(&mut levels, &mut chain, ']', at)?,
            '{' => open(&mut levels, &mut chain, '}', at)?,
            '"' => open(&mut levels, &mut chain, '"', at)?,
            ')' | ']' | '}' => match levels.last() {
                Some(level) if level.closes == c => close(&mut levels, &mut chain),
                _ => return Err(error(at, c, format!("this `{c}` closes nothing"))),
            },
            '#' => skip_comment(&mut chars),
            ',' if levels.last().is_some_and(|level| level.closes == '}') => {
                if let Some(level) = levels.last_mut() {
                    level.members += 1;
                    chain = level.chain + 1 + level.members;
                }
            }
            ';' => chain = levels.last().map_or(0, |level| level.chain),
            c if c.is_ascii_alphanumeric() || c == '_' || c == '$' || c == '@' => {
                while chars
                    .peek()
                    .is_some_and(|(_, c)| c.is_ascii_alphanumeric() || *c == '_')
                {
                    chars.next();
                }
                chain += 1;
            }
            c if c.is_whitespace() => {}
            _ => chain += 1,
        }
        if chain > CHAIN {
            return Err(too_complex(at, c));
        }
    }
    Ok(())
}

fn open(
    levels: &mut Vec<Level>,
    chain: &mut usize,
    closes: char,
    at: usize,
) -> Result<(), CompileError> {
    if levels.len() >= OPEN {
        return Err(too_complex(at, closes));
    }
    levels.push(Level {
        closes,
        chain: *chain,
        members: 0,
    });
    *chain += 1;
    Ok(())
}

/// What follows a bracket is chained to it, not to what is inside.
fn close(levels: &mut Vec<Level>, chain: &mut usize) {
    if let Some(level) = levels.pop() {
        *chain = level.chain + 1;
    }
}

/// A comment ends with its line, unless the line ends with an odd number of backslashes.
fn skip_comment(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) {
    let mut odd = false;
    for (_, c) in chars.by_ref() {
        match c {
            '\n' if !odd => return,
            '\\' => odd = !odd,
            '\r' => {}
            _ => odd = false,
        }
    }
}

fn too_complex(at: usize, c: char) -> CompileError {
    CompileError {
        help: Some("compute parts of it in a `set` task before".to_owned()),
        ..error(
            at,
            c,
            "the expression is nested too deep or chains too many operators".to_owned(),
        )
    }
}

fn error(at: usize, c: char, message: String) -> CompileError {
    CompileError {
        message,
        at: at..at + c.len_utf8(),
        help: None,
    }
}
