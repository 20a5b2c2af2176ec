//! `cargo xtask model`: the model of the ownership protocol, checked further than in `test`.
//!
//! The tests of the model print one row per variant; here the rows become one table.

use std::path::Path;

use crate::Outcome;
use crate::process::{self, cargo};

/// What the model's tests put before each row.
const ROW: &str = "model| ";
const SEPARATOR: &str = " | ";
const HEADER: &str =
    "variant | ticks | faults | states | time | S1 | S2 | S2b | S4 | S5 | S12 | L1 | L2";

/// Checks every variant and prints the table, also when one of them does not do what it should.
///
/// # Errors
/// A sentence, when a variant breaks other rules than it should, or the tests cannot be run.
pub fn run(root: &Path) -> Outcome {
    let mut rows = vec![HEADER.to_owned()];
    let mut command = cargo(root);
    command
        .args(["test", "--release", "--package", "flux-core"])
        .args(["--test", "model", "--", "--nocapture", "--test-threads=1"])
        .env("FLUX_MODEL", "full");
    let outcome = process::run_watched(&mut command, |line| {
        rows.extend(line.strip_prefix(ROW).map(str::to_owned));
    });
    println!("\n{}", table(&rows));
    outcome
}

/// The rows with their cells below each other.
fn table(rows: &[String]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.split(SEPARATOR).enumerate() {
            widths.resize(widths.len().max(column + 1), 0);
            widths[column] = widths[column].max(cell.len());
        }
    }
    let line = |row: &String| {
        let cells = row.split(SEPARATOR).zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = ["name | states", "a long name | 7", "b | 12345"].map(str::to_owned);
        let expected = "name         states\na long name  7\nb            12345";
        assert_eq!(table(&rows), expected);
        assert_eq!(table(&[]), "");
    }
}
