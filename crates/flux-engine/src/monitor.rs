//! The resource monitor: a command that says how much this machine has left.

use flux_core::balance::Score;
use flux_core::host::{Host, within};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// What to run, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A shell command whose last line of output is a number: available resources, more is better.
    pub command: String,
    /// How often; also how long it may take.
    pub every: Duration,
}

/// What it said last. Without a command it never says anything.
#[derive(Default)]
pub(crate) struct Monitor {
    score: Mutex<Option<Score>>,
}

impl Monitor {
    pub fn score(&self) -> Option<Score> {
        *self.lock()
    }

    /// More branches were claimed than the command knew of.
    pub fn claimed(&self, count: u32) {
        if let Some(score) = &mut *self.lock() {
            score.claimed = score.claimed.saturating_add(count);
        }
    }

    /// Runs the command again and again. While it fails, work is spread by the count of branches.
    pub async fn run(self: Arc<Self>, config: Config, host: Arc<dyn Host>, end: CancellationToken) {
        let mut failing = false;
        loop {
            let measured = measure(&config, &*host).await;
            match &measured {
                Err(reason) if !std::mem::replace(&mut failing, true) => tracing::warn!(
                    "SYSTEM_RESOURCE_COMMAND {reason}; work is spread by the count of branches until \
                     it prints a number"
                ),
                Err(_) => {}
                Ok(_) if std::mem::replace(&mut failing, false) => {
                    tracing::info!("SYSTEM_RESOURCE_COMMAND prints a number again");
                }
                Ok(_) => {}
            }
            *self.lock() = measured.ok().map(|available| Score {
                available,
                claimed: 0,
            });
            tokio::select! {
                biased;
                () = end.cancelled() => return,
                () = host.sleep(config.every) => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Score>> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One number, or what is wrong.
async fn measure(config: &Config, host: &dyn Host) -> Result<f64, String> {
    let output = Command::new("/bin/sh")
        .args(["-c", &config.command])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(host, config.every, output).await;
    let output = output
        .ok_or_else(|| format!("has not ended within {:?}", config.every))?
        .map_err(|error| format!("cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("has failed ({})", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    let line = line.ok_or("has printed nothing")?.trim();
    let number = line.parse::<f64>().ok().filter(|n| n.is_finite());
    number.ok_or_else(|| {
        let shown: String = line.chars().take(40).collect();
        format!("has printed `{shown}` last, which is no number such as 4096 or 0.75")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_failover::SystemHost;

    async fn says(command: &str) -> Result<f64, String> {
        let config = Config {
            command: command.to_owned(),
            every: Duration::from_secs(20),
        };
        measure(&config, &SystemHost).await
    }

    #[tokio::test]
    async fn the_last_line_is_the_number() {
        assert_eq!(says("echo free; echo 12.5; echo").await, Ok(12.5));
        assert_eq!(says("echo -3e2").await, Ok(-300.0));
    }

    #[tokio::test]
    async fn what_is_no_number_is_told() {
        for (command, reason) in [
            ("exit 3", "has failed (exit status: 3)"),
            ("true", "has printed nothing"),
            ("echo much", "has printed `much` last"),
            ("echo inf", "has printed `inf` last"),
        ] {
            let said = says(command).await.expect_err("it is no number");
            assert!(said.starts_with(reason), "{said}");
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended() {
        let config = Config {
            command: "sleep 300".to_owned(),
            every: Duration::from_millis(50),
        };
        let said = measure(&config, &SystemHost).await;
        assert_eq!(said, Err("has not ended within 50ms".to_owned()));
    }
}
