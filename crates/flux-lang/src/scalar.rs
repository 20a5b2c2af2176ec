//! What a scalar without quotes stands for: the core schema of YAML 1.2.

use crate::tree::Data;

/// Reads a plain scalar.
pub(crate) fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => number(text).map_or_else(|| Data::Text(text.to_owned()), Data::Number),
    }
}

/// Whether readers of YAML 1.1 take the text for a boolean.
pub(crate) fn is_yaml_1_1_boolean(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
    ];
    WORDS.contains(&text)
}

/// The number as JSON writes it.
fn number(text: &str) -> Option<String> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16)
            .ok()
            .map(|number| number.to_string());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8)
            .ok()
            .map(|number| number.to_string());
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.map(|part| part.strip_prefix(['+', '-']).unwrap_or(part));
    let empty = whole.is_empty() && fraction.is_none_or(str::is_empty);
    let wrong_exponent = exponent_digits.is_some_and(|part| part.is_empty() || !digits(part));
    if empty || !digits(whole) || !fraction.is_none_or(digits) || wrong_exponent {
        return None;
    }
    let trimmed = whole.trim_start_matches('0');
    let mut json = format!("{sign}{}", if trimmed.is_empty() { "0" } else { trimmed });
    if let Some(fraction) = fraction.filter(|fraction| !fraction.is_empty()) {
        json.push('.');
        json.push_str(fraction);
    }
    if let Some(exponent) = exponent {
        json.push('e');
        json.push_str(exponent);
    }
    finite(&json).then_some(json)
}

/// JSON has no infinity: `1e999` stays text.
fn finite(json: &str) -> bool {
    json.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema_decides() {
        for (text, json) in [
            ("5", "5"),
            ("-0x", ""),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("007", "7"),
            ("+1.50", "1.50"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1e3"),
            ("1_000", ""),
            ("1.0.0", ""),
            ("e3", ""),
            ("1e", ""),
            ("1e999", ""),
            ("-", ""),
            ("2026-01-01", ""),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ] {
            match plain(text) {
                Data::Number(number) => assert_eq!(number, json, "{text}"),
                other => assert!(json.is_empty(), "{text}: {other:?}"),
            }
        }
        assert!(matches!(plain("yes"), Data::Text(_)));
        assert!(matches!(plain("~"), Data::Null));
    }
}
