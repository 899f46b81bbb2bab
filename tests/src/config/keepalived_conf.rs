//! keepalived.conf: VRRP 3 with fast adverts, unicast, both BACKUP.

use std::fmt::Write as _;

use crate::network::VIP;
use crate::options::{HookCommands, Hooks, LabOptions, NodeId, NodePaths};
use crate::server::Server;

/// The server's command line: keepalived recognises the process by it.
pub(crate) fn server_command(server: Server, paths: &NodePaths) -> [String; 2] {
    let defaults = format!("--defaults-file={}/my.cnf", paths.etc().display());
    [server.program().display().to_string(), defaults]
}

/// keepalived.conf of a node.
pub(crate) fn keepalived_conf(node: NodeId, paths: &NodePaths, options: &LabOptions) -> String {
    let hooks = commands(paths, &options.hooks);
    let mut text = global(node);
    trackers(&mut text, paths, options, &hooks);
    instance(&mut text, node, options, &hooks);
    text
}

fn global(node: NodeId) -> String {
    format!(
        "global_defs {{
    router_id {node}
    vrrp_version 3
    script_user root
    enable_script_security
    umask 022
    max_auto_priority 10
    vrrp_garp_master_refresh 30
}}
"
    )
}

fn trackers(text: &mut String, paths: &NodePaths, options: &LabOptions, hooks: &HookCommands) {
    if options.track_process {
        let [program, argument] = server_command(options.server, paths);
        let _ = write!(
            text,
            "vrrp_track_process mysqld {{
    process {program} {argument}
    full_command
    weight 0
    quorum 1
}}
"
        );
    }
    let _ = write!(
        text,
        "vrrp_script check_mysql {{
    script \"{}\"
    interval 1
    timeout 1
    fall 2
    rise 1
    weight 0
}}
track_file drain {{
    file {}
    weight 0
    init_file 0
}}
",
        hooks.check,
        paths.drain().display()
    );
}

fn instance(text: &mut String, node: NodeId, options: &LabOptions, hooks: &HookCommands) {
    let preempt = if options.preempt {
        ""
    } else {
        "\n    nopreempt"
    };
    let priority = options.priorities[node.index()];
    let (own, peer) = (node.address(), node.other().address());
    let process = if options.track_process {
        "    track_process {\n        mysqld\n    }\n"
    } else {
        ""
    };
    let _ = write!(
        text,
        "vrrp_instance VI_1 {{
    state BACKUP{preempt}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.1
    unicast_src_ip {own}
    check_unicast_src
    unicast_peer {{
        {peer}
    }}
    garp_master_delay 1
    virtual_ipaddress {{
        {VIP}/32 dev eth0
    }}
{process}    track_script {{
        check_mysql
    }}
    track_file {{
        drain
    }}
    notify_master \"{}\"
    notify_backup \"{}\"
    notify_fault \"{}\"
    notify_stop \"{}\"
    notify_master_rx_lower_pri \"{}\"
}}
",
        hooks.master, hooks.backup, hooks.fault, hooks.stop, hooks.master_rx_lower_pri
    );
}

fn commands(paths: &NodePaths, hooks: &Hooks) -> HookCommands {
    let program = |name: &str| match hooks {
        Hooks::Suite => format!(
            "{}/{name} --config {}",
            paths.bin().display(),
            paths.config().display()
        ),
        _ => "/bin/true".to_owned(),
    };
    match hooks {
        Hooks::Custom(make) => make(paths),
        Hooks::Suite | Hooks::Nothing => HookCommands {
            check: program("check_mysql"),
            master: program("notify_master"),
            backup: program("notify_backup"),
            fault: program("notify_fault"),
            stop: program("notify_stop"),
            master_rx_lower_pri: program("notify_master"),
        },
    }
}
