//! Are the virtual addresses on this host?

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;

use crate::config::VipCheck;
use crate::sys::{CommandError, CommandOutcome, run_bounded};

/// How long the command of `vip_check` may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// Flags of an IPv6 address that cannot be used yet, or never: `linux/if_addr.h`.
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;

/// Where the virtual addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VipState {
    /// All of them are here.
    Here,
    /// None of them is.
    NotHere,
    /// Some are: keepalived is just moving them, or somebody has interfered.
    Partly,
}

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum VipError {
    /// The system does not tell the addresses of the interfaces.
    #[error("cannot list this host's addresses: {0}")]
    Addresses(#[source] io::Error),
    /// The command of `vip_check` cannot be run.
    #[error("vip_check: {0}")]
    Command(#[from] CommandError),
    /// The command of `vip_check` did not end within 2 s.
    #[error("vip_check: the command did not end within 2 s")]
    TimedOut,
    /// The command of `vip_check` was killed by a signal.
    #[error("vip_check: the command was killed by a signal")]
    Killed,
}

/// Where `vips` are. An IPv6 address that is tentative, or that another host has too, is not here.
/// A command answers for all at once: exit code 0 = here, any other = not here.
///
/// # Errors
/// When it cannot be told.
pub fn vips_here(vips: &[IpAddr], check: &VipCheck) -> Result<VipState, VipError> {
    match check {
        VipCheck::Command(command) => match run_bounded(command, COMMAND_TIMEOUT)? {
            CommandOutcome::Exited(Some(0)) => Ok(VipState::Here),
            CommandOutcome::Exited(Some(_)) => Ok(VipState::NotHere),
            CommandOutcome::Exited(None) => Err(VipError::Killed),
            CommandOutcome::TimedOut => Err(VipError::TimedOut),
        },
        VipCheck::Interface => Ok(state(vips, &usable_addresses(vips)?)),
    }
}

fn state(vips: &[IpAddr], addresses: &HashSet<IpAddr>) -> VipState {
    let here = vips
        .iter()
        .filter(|vip| addresses.contains(&vip.to_canonical()))
        .count();
    match here {
        0 => VipState::NotHere,
        n if n == vips.len() => VipState::Here,
        _ => VipState::Partly,
    }
}

/// The addresses among which to look; each list is read only if a virtual address can be in it.
fn usable_addresses(vips: &[IpAddr]) -> Result<HashSet<IpAddr>, VipError> {
    let mut usable = HashSet::new();
    if vips.iter().any(|vip| vip.to_canonical().is_ipv4()) {
        let all = list_addresses().map_err(VipError::Addresses)?;
        usable.extend(all.into_iter().filter(IpAddr::is_ipv4));
    }
    if vips.iter().any(|vip| vip.to_canonical().is_ipv6()) {
        // getifaddrs does not tell an IPv6 address's flags.
        let text = std::fs::read_to_string("/proc/net/if_inet6").map_err(VipError::Addresses)?;
        usable.extend(parse_if_inet6(&text).into_iter().map(IpAddr::V6));
    }
    Ok(usable)
}

fn list_addresses() -> io::Result<Vec<IpAddr>> {
    let addresses = getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    });
    Ok(addresses.collect())
}

/// All addresses of this host's interfaces; none if the system does not tell.
pub fn interface_addresses() -> Vec<IpAddr> {
    list_addresses().unwrap_or_default()
}

/// The usable addresses in the text of `/proc/net/if_inet6`: neither tentative nor dadfailed. Each
/// line is `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`, all numbers in hexadecimal; lines of another
/// form are skipped.
pub fn parse_if_inet6(text: &str) -> Vec<Ipv6Addr> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Ipv6Addr> {
    let mut fields = line.split_ascii_whitespace();
    let address = fields.next().filter(|hex| hex.len() == 32)?;
    let address = u128::from_str_radix(address, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0).then(|| Ipv6Addr::from_bits(address))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LO: &str = "00000000000000000000000000000001 01 80 10 80       lo\n";

    fn line(flags: &str) -> String {
        format!("fe80000000000000025056fffe000001 02 40 20 {flags}     eth0\n")
    }

    #[test]
    fn skips_what_cannot_be_used() {
        let eth: Ipv6Addr = "fe80::250:56ff:fe00:1".parse().unwrap();
        assert_eq!(parse_if_inet6(LO), [Ipv6Addr::LOCALHOST]);
        for usable in ["00", "80", "02", "20", "280", "01"] {
            assert_eq!(parse_if_inet6(&line(usable)), [eth], "{usable}");
        }
        // tentative; dadfailed; both with permanent; tentative and optimistic; a wider field
        for not_yet in ["40", "08", "c0", "88", "c8", "44", "2c0"] {
            assert!(parse_if_inet6(&line(not_yet)).is_empty(), "{not_yet}");
        }
    }

    #[test]
    fn garbage_is_no_address() {
        for text in [
            "",
            "\n",
            "xyz",
            "00 01 80 10 80 lo",
            "zz000000000000000000000000000001 01 80 10 80 lo",
            "00000000000000000000000000000001 01 80 10",
        ] {
            assert!(parse_if_inet6(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn all_some_none() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let here = HashSet::from([address("10.0.0.1"), address("fd00::1")]);
        let table = [
            (&["10.0.0.1"][..], VipState::Here),
            (&["10.0.0.1", "fd00::1"], VipState::Here),
            (&["::ffff:10.0.0.1"], VipState::Here),
            (&["10.0.0.1", "10.0.0.2"], VipState::Partly),
            (&["10.0.0.2"], VipState::NotHere),
        ];
        for (vips, expected) in table {
            let vips: Vec<IpAddr> = vips.iter().map(|vip| address(vip)).collect();
            assert_eq!(state(&vips, &here), expected, "{vips:?}");
        }
    }

    #[test]
    fn this_host() {
        let check = VipCheck::Interface;
        let foreign = [
            "192.0.2.77".parse().unwrap(),
            "2001:db8::77".parse().unwrap(),
        ];
        if std::path::Path::new("/proc/net/if_inet6").exists() {
            assert_eq!(vips_here(&foreign, &check).unwrap(), VipState::NotHere);
        }
        assert_eq!(vips_here(&foreign[..1], &check).unwrap(), VipState::NotHere);
        let own = interface_addresses();
        if let Some(first) = own.iter().find(|a| a.is_ipv4()) {
            assert_eq!(vips_here(&[*first], &check).unwrap(), VipState::Here);
            assert_eq!(
                vips_here(&[*first, foreign[0]], &check).unwrap(),
                VipState::Partly
            );
        }
    }

    #[test]
    fn a_command_may_answer() {
        let ask = |script: &str| {
            let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            vips_here(&[], &VipCheck::Command(command))
        };
        assert_eq!(ask("exit 0").unwrap(), VipState::Here);
        assert_eq!(ask("exit 1").unwrap(), VipState::NotHere);
        assert!(matches!(ask("kill -9 $$"), Err(VipError::Killed)));
        let missing = VipCheck::Command(vec!["/nonexistent".to_owned()]);
        assert!(matches!(
            vips_here(&[], &missing),
            Err(VipError::Command(_))
        ));
    }
}
