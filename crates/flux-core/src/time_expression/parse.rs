//! From text to parts.

use super::error::{Error, Problem};
use super::{Part, TimeExpression, Unit};

/// Reads the parts of `text`, of which there is at least one.
pub(super) fn expression(text: &str) -> Result<Vec<Part>, Error> {
    if text.is_empty() {
        return Err(Error::whole(String::new(), Problem::Empty));
    }
    let mut reader = Reader { text, at: 0 };
    let mut parts = Vec::new();
    while !reader.rest().is_empty() {
        parts.push(reader.part()?);
    }
    Ok(parts)
}

/// Where in the text we are; `at` is in bytes, always between two characters.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn part(&mut self) -> Result<Part, Error> {
        let forward = self.sign()?;
        let (digits_at, digits) = (self.at, self.digits());
        let unit = self.unit()?;
        let count = if digits.is_empty() {
            Some(1)
        } else {
            // Digits that do not fit are a number that is too large, whatever the unit.
            digits.parse::<i64>().ok()
        };
        let max = unit.max_count();
        let count = count.filter(|&count| count <= max).ok_or_else(|| {
            let (found, unit) = (digits.to_owned(), unit.name());
            self.error(digits_at, found, Problem::TooLarge { max, unit }, None)
        })?;
        Ok(Part {
            forward,
            count,
            unit,
        })
    }

    fn sign(&mut self) -> Result<bool, Error> {
        let forward = match self.rest().chars().next() {
            Some('+') => true,
            Some('-') => false,
            _ => return Err(self.no_sign()),
        };
        self.at += 1;
        Ok(forward)
    }

    fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn unit(&mut self) -> Result<Unit, Error> {
        let letter = self.rest().chars().next();
        let Some(letter) = letter.filter(|c| !matches!(c, '+' | '-')) else {
            let found = letter.map(String::from).unwrap_or_default();
            return Err(self.error(self.at, found, Problem::NoUnit, None));
        };
        let Some(unit) = Unit::ALL.into_iter().find(|unit| unit.letter() == letter) else {
            return Err(self.unknown_unit(letter));
        };
        self.at += letter.len_utf8();
        Ok(unit)
    }

    fn no_sign(&self) -> Error {
        let rest = self.rest();
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let repaired = format!("{}+{rest}", &self.text[..self.at]);
        self.error(
            self.at,
            rest[..end].to_owned(),
            Problem::NoSign,
            Some(repaired),
        )
    }

    /// Most often only the case is wrong: `h` for `H`.
    fn unknown_unit(&self, letter: char) -> Error {
        let repaired = Unit::ALL
            .into_iter()
            .find(|unit| unit.letter().eq_ignore_ascii_case(&letter))
            .map(|unit| {
                let after = self.at + letter.len_utf8();
                let (before, after) = (&self.text[..self.at], &self.text[after..]);
                format!("{before}{}{after}", unit.letter())
            });
        self.error(self.at, letter.to_string(), Problem::UnknownUnit, repaired)
    }

    /// An error at byte `at`. A suggestion is made only if it is right itself.
    fn error(
        &self,
        at: usize,
        found: String,
        problem: Problem,
        suggestion: Option<String>,
    ) -> Error {
        Error {
            text: self.text.to_owned(),
            position: self.text[..at].chars().count() + 1,
            found,
            problem,
            suggestion: suggestion.filter(|text| text.parse::<TimeExpression>().is_ok()),
        }
    }
}
