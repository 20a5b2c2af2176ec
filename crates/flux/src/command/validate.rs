//! `flux validate`

use super::input;
use crate::exit::{Failure, INVALID};
use crate::output::{self, Format};
use std::path::PathBuf;

/// Checks definitions: all problems at once, with place and hint
///
/// Examples:
///   flux validate workflow.yaml
///   flux validate -o json examples/*/workflow.yaml
///   cat workflow.yaml | flux validate -
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Definitions; `-` for standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let mut results = Vec::new();
    let mut wrong = 0;
    for file in &args.files {
        let source = input::text(file)?;
        let name = file.display().to_string();
        let (valid, report) = match flux_lang::compile(&source, &name) {
            Ok(compiled) => (true, compiled.warnings),
            Err(report) => (false, report),
        };
        wrong += usize::from(!valid);
        if args.output == Format::Table {
            if !report.is_empty() {
                output::note(&report.to_string());
            }
            output::data(&format!(
                "{name}: {}",
                if valid { "valid" } else { "NOT VALID" }
            ));
        }
        results.push(serde_json::json!({"file": name, "valid": valid, "diagnostics": report}));
    }
    if args.output != Format::Table {
        output::document(args.output, &serde_json::Value::Array(results))?;
    }
    if wrong > 0 {
        let message = format!("{wrong} of {} definitions are not valid", args.files.len());
        return Err(Failure::new(INVALID, message));
    }
    Ok(())
}
