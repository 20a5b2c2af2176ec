//! `pgbench` on the same server: what its users know of their machine.

use crate::exit::Failure;
use flux_store::Address;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Where Debian and those after it keep the programs of each version of PostgreSQL.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Transactions per second of its simple updates, from 16 connections for so many seconds, on tables of
/// this scale in the schema of the address.
pub async fn transactions_per_second(
    address: &Address,
    scale: u32,
    seconds: u32,
) -> Result<f64, Failure> {
    let program = find().ok_or_else(|| {
        Failure::new(1, "pgbench is not installed")
            .help("apt-get install postgresql-contrib, or put pgbench on the PATH")
    })?;
    let scale = scale.to_string();
    run(&program, address, &["-i", "-q", "-s", &scale]).await?;
    let seconds = seconds.to_string();
    let arguments = ["-c", "16", "-j", "2", "-N", "-n", "-T", &seconds];
    let told = run(&program, address, &arguments).await?;
    parse(&told).ok_or_else(|| Failure::new(1, format!("pgbench told no tps: {told}")))
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("pgbench"));
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path()).collect();
    versions.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    let of_versions = versions
        .into_iter()
        .map(|folder| folder.join("bin/pgbench"));
    on_path.chain(of_versions).find(|program| program.is_file())
}

async fn run(program: &Path, address: &Address, arguments: &[&str]) -> Result<String, Failure> {
    let failed = |text: &str| Failure::new(1, format!("{}: {text}", program.display()));
    let ended = Command::new(program)
        .args(arguments)
        .envs(address.environment())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(&error.to_string()))?;
    if !ended.status.success() {
        let errors = String::from_utf8_lossy(&ended.stderr);
        return Err(failed(errors.trim().lines().last().unwrap_or("it failed")));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// From the line `tps = 4523.1 (without initial connection time)`.
fn parse(told: &str) -> Option<f64> {
    let rest = told.lines().find_map(|line| line.strip_prefix("tps = "))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_in_what_pgbench_tells() {
        let told = "latency average = 3.5 ms\ntps = 4523.5 (without initial connection time)\n";
        assert_eq!(parse(told), Some(4523.5));
        assert_eq!(parse("nothing"), None);
    }
}
