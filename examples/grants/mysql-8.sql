-- Accounts and tables of keepalived-mysql, for MySQL 8.0 (from 8.0.16 on) and newer.
-- Run it as root on EACH node, on the node itself: nothing in here is replicated.
-- Replace both passwords and narrow '%' to the addresses of your nodes before you do.
-- On a server that is closed already run SET GLOBAL super_read_only = 0 before, and = 1 after it.

SET SESSION sql_log_bin = 0;

-- The suite's account on this node, over the socket: check, close, open, replicate, record.
-- SYSTEM_VARIABLES_ADMIN: super_read_only, sql_log_bin, durability. CONNECTION_ADMIN: disconnect
-- applications, and write the suite's own tables under read_only. Give your applications neither.
-- SYSTEM_USER: nobody else may disconnect a session of root that holds a lock, or end an applier that
-- waits for the rest of what its dead source sent in part; it gives no other power by itself.
CREATE USER IF NOT EXISTS 'keepalived'@'localhost' IDENTIFIED BY 'CHANGE-ME-keepalived';
GRANT REPLICATION CLIENT, REPLICATION SLAVE, RELOAD, PROCESS
   ON *.* TO 'keepalived'@'localhost';
GRANT SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, SYSTEM_USER, REPLICATION_SLAVE_ADMIN
   ON *.* TO 'keepalived'@'localhost';

-- Only for [promote] enable_events: EVENT to alter events, SET_ANY_DEFINER (SET_USER_ID before 8.2) so
-- that they keep their definers.
-- GRANT EVENT, SET_ANY_DEFINER ON *.* TO 'keepalived'@'localhost';

-- The same account for the other nodes: look, close, write the fence row. It cannot stop, start or
-- repoint replication.
CREATE USER IF NOT EXISTS 'keepalived'@'%' IDENTIFIED BY 'CHANGE-ME-keepalived';
GRANT REPLICATION CLIENT, RELOAD, PROCESS ON *.* TO 'keepalived'@'%';
GRANT SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, SYSTEM_USER ON *.* TO 'keepalived'@'%';

-- Only for [promote] enable_events: which events run on the node that serves.
-- GRANT EVENT ON *.* TO 'keepalived'@'%';

-- What replicas log in with.
CREATE USER IF NOT EXISTS 'repl'@'%' IDENTIFIED BY 'CHANGE-ME-repl';
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';

CREATE DATABASE IF NOT EXISTS keepalived_mysql DEFAULT CHARACTER SET utf8mb4;
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
