-- Accounts and tables of keepalived-mysql, for MySQL 5.6.
-- Run it as root on EACH node, on the node itself: nothing in here is replicated.
-- Replace both passwords and narrow '%' to the addresses of your nodes before you do.
-- A server that is closed already (read_only = 1) takes it from root all the same.

SET SESSION sql_log_bin = 0;

-- The suite's account on this node, over the socket: check, close, open, replicate, record.
-- SUPER is what MySQL 5.6 asks for nearly everything: read_only, STOP and START SLAVE, CHANGE MASTER,
-- KILL, sql_log_bin, global variables, and writing the suite's own tables while the server is closed.
-- GRANT makes the account where it is not there yet; 5.6 has no CREATE USER IF NOT EXISTS.
GRANT SUPER, REPLICATION CLIENT, REPLICATION SLAVE, RELOAD, PROCESS
   ON *.* TO 'keepalived'@'localhost' IDENTIFIED BY 'CHANGE-ME-keepalived';

-- Only for [promote] enable_events: to alter events.
-- GRANT EVENT ON *.* TO 'keepalived'@'localhost';

-- The same account for the other nodes: look, close, write the fence row.
GRANT SUPER, REPLICATION CLIENT, RELOAD, PROCESS
   ON *.* TO 'keepalived'@'%' IDENTIFIED BY 'CHANGE-ME-keepalived';

-- Only for [promote] enable_events: which events run on the node that serves.
-- GRANT EVENT ON *.* TO 'keepalived'@'%';

-- What replicas log in with.
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%' IDENTIFIED BY 'CHANGE-ME-repl';

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
