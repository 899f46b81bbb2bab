//! What the values of a configuration must satisfy together.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::error::ConfigError;
use super::sections::{Node, VipCheck};
use super::source::Source;
use super::{Config, is_plain_name};
use crate::message::Message;

/// Longer than any sensible setting, short enough for every clock's arithmetic.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// keepalived's default `timeout` of a `vrrp_script`, and all that it grants `notify_stop`.
const ONE_SECOND: Duration = Duration::from_secs(1);

type Rule = Result<(), ConfigError>;

/// # Errors
/// At the first rule that the configuration breaks.
pub(super) fn check(config: &Config, source: &Source<'_>) -> Rule {
    let rules = Rules { config, source };
    rules.group()?;
    rules.nodes()?;
    rules.addresses()?;
    rules.paths()?;
    rules.commands()?;
    rules.durations()?;
    rules.replication()?;
    rules.limits()?;
    super::tls::check(&config.tls, source)
}

/// What is allowed but unwise.
pub(super) fn warnings(config: &Config, source: &Source<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.check.deadline >= ONE_SECOND {
        warnings.push(format!(
            "{}: check.deadline is {}: keepalived ends a check after 'timeout', which is 1 s unless set; keep the deadline below it",
            source.at("check.deadline"),
            humantime::format_duration(config.check.deadline)
        ));
    }
    if config.vip_check == VipCheck::Interface && config.vips.len() > 20 {
        warnings.push(format!(
            "{}: keepalived announces only the first 20 addresses of a vrrp_instance",
            source.at("vips")
        ));
    }
    warnings.extend(super::tls::warnings(&config.tls, source));
    let wait = config.semi_sync_timeout();
    if config.managed_semi_sync().is_some() && wait <= config.longest_isolated() {
        warnings.push(format!(
            "{}: semi_sync.timeout is {}: a node that is cut off may serve for {}, and acknowledges alone after that; make it longer, or \"auto\"",
            source.at("semi_sync.timeout"),
            humantime::format_duration(wait),
            humantime::format_duration(config.longest_isolated())
        ));
    }
    warnings
}

struct Rules<'a> {
    config: &'a Config,
    source: &'a Source<'a>,
}

impl Rules<'_> {
    fn broken(&self, key: &str, what: &str, hint: &str) -> ConfigError {
        let error = format!("{}: {what}", self.source.at(key));
        ConfigError::rule(Message::new(error).hint(hint))
    }

    fn require(&self, holds: bool, key: &str, what: &str, hint: &str) -> Rule {
        if holds {
            Ok(())
        } else {
            Err(self.broken(key, what, hint))
        }
    }

    fn group(&self) -> Rule {
        self.require(
            is_plain_name(&self.config.group),
            "group",
            &format!("'{}' cannot be the name of a group", self.config.group),
            HINT_NAME,
        )
    }

    fn nodes(&self) -> Rule {
        self.require(
            self.config.node.len() >= 2,
            "node",
            "a group needs at least two nodes",
            "add a [[node]] for each host",
        )?;
        let mut names = HashSet::new();
        let mut addresses = HashSet::new();
        for (i, node) in self.config.node.iter().enumerate() {
            self.node(i, node)?;
            self.require(
                names.insert(node.name.to_ascii_lowercase()),
                &format!("node.{i}.name"),
                &format!("two nodes are named '{}'", node.name),
                "give each node a name of its own; upper and lower case do not differ",
            )?;
            self.require(
                addresses.insert(node.address.to_canonical()),
                &format!("node.{i}.address"),
                &format!("two nodes have the address {}", node.address),
                "give each node its own address",
            )?;
        }
        Ok(())
    }

    fn node(&self, i: usize, node: &Node) -> Rule {
        self.require(
            is_plain_name(&node.name),
            &format!("node.{i}.name"),
            &format!("'{}' cannot be the name of a node", node.name),
            HINT_NAME,
        )?;
        self.require(
            node.port != 0,
            &format!("node.{i}.port"),
            "a node's port cannot be 0",
            "write the server's TCP port",
        )?;
        let user_is_fine = node
            .replication_user
            .as_ref()
            .is_none_or(|user| !user.is_empty() && !user.chars().any(char::is_control));
        self.require(
            user_is_fine,
            &format!("node.{i}.replication_user"),
            "replication_user is empty",
            "remove the key to use the user of accounts.replication",
        )
    }

    fn addresses(&self) -> Rule {
        self.require(
            !self.config.vips.is_empty(),
            "vips",
            "'vips' is empty: there is nothing to hold",
            "list the addresses of the vrrp_instance's virtual_ipaddress",
        )?;
        let mut seen = HashSet::new();
        for (i, vip) in self.config.vips.iter().enumerate() {
            let key = format!("vips.{i}");
            self.usable(&key, *vip)?;
            let what = format!("'vips' has {vip} twice");
            self.require(seen.insert(vip.to_canonical()), &key, &what, "list it once")?;
        }
        for (i, node) in self.config.node.iter().enumerate() {
            let key = format!("node.{i}.address");
            self.usable(&key, node.address)?;
            self.require(
                !seen.contains(&node.address.to_canonical()),
                &key,
                &format!("the address of node '{}' is a virtual address", node.name),
                "write the node's own address: the virtual one moves",
            )?;
        }
        Ok(())
    }

    fn usable(&self, key: &str, address: IpAddr) -> Rule {
        self.require(
            !address.is_unspecified() && !address.is_multicast(),
            key,
            &format!("{address} is not the address of a host"),
            "write a host's address",
        )
    }

    fn paths(&self) -> Rule {
        let config = self.config;
        let mut paths: Vec<(String, &Path)> = vec![
            ("state_dir".to_owned(), &config.state_dir),
            ("run_dir".to_owned(), &config.run_dir),
            ("keepalived.config".to_owned(), &config.keepalived.config),
            (
                "keepalived.pid_file".to_owned(),
                &config.keepalived.pid_file,
            ),
        ];
        if let Some(file) = &config.log.file {
            paths.push(("log.file".to_owned(), file));
        }
        for (i, node) in config.node.iter().enumerate() {
            paths.push((format!("node.{i}.socket"), &node.socket));
        }
        for (key, path) in paths {
            self.require(
                path.is_absolute(),
                &key,
                &format!("{} is not an absolute path", path.display()),
                "write the whole path: keepalived's working folder is not yours",
            )?;
        }
        self.require(
            config.state_dir != config.run_dir,
            "run_dir",
            "'state_dir' and 'run_dir' are the same folder",
            "run_dir is emptied by a reboot, state_dir must not be",
        )
    }

    fn commands(&self) -> Rule {
        let empty = Vec::new();
        let vip_check = match &self.config.vip_check {
            VipCheck::Interface => &empty,
            VipCheck::Command(command) => {
                let what = "the command of 'vip_check' is empty";
                self.require(!command.is_empty(), "vip_check", what, HINT_COMMAND)?;
                command
            }
        };
        let commands = [
            ("vip_check", vip_check),
            ("promote.fence_command", &self.config.promote.fence_command),
            ("hooks.on_event", &self.config.hooks.on_event),
        ];
        for (key, command) in commands {
            let program_is_whole = command.first().is_none_or(|p| Path::new(p).is_absolute());
            let what = format!("the program of '{key}' is not an absolute path");
            self.require(program_is_whole, key, &what, HINT_COMMAND)?;
            let no_nul = command.iter().all(|word| !word.contains('\0'));
            let what = format!("'{key}' contains a NUL character");
            self.require(no_nul, key, &what, HINT_COMMAND)?;
        }
        Ok(())
    }

    fn durations(&self) -> Rule {
        for (key, duration) in all_durations(self.config) {
            self.require(
                !duration.is_zero(),
                key,
                &format!("'{key}' is zero"),
                "write a duration above zero, such as \"500ms\"",
            )?;
            self.require(
                duration <= LONGEST,
                key,
                &format!("'{key}' is longer than 30 days"),
                "write a shorter duration",
            )?;
        }
        Ok(())
    }

    fn replication(&self) -> Rule {
        let replication = &self.config.replication;
        let whole = [
            ("replication.connect_retry", replication.connect_retry),
            ("replication.net_timeout", replication.net_timeout),
        ];
        for (key, duration) in whole {
            self.require(
                duration.subsec_nanos() == 0,
                key,
                &format!("'{key}' is not a whole number of seconds"),
                "the servers count this in whole seconds: write \"1s\", \"2s\", ...",
            )?;
        }
        self.require(
            replication.heartbeat >= Duration::from_millis(1),
            "replication.heartbeat",
            "'replication.heartbeat' is below one millisecond",
            "the servers count this in milliseconds",
        )?;
        self.require(
            replication.heartbeat < replication.net_timeout,
            "replication.heartbeat",
            "'replication.heartbeat' is not shorter than 'replication.net_timeout'",
            "an idle source would look dead: make the heartbeat a third of net_timeout",
        )
    }

    fn limits(&self) -> Rule {
        self.require(
            self.config.close.stop_budget < ONE_SECOND,
            "close.stop_budget",
            "'close.stop_budget' is not below 1 s",
            "keepalived ends notify_stop after one second: leave it 100 ms or more",
        )?;
        self.require(
            (1..=100).contains(&self.config.check.attempts),
            "check.attempts",
            "'check.attempts' is not between 1 and 100",
            "write 1 for a single attempt",
        )?;
        self.require(
            !self.config.demote.relaxed_durability || self.config.promote.durability,
            "demote.relaxed_durability",
            "'demote.relaxed_durability' is set and 'promote.durability' is not",
            "a standby that is promoted must become durable again: set promote.durability to true",
        )?;
        let needs_fence = super::UnreachablePeer::RequireFence;
        self.require(
            self.config.promote.unreachable_peer != needs_fence
                || !self.config.promote.fence_command.is_empty(),
            "promote.unreachable_peer",
            "'promote.unreachable_peer' requires a fence, and 'promote.fence_command' is empty",
            "set promote.fence_command, or choose another unreachable_peer",
        )
    }
}

const HINT_NAME: &str = "a name is 1 to 64 of A-Z a-z 0-9 _ . - and does not begin with a dot";
const HINT_COMMAND: &str = "write the program and its arguments as a list, such as [\"/usr/local/sbin/fence\", \"node-b\"]";

fn all_durations(config: &Config) -> Vec<(&'static str, Duration)> {
    let (check, promote, close) = (&config.check, &config.promote, &config.close);
    let mut all = vec![
        (
            "replication.connect_retry",
            config.replication.connect_retry,
        ),
        ("replication.heartbeat", config.replication.heartbeat),
        ("replication.net_timeout", config.replication.net_timeout),
        ("check.deadline", check.deadline),
        ("check.retry_interval", check.retry_interval),
        ("check.peer_interval", check.peer_interval),
        ("promote.peer_timeout", promote.peer_timeout),
        ("promote.yield_timeout", promote.yield_timeout),
        ("promote.apply_timeout", promote.apply_timeout),
        ("promote.blocker_grace", promote.blocker_grace),
        ("promote.max_staleness", promote.max_staleness),
        ("promote.boot_wait", promote.boot_wait),
        ("promote.open_lifetime", promote.open_lifetime),
        ("promote.lock_timeout", promote.lock_timeout),
        ("close.timeout", close.timeout),
        ("close.stop_budget", close.stop_budget),
        ("demote.source_timeout", config.demote.source_timeout),
    ];
    if let super::SemiSyncTimeout::Fixed(timeout) = config.semi_sync.timeout {
        all.push(("semi_sync.timeout", timeout));
    }
    all.extend(check.max_lag.map(|lag| ("check.max_lag", lag)));
    all
}
