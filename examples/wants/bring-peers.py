#!/usr/bin/python3
"""Adds peers to an interface when they are heard: bring-peers.py INTERFACE FILE

Each line of FILE is a peer: its public key, and its allowed IPs. The file is read for
each want, so it may change at any time; a database could stand in its place.
"""
import base64, socket, sys

interface, file = sys.argv[1:]

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(f"/var/run/wireguard/{interface}.sock")
    return s.makefile("rw")

def block(stream):
    """Reads lines of key=value up to an empty one."""
    lines = iter(stream.readline, "\n")
    return dict(line.rstrip("\n").split("=", 1) for line in lines if line or sys.exit())

def request(*lines):
    print(*lines, "", sep="\n", file=requests, flush=True)
    if (answer := block(requests)) != {"errno": "0"}:
        print(lines, answer, file=sys.stderr)

def find(key):
    for line in open(file):
        public, *allowed = line.split()
        if base64.b64decode(public).hex() == key:
            return allowed

requests, wants = connect(), connect()
print("wants=1\n", file=wants, flush=True)
while want := block(wants):
    if want.get("want") == "unknown_key":
        key = "public_key=" + want["public_key"]
        allowed = find(want["public_key"])
        if allowed is None:
            request("refuse=1", key)
        else:
            request("set=1", key, *("allowed_ip=" + prefix for prefix in allowed))
        print("refused" if allowed is None else "added", want["public_key"], flush=True)
