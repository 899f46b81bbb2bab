SET sql_log_bin=0;
CREATE USER 'keepalived'@'localhost' IDENTIFIED BY 'lab-keepalived';
CREATE USER 'keepalived'@'10.77.0.%' IDENTIFIED BY 'lab-keepalived';
GRANT BINLOG MONITOR, SLAVE MONITOR, REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, BINLOG ADMIN, RELOAD, PROCESS, SUPER ON *.* TO 'keepalived'@'localhost';
GRANT BINLOG MONITOR, SLAVE MONITOR, REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, BINLOG ADMIN, RELOAD, PROCESS, SUPER ON *.* TO 'keepalived'@'10.77.0.%';
CREATE USER 'repl'@'%' IDENTIFIED BY 'lab-repl';
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';
CREATE DATABASE keepalived_mysql;
GRANT ALL ON keepalived_mysql.* TO 'keepalived'@'localhost';
GRANT ALL ON keepalived_mysql.* TO 'keepalived'@'10.77.0.%';
CREATE TABLE keepalived_mysql.fence (
  id TINYINT UNSIGNED PRIMARY KEY,
  epoch BIGINT UNSIGNED NOT NULL,
  node VARCHAR(64) NOT NULL,
  told_by VARCHAR(64) NOT NULL,
  reason VARCHAR(255) NOT NULL,
  told_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;
INSERT INTO keepalived_mysql.fence VALUES (1, 0, '', '', '', NOW(6));
CREATE TABLE keepalived_mysql.promotion (
  epoch BIGINT UNSIGNED NOT NULL,
  node VARCHAR(64) NOT NULL,
  server_identity VARCHAR(255),
  state ENUM('claim','opening','opened','withdrawn'),
  record LONGTEXT,
  updated_at DATETIME(6),
  PRIMARY KEY (epoch, node)
) ENGINE=InnoDB;
