-- Accounts and tables of keepalived-mysql, for MariaDB 10.5 and newer.
-- Run it as root on EACH node, on the node itself: nothing in here is replicated.
-- Replace both passwords and narrow '%' to the addresses of your nodes before you do.

SET SESSION sql_log_bin = 0;

-- The suite's account on this node, over the socket: check, close, open, replicate, record.
-- SUPER serves one purpose: innodb_flush_log_at_trx_commit = 1 after a promotion. Without it the
-- promotion works and says that it could not set the variable. REPLICATION SLAVE lets it read the
-- binary log, to salvage what this node alone committed. Semi-sync takes REPLICATION MASTER ADMIN
-- (source side) and REPLICATION SLAVE ADMIN (replica side).
CREATE USER IF NOT EXISTS 'keepalived'@'localhost' IDENTIFIED BY 'CHANGE-ME-keepalived';
GRANT BINLOG MONITOR, SLAVE MONITOR, REPLICATION SLAVE, REPLICATION SLAVE ADMIN,
      REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, BINLOG ADMIN, RELOAD, PROCESS,
      SUPER
   ON *.* TO 'keepalived'@'localhost';

-- Only for [promote] enable_events: EVENT to alter events, SET USER so that they keep their definers.
-- GRANT EVENT, SET USER ON *.* TO 'keepalived'@'localhost';

-- The same account for the other nodes: look, close, write the fence row. It cannot open
-- replication and cannot change InnoDB's settings.
CREATE USER IF NOT EXISTS 'keepalived'@'%' IDENTIFIED BY 'CHANGE-ME-keepalived';
GRANT BINLOG MONITOR, SLAVE MONITOR, REPLICATION MASTER ADMIN,
      READ_ONLY ADMIN, CONNECTION ADMIN, BINLOG ADMIN, RELOAD, PROCESS
   ON *.* TO 'keepalived'@'%';

-- Only for [promote] enable_events: which events run on the node that serves.
-- GRANT EVENT ON *.* TO 'keepalived'@'%';

-- What replicas log in with.
CREATE USER IF NOT EXISTS 'repl'@'%' IDENTIFIED BY 'CHANGE-ME-repl';
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';

CREATE DATABASE IF NOT EXISTS keepalived_mysql;
GRANT SELECT, INSERT, UPDATE, DELETE ON keepalived_mysql.* TO 'keepalived'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON keepalived_mysql.* TO 'keepalived'@'%';

-- The highest epoch that this server has been told of. An opening below it fails in the server.
CREATE TABLE IF NOT EXISTS keepalived_mysql.fence (
  id      TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  epoch   BIGINT UNSIGNED NOT NULL,
  node    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  told_by VARCHAR(64) NOT NULL,
  reason  VARCHAR(255) NOT NULL,
  told_at DATETIME(6) NOT NULL
) ENGINE = InnoDB;
INSERT IGNORE INTO keepalived_mysql.fence VALUES (1, 0, '', '', '', NOW(6));

-- The promotions of this server.
CREATE TABLE IF NOT EXISTS keepalived_mysql.promotion (
  epoch           BIGINT UNSIGNED NOT NULL,
  node            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  server_identity VARCHAR(255) NOT NULL,
  state           ENUM('claim', 'opening', 'opened', 'withdrawn') NOT NULL,
  record          LONGTEXT NULL,
  updated_at      DATETIME(6) NOT NULL,
  PRIMARY KEY (epoch, node)
) ENGINE = InnoDB;
