//! The cluster over the network: other engines, and engines as a client sees them.

use super::Reader;
use crate::exit::{CONFIG, Failure};
use flux_engine::MonitorConfig;
use std::path::PathBuf;
use std::time::Duration;

/// How engines are reached and trusted.
#[derive(Clone, Debug)]
pub struct Network {
    /// Whether engines talk to each other.
    pub is_on: bool,
    /// The engines that the commands of a client go to; none for the database itself.
    pub engines: Vec<String>,
    /// What a client proves its right with.
    pub token: Option<String>,
    ca_file: Option<PathBuf>,
}

impl Network {
    /// Whom to trust, as PEM; the authorities of the system where nothing is said.
    pub fn ca_pem(&self) -> Result<Option<String>, Failure> {
        let read = |file: &PathBuf| {
            std::fs::read_to_string(file).map_err(|error| {
                let message = format!("TLS_CA_FILE: cannot read {}: {error}", file.display());
                Failure::new(CONFIG, message)
            })
        };
        self.ca_file.as_ref().map(read).transpose()
    }
}

impl Reader<'_> {
    pub(super) fn network(&mut self) -> Network {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let engines = self.text("engine").split(',').map(str::trim);
        Network {
            is_on: self.flag("cluster_networking"),
            engines: engines.filter_map(given).collect(),
            token: given(self.text("client_token")),
            ca_file: given(self.text("tls_ca_file")).map(PathBuf::from),
        }
    }

    /// The resource monitor; `None` without a command.
    pub(super) fn monitor(&mut self) -> Option<MonitorConfig> {
        let command = self.text("system_resource_command").to_owned();
        let mut every = self.duration("system_resource_interval", true, "+10s");
        if every < Duration::from_millis(100) {
            let least = "must be at least 0.1 seconds";
            self.fault("system_resource_interval", least, "+10s");
            every = Duration::from_secs(10);
        }
        (!command.is_empty()).then_some(MonitorConfig { command, every })
    }
}
