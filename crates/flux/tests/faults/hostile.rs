//! Input that wants to do harm, through the real binary.

use crate::{PATIENCE, check, cluster};
use flux_testkit::{Cluster, Flux, wait_until};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }\n";

fn refused(cluster: &Cluster, content: &[u8], args: &[&str], says: &str) {
    std::fs::write(cluster.directory().join("input"), content).unwrap();
    let mut flux = cluster.client(args);
    let code = flux.wait(PATIENCE).code();
    let text = flux.stderr().join("\n");
    assert_eq!(code, Some(6), "{says}: {text:.2000}");
    assert!(text.contains(says), "`{says}` is not in {text:.2000}");
    assert!(
        text.len() < 20_000,
        "{says}: {} bytes of message",
        text.len()
    );
    assert!(!text.contains("panicked"), "{text:.2000}");
}

#[test]
fn definitions_that_are_no_definitions_are_refused_in_words() {
    let cluster = cluster("+1H");
    let validate = ["validate", "input"];
    let huge = format!(
        "{HEAD}do:\n{}",
        "  - a: { set: { x: 1 } }\n".repeat(220_000)
    );
    refused(&cluster, huge.as_bytes(), &validate, "longer than");
    let deep = format!("{HEAD}do: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&cluster, deep.as_bytes(), &validate, "");
    let mut laughs = "a0: &a0 [lol, lol]\n".to_owned();
    for n in 1..40 {
        laughs.push_str(&format!(
            "a{n}: &a{n} [{}]\n",
            format!("*a{}, ", n - 1).repeat(9)
        ));
    }
    refused(&cluster, laughs.as_bytes(), &validate, "");
    let garbage: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    refused(&cluster, &garbage, &validate, "UTF-8");
    refused(&cluster, b"document: \xff\xfe", &validate, "UTF-8");
    refused(&cluster, b"\0\0\0\0", &validate, "");
    refused(&cluster, b"", &validate, "");
    let named = HEAD.replace("name: b", "name: \"b\\u0007\\u001b[31m\"")
        + "do:\n  - a: { set: { x: 1 } }\n";
    refused(&cluster, named.as_bytes(), &validate, "name");
    let mut flux = cluster.client(&["validate", "input"]);
    flux.wait(PATIENCE);
    let raw = flux.stderr().join("\n");
    assert!(
        !raw.contains('\u{7}'),
        "control characters do not reach the terminal: {raw:?}"
    );
}

#[test]
fn input_that_is_too_large_too_deep_or_no_json_is_refused_in_words() {
    let cluster = cluster("+1H");
    std::fs::write(
        cluster.directory().join("ok.yaml"),
        format!("{HEAD}do:\n  - a: {{ set: {{ x: 1 }} }}\n"),
    )
    .unwrap();
    let run = ["run", "ok.yaml", "--input-file", "input"];
    let large = format!("\"{}\"", "x".repeat(100 << 20));
    refused(&cluster, large.as_bytes(), &run, "longer than");
    let limit = format!("\"{}\"", "x".repeat(2 << 20));
    refused(
        &cluster,
        limit.as_bytes(),
        &run,
        "larger than 1048576 bytes",
    );
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    refused(&cluster, deep.as_bytes(), &run, "");
    refused(&cluster, b"{\"a\": NaN}", &run, "not valid JSON");
    refused(&cluster, b"\xff", &run, "UTF-8");
}

/// Runs a definition with these tasks; most memory that it had, in kilobytes.
fn measured(cluster: &Cluster, tasks: &str) -> (Flux, u64) {
    std::fs::write(
        cluster.directory().join("big.yaml"),
        format!("{HEAD}do:\n{tasks}"),
    )
    .unwrap();
    let mut flux = cluster.client(&["run", "big.yaml", "--quiet"]);
    let path = format!("/proc/{}/status", flux.id());
    let mut most = 0;
    wait_until("it has ended", PATIENCE * 2, || {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok());
        most = most.max(kilobytes.unwrap_or(0));
        !flux.runs()
    });
    (flux, most)
}

#[test]
fn process_an_action_that_prints_a_gibibyte_costs_no_memory() {
    let cluster = cluster("+1H");
    let task = "  - a: { run: { shell: { command: 'head -c 1073741824 /dev/zero | tr \"\\000\" x' } } }\n\
                \x20 - b: { set: { length: '${ length }' } }\n";
    let (mut flux, most) = measured(&cluster, task);
    assert!(flux.wait(PATIENCE).success(), "{:?}", flux.stderr());
    let output = flux.stdout().join("");
    assert!(output.contains("10486"), "{output:.200}");
    eprintln!("most memory: {most} kB");
    assert!(most < 300_000, "{most} kB");
    check(&cluster, None);
}

#[test]
fn process_data_that_grows_beyond_the_limit_faults_the_run() {
    let cluster = cluster("+1H");
    let task = "  - a: { set: { x: '${ \"y\" * 900000 }' } }\n  - b: { set: { x: '${ [.x, .x, .x, .x, .x, .x, .x, .x, .x, .x] }' } }\n";
    let (mut flux, most) = measured(&cluster, task);
    assert_eq!(flux.wait(PATIENCE).code(), Some(3), "{:?}", flux.stderr());
    assert!(most < 300_000, "{most} kB");
    check(&cluster, None);
}

#[test]
fn process_a_fork_of_a_thousand_branches_completes() {
    let cluster = cluster("+1H");
    let branches: String = (0..1_000)
        .map(|n| format!("          - b{n}: {{ set: {{ x: {n} }} }}\n"))
        .collect();
    let task = format!("  - wide:\n      fork:\n        branches:\n{branches}");
    let (mut flux, most) = measured(&cluster, &task);
    assert!(flux.wait(PATIENCE).success(), "{:?}", flux.stderr());
    let output: serde_json::Value = serde_json::from_str(&flux.stdout().join("")).unwrap();
    assert_eq!(output.as_array().map(Vec::len), Some(1_000));
    eprintln!("most memory: {most} kB");
    check(&cluster, None);
}
