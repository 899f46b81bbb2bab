SET SESSION sql_log_bin = 0;
CREATE USER IF NOT EXISTS 'keepalived'@'localhost' IDENTIFIED BY 'CHANGE-ME-keepalived';
GRANT REPLICATION CLIENT, REPLICATION SLAVE, RELOAD, PROCESS, REPLICATION_SLAVE_ADMIN, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, SYSTEM_USER ON *.* TO 'keepalived'@'localhost';
CREATE USER IF NOT EXISTS 'keepalived'@'%' IDENTIFIED BY 'CHANGE-ME-keepalived';
GRANT REPLICATION CLIENT, REPLICATION SLAVE, RELOAD, PROCESS, REPLICATION_SLAVE_ADMIN, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, SYSTEM_USER ON *.* TO 'keepalived'@'%';
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
