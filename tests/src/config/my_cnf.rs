//! The server's configuration: small, and closed when it boots.

use crate::options::{LabOptions, NodeId, NodePaths};

/// my.cnf of a node.
pub(crate) fn my_cnf(node: NodeId, paths: &NodePaths, options: &LabOptions) -> String {
    let root = paths.root().display();
    let (id, strict) = (node.server_id(), u8::from(options.gtid_strict_mode));
    let (sync, flush) = (options.sync_binlog, options.flush_log_at_trx_commit);
    let mut text = format!(
        "[mariadbd]
user = root
datadir = {root}/data
tmpdir = {root}/tmp
socket = {root}/run/mysqld.sock
pid_file = {root}/run/mysqld.pid
log_error = {root}/log/mysqld.log
port = 3306
bind_address = 0.0.0.0
skip_name_resolve
event_scheduler = OFF
performance_schema = OFF

server_id = {id}
log_bin = binlog
relay_log = relay
log_slave_updates
binlog_format = ROW
sync_binlog = {sync}
innodb_flush_log_at_trx_commit = {flush}
gtid_strict_mode = {strict}
slave_net_timeout = 6
read_only = 1

innodb_data_file_path = ibdata1:3M:autoextend
innodb_autoextend_increment = 1
innodb_log_file_size = 4M
innodb_buffer_pool_size = 16M
innodb_buffer_pool_dump_at_shutdown = 0
innodb_buffer_pool_load_at_startup = 0
innodb_use_native_aio = 0
skip_innodb_doublewrite
aria_pagecache_buffer_size = 1M
key_buffer_size = 1M
"
    );
    if options.skip_slave_start {
        text.push_str("skip_slave_start\n");
    }
    for line in &options.my_cnf {
        text.push_str(line);
        text.push('\n');
    }
    text
}
