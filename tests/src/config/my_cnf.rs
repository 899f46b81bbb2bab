//! The server's configuration: small, and closed when it boots.

use crate::options::{LabOptions, NodeId, NodePaths, Positioning};
use crate::server::Server;

/// my.cnf of a node.
pub(crate) fn my_cnf(node: NodeId, paths: &NodePaths, options: &LabOptions) -> String {
    let server = options.server;
    let mut lines = places(paths);
    lines.extend(server.places());
    lines.extend(replication(node, options));
    lines.extend(own(options));
    lines.extend(server.innodb());
    lines.extend(memory(server).iter().map(|&line| line.to_owned()));
    if options.skip_slave_start {
        lines.push(newer(server, "skip_slave_start"));
    }
    lines.extend(options.my_cnf.iter().map(|line| server.words(line)));
    format!("[mysqld]\n{}\n", lines.join("\n"))
}

fn places(paths: &NodePaths) -> Vec<String> {
    let root = paths.root().display();
    let text = format!(
        "user = root
datadir = {root}/data
tmpdir = {root}/tmp
socket = {root}/run/mysqld.sock
pid_file = {root}/run/mysqld.pid
log_error = {root}/log/mysqld.log
port = 3306
bind_address = 0.0.0.0
skip_name_resolve
event_scheduler = OFF"
    );
    text.lines().map(str::to_owned).collect()
}

fn replication(node: NodeId, options: &LabOptions) -> Vec<String> {
    let (server, id) = (options.server, node.server_id());
    let (sync, flush) = (options.sync_binlog, options.flush_log_at_trx_commit);
    let mut all = vec![
        format!("server_id = {id}"),
        "log_bin = binlog".to_owned(),
        "relay_log = relay".to_owned(),
        newer(server, "log_slave_updates"),
        "binlog_format = ROW".to_owned(),
        format!("sync_binlog = {sync}"),
        format!("innodb_flush_log_at_trx_commit = {flush}"),
        newer(server, "slave_net_timeout = 6"),
    ];
    if server == Server::MySql97 {
        // It would be deprecated there, and ROW is the default.
        all.retain(|line| !line.starts_with("binlog_format"));
    }
    all
}

/// Options that only some servers know.
fn own(options: &LabOptions) -> Vec<String> {
    let by_gtid = options.positioning != Positioning::Position;
    let mode = if by_gtid { "ON" } else { "OFF" };
    let text = match options.server {
        Server::MySql97 => format!(
            "super_read_only = 1\ngtid_mode = {mode}\nenforce_gtid_consistency = {mode}\nmysqlx = OFF"
        ),
        Server::MySql56 => format!(
            "read_only = 1\ngtid_mode = {mode}\nenforce_gtid_consistency = {mode}\n\
             master_info_repository = TABLE\nrelay_log_info_repository = TABLE\nrelay_log_recovery = 1\n\
             explicit_defaults_for_timestamp = 1\nperformance_schema = OFF"
        ),
        _ => format!(
            "read_only = 1\ngtid_strict_mode = {}\nperformance_schema = OFF",
            u8::from(options.gtid_strict_mode)
        ),
    };
    text.lines().map(str::to_owned).collect()
}

/// As little memory as a pair on a small machine needs.
fn memory(server: Server) -> &'static [&'static str] {
    match server {
        Server::MySql97 => &[
            "innodb_buffer_pool_size = 16M",
            "innodb_buffer_pool_dump_at_shutdown = 0",
            "innodb_buffer_pool_load_at_startup = 0",
            "innodb_doublewrite = OFF",
        ],
        Server::MySql56 => &[
            "innodb_buffer_pool_size = 8M",
            "innodb_use_native_aio = 0",
            "skip_innodb_doublewrite",
            "key_buffer_size = 1M",
        ],
        _ => &[
            "innodb_buffer_pool_size = 16M",
            "innodb_buffer_pool_dump_at_shutdown = 0",
            "innodb_buffer_pool_load_at_startup = 0",
            "innodb_use_native_aio = 0",
            "skip_innodb_doublewrite",
            "aria_pagecache_buffer_size = 1M",
            "key_buffer_size = 1M",
        ],
    }
}

/// The option under the name that newer MySQL wants.
fn newer(server: Server, option: &str) -> String {
    match server {
        Server::MySql97 => option.replace("slave", "replica"),
        _ => option.to_owned(),
    }
}
