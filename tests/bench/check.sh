#!/bin/bash
# What most set-ups run: the client program, its answer taken apart by the shell.
# check.sh SOCKET USER
answer=$(mariadb --no-defaults -N -B -S "$1" -u "$2" \
    -e 'SELECT @@global.read_only; SHOW ALL SLAVES STATUS\G') || exit 1
read -r closed <<<"$answer"
if [ "$closed" = 0 ]; then
    echo open
elif [[ $answer == *"Slave_IO_Running: Yes"* || $answer == *Yes*Yes* ]]; then
    echo "closed, replicating"
else
    exit 1
fi
