#!/bin/sh
# Switching a SQLite file to WAL fails at once while another program writes, whatever busy_timeout is.
#
# Guess:  with busy_timeout set, every statement that needs a lock waits for it,
#         and so does `PRAGMA journal_mode = WAL`: two programs may open a new
#         file at the same time, set busy_timeout and then WAL.
# Truth:  it waits while another program reads, but not while another one writes:
#         then it fails at once with SQLITE_BUSY, where an INSERT waits. The
#         program has to try again itself. Once the file is in WAL mode, the
#         statement needs no lock and always works.
# Seen:   SQLite 3.40.1 (Python 3.11.2), and 3.54.1 (modernc.org/sqlite v1.62.0),
#         2026-11-29
# Source: SQLite, src/pager.c: pagerLockDb for the exclusive lock, which calls no
#         busy handler if another program has the reserved one
# Needs:  python3
set -eu

command -v python3 >/dev/null || { echo "NOT TRIED: there is no python3" >&2 && exit 77; }
python3 -c 'import sqlite3' 2>/dev/null || { echo "NOT TRIED: this Python has no sqlite3" >&2 && exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

still=0
python3 - "$folder/file.db" <<'PYTHON' || still=$?
import sqlite3, sys, time

TIMEOUT = 1.5  # seconds
wal = "PRAGMA journal_mode = WAL"


def connect():
    return sqlite3.connect(sys.argv[1], timeout=TIMEOUT, isolation_level=None)


def attempt(what, connection, statement):
    begin = time.monotonic()
    try:
        result = connection.execute(statement).fetchone()
    except sqlite3.OperationalError as error:
        result = error
    took = time.monotonic() - begin
    print(f"{what}: {result} after {took:.1f} s")
    return took, result


print("SQLite", sqlite3.sqlite_version, "with busy_timeout", TIMEOUT, "s")
other, own = connect(), connect()
other.execute("CREATE TABLE t (x)")
other.execute("INSERT INTO t VALUES (1), (2)")

other.execute("BEGIN IMMEDIATE")
other.execute("INSERT INTO t VALUES (3)")
insert, _ = attempt("an INSERT while another program writes", own, "INSERT INTO t VALUES (4)")
switch, failure = attempt("WAL while another program writes", own, wal)
other.execute("COMMIT")

reading = other.execute("SELECT x FROM t")
reading.fetchone()
read, _ = attempt("WAL while another program reads", own, wal)
reading.close()

attempt("WAL while no other program does anything", own, wal)
other.execute("BEGIN IMMEDIATE")
again, mode = attempt("WAL again while another program writes", own, wal)
still = (insert > TIMEOUT / 2 and switch < TIMEOUT / 2 and "locked" in str(failure)
         and read > TIMEOUT / 2 and mode == ("wal",))
sys.exit(0 if still else 1)
PYTHON

if [ "$still" != 0 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
