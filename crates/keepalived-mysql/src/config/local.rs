//! Which of the nodes this host is.

use std::net::IpAddr;

use super::error::{ConfigError, ConfigErrorKind};
use super::{Config, Node};
use crate::message::Message;
use crate::vip;

impl Config {
    /// The node that this host is: the one named `explicit`, else the one whose address is on an
    /// interface of this host, else the one that bears this host's name.
    ///
    /// # Errors
    /// When none, or more than one, fits.
    pub fn local(&self, explicit: Option<&str>) -> Result<&Node, ConfigError> {
        let addresses = match explicit {
            Some(_) => Vec::new(),
            None => vip::interface_addresses(),
        };
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        self.local_by(explicit, &addresses, &host)
    }

    /// As [`Config::local`], with the host's addresses and name given.
    pub(super) fn local_by(
        &self,
        explicit: Option<&str>,
        addresses: &[IpAddr],
        host: &str,
    ) -> Result<&Node, ConfigError> {
        if let Some(name) = explicit {
            return self
                .node_named(name)
                .ok_or_else(|| self.not_local(format!("there is no node named '{name}'")));
        }
        let here = |node: &&Node| {
            let address = node.address.to_canonical();
            addresses.iter().any(|a| a.to_canonical() == address)
        };
        let found: Vec<&Node> = self.node.iter().filter(here).collect();
        match found.as_slice() {
            [node] => Ok(node),
            [] => self.by_host_name(host),
            _ => Err(self.not_local("this host has the addresses of several nodes".to_owned())),
        }
    }

    fn by_host_name(&self, host: &str) -> Result<&Node, ConfigError> {
        let short = host.split('.').next().unwrap_or(host);
        self.node_named(host)
            .or_else(|| self.node_named(short))
            .ok_or_else(|| {
                self.not_local(format!(
                    "this host is none of the nodes: no interface has a node's address, and no node is named '{host}'"
                ))
            })
    }

    fn not_local(&self, error: String) -> ConfigError {
        let nodes: Vec<String> = self
            .node
            .iter()
            .map(|node| format!("{} ({})", node.name, node.address))
            .collect();
        let message = Message::new(error)
            .detail(format!("the nodes are {}", nodes.join(", ")))
            .hint("say --node NAME, or correct the addresses in the configuration");
        ConfigError::new(ConfigErrorKind::Local, message)
    }
}
