//! The hosts, the switch between them, and what can go wrong with it.
//!
//! Every host hangs on a port of a bridge that lives in a namespace of its own, so that nothing is added to
//! the machine's network. Cuts are made inside the switch: the hosts see silence, no error.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use crate::netns::Netns;
use crate::sh;
use crate::supervisor::Supervisor;

/// The address that clients use.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

/// Something with an address on the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// The first node.
    A,
    /// The second node.
    B,
    /// Where the applications are.
    Client,
}

impl Host {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::Client];

    /// Its own address.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        let last = match self {
            Self::A => 11,
            Self::B => 12,
            Self::Client => 50,
        };
        Ipv4Addr::new(10, 77, 0, last)
    }

    fn letter(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Client => "c",
        }
    }

    fn port(self) -> String {
        format!("to-{}", self.letter())
    }
}

/// Which way a link is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Nothing passes either way.
    Both,
    /// Only what the first host sends to the second is lost.
    OneWay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Traffic {
    All,
    Vrrp,
}

/// The namespaces and the switch of one lab.
#[derive(Debug)]
pub struct Network {
    switch: Netns,
    hosts: [Netns; 3],
    lost: Mutex<BTreeSet<(Host, Host, Traffic)>>,
}

impl Network {
    /// Makes the namespaces, the bridge and the links.
    pub fn build(id: &str, supervisor: &Supervisor) -> Result<Self> {
        let name = |letter: &str| Netns::new(format!("kml-{id}-{letter}"));
        let network = Self {
            switch: name("sw"),
            hosts: Host::ALL.map(|h| name(h.letter())),
            lost: Mutex::default(),
        };
        let mut batch = String::new();
        for netns in network.hosts.iter().chain([&network.switch]) {
            supervisor.netns(netns.name())?;
            writeln!(batch, "netns add {}", netns.name())?;
        }
        for host in Host::ALL {
            let (inside, outside) = (network.host(host).name(), network.switch.name());
            let mac = host.address().octets()[3];
            writeln!(
                batch,
                "link add eth0 netns {inside} address 02:00:0a:4d:00:{mac:02x} type veth peer name {} netns {outside}",
                host.port()
            )?;
        }
        sh::ip(&batch)?;
        network.switch_on()?;
        for host in Host::ALL {
            network
                .host(host)
                .sysctl("ipv6/conf/all/disable_ipv6", "1")?;
            network.plug_in(host)?;
        }
        Ok(network)
    }

    fn switch_on(&self) -> Result<()> {
        self.switch.sysctl("ipv6/conf/all/disable_ipv6", "1")?;
        let mut batch =
            String::from("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n");
        for host in Host::ALL {
            writeln!(
                batch,
                "link set dev {0} master br0\nlink set dev {0} up",
                host.port()
            )?;
        }
        batch.push_str("link set dev br0 up\n");
        sh::feed(
            Command::new("ip").args(["-n", self.switch.name(), "-batch", "-"]),
            &batch,
        )?;
        self.apply()
    }

    /// The namespace of a host.
    #[must_use]
    pub fn host(&self, host: Host) -> &Netns {
        match host {
            Host::A => &self.hosts[0],
            Host::B => &self.hosts[1],
            Host::Client => &self.hosts[2],
        }
    }

    /// Gives the host its own address and sets its interface up.
    pub fn plug_in(&self, host: Host) -> Result<()> {
        let batch = format!(
            "link set dev lo up\nlink set dev eth0 up\naddr replace {}/24 dev eth0\n",
            host.address()
        );
        sh::feed(
            Command::new("ip").args(["-n", self.host(host).name(), "-batch", "-"]),
            &batch,
        )?;
        Ok(())
    }

    /// Takes every address from the host and sets its interface down.
    pub fn unplug(&self, host: Host) -> Result<()> {
        let batch = "addr flush dev eth0\nlink set dev eth0 down\n";
        sh::feed(
            Command::new("ip").args(["-n", self.host(host).name(), "-batch", "-"]),
            batch,
        )?;
        Ok(())
    }

    /// The switch's port of this host: without it the host has no carrier.
    pub fn carrier(&self, host: Host, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        let port = host.port();
        let arguments = ["-n", self.switch.name(), "link", "set", "dev", &port, state];
        sh::run(Command::new("ip").args(arguments)).map(drop)
    }

    /// Loses everything between two hosts, or only what the first sends to the second.
    pub fn cut(&self, from: Host, to: Host, direction: Direction) -> Result<()> {
        self.lose(from, to, direction, Traffic::All)
    }

    /// Loses VRRP between two hosts, and nothing else.
    pub fn cut_vrrp(&self, from: Host, to: Host, direction: Direction) -> Result<()> {
        self.lose(from, to, direction, Traffic::Vrrp)
    }

    /// Everything passes again (carriers and slow links stay as they are).
    pub fn heal(&self) -> Result<()> {
        self.lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.apply()
    }

    /// Limits what the switch sends to a host to a rate as `tc` writes it (`1mbit`), or lifts the limit.
    pub fn slow(&self, host: Host, rate: Option<&str>) -> Result<()> {
        let port = host.port();
        let mut command = Command::new("tc");
        command.args(["-n", self.switch.name(), "qdisc"]);
        match rate {
            Some(rate) => command.args([
                "replace", "dev", &port, "root", "tbf", "rate", rate, "burst", "32kbit", "latency",
                "400ms",
            ]),
            None => command.args(["del", "dev", &port, "root"]),
        };
        sh::run(&mut command).map(drop)
    }

    fn lose(&self, from: Host, to: Host, direction: Direction, traffic: Traffic) -> Result<()> {
        {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.insert((from, to, traffic));
            if direction == Direction::Both {
                lost.insert((to, from, traffic));
            }
        }
        self.apply()
    }

    /// One transaction sets the whole list of losses.
    fn apply(&self) -> Result<()> {
        let mut rules = String::from(
            "table bridge lab\ndelete table bridge lab\ntable bridge lab {\n chain forward {\n  type filter hook forward priority 0;\n",
        );
        for (from, to, traffic) in self
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let only = if *traffic == Traffic::Vrrp {
                "ip protocol 112 "
            } else {
                ""
            };
            writeln!(
                rules,
                "  iifname \"{}\" oifname \"{}\" {only}drop",
                from.port(),
                to.port()
            )?;
        }
        rules.push_str(" }\n}\n");
        self.switch
            .within(|| sh::feed(Command::new("nft").args(["-f", "-"]), &rules).map(drop))
    }
}
