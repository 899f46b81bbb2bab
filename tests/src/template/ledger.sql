SET sql_log_bin=0;
CREATE DATABASE lab;
CREATE TABLE lab.ledger (
  id BIGINT UNSIGNED PRIMARY KEY,
  writer INT NOT NULL,
  server_id INT UNSIGNED NOT NULL,
  epoch BIGINT UNSIGNED NOT NULL,
  at DATETIME(6) NOT NULL
) ENGINE=InnoDB;
CREATE USER 'app'@'%' IDENTIFIED BY 'lab-app';
CREATE USER 'app'@'localhost' IDENTIFIED BY 'lab-app';
GRANT ALL ON lab.* TO 'app'@'%';
GRANT ALL ON lab.* TO 'app'@'localhost';
GRANT SELECT ON keepalived_mysql.* TO 'app'@'%';
GRANT SELECT ON keepalived_mysql.* TO 'app'@'localhost';
