"""What many set-ups run instead. check.py SOCKET USER"""
import sys

import pymysql

connection = pymysql.connect(unix_socket=sys.argv[1], user=sys.argv[2])
with connection.cursor(pymysql.cursors.DictCursor) as cursor:
    cursor.execute("SELECT @@global.read_only AS closed")
    closed = cursor.fetchone()["closed"]
    cursor.execute("SHOW ALL SLAVES STATUS")
    rows = cursor.fetchall()
connection.close()
running = any(r["Slave_IO_Running"] == r["Slave_SQL_Running"] == "Yes" for r in rows)
sys.exit(0 if not closed or running else 1)
