#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends one request as DirectAdmin does and watches the name servers meanwhile.

push.py PATH BODY_FILE ZONE SERIAL|gone
Prints "answer<TAB>ms<TAB>status<TAB>body", then for each server "NS1<TAB>ms" ("-" if not within 10 s). The clock
starts before the connection is made; each server is asked for the zone's SOA about every half millisecond until it
serves SERIAL (or, for "gone", no longer answers for the zone: REFUSED).
"""
import base64
import os
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

SERVERS = ("NS1", "NS2", "DC1", "DC2")
PATIENCE = 10.0


def request(path, body):
    login = base64.b64encode(f"{os.environ['INGEST_USER']}:{os.environ['INGEST_PASSWORD']}".encode()).decode()
    head = (f"POST {path} HTTP/1.0\r\nAUTHORIZATION: Basic {login}\r\nHOST: ns1.dns.example\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def send(url, data):
    with socket.create_connection((url.hostname, url.port), timeout=PATIENCE) as conn:
        conn.sendall(data)
        answer = b""
        while piece := conn.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split(b" ", 1)
    return status[-1].decode(errors="replace"), body.decode(errors="replace").strip()


def as_wished(reply, serial):
    if serial == "gone":
        return reply.rcode() == dns.rcode.REFUSED
    return any(str(rrset[0].serial) == serial for rrset in reply.answer if rrset.rdtype == dns.rdatatype.SOA)


def watch(address, zone, serial, began, took, name):
    host, port = address.rsplit(":", 1)
    query = dns.message.make_query(zone, "SOA")
    query.flags = 0
    while time.monotonic() - began < PATIENCE:
        try:
            if as_wished(dns.query.udp(query, host, port=int(port), timeout=0.2), serial):
                took[name] = (time.monotonic() - began) * 1000
                return
        except (dns.exception.DNSException, OSError):
            pass
        time.sleep(0.0005)


def main():
    path, body_file, zone, serial = sys.argv[1:]
    url = urlsplit(os.environ["INGEST_URL"])
    with open(body_file, "rb") as file:
        data = request(path, file.read())
    took = {}
    began = time.monotonic()
    watchers = [threading.Thread(target=watch, args=(os.environ[name + "_DNS"], zone, serial, began, took, name))
                for name in SERVERS]
    for watcher in watchers:
        watcher.start()
    try:
        status, body = send(url, data)
    except OSError as error:
        status, body = "no answer", str(error)
    print(f"answer\t{(time.monotonic() - began) * 1000:.1f}\t{status}\t{body}")
    for watcher in watchers:
        watcher.join()
    for name in SERVERS:
        print(f"{name}\t{took[name]:.1f}" if name in took else f"{name}\t-")


main()
