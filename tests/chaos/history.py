# SPDX-License-Identifier: Apache-2.0
"""The history of a run: one JSON object a line, by the one monotonic clock of the process that drives it.

    invoke, ok, fail, info   an operation {id, op: push|delete|exists, zone, n, owner, credential, door}; ok: acknowledged;
                             fail: refused for good; info: nobody knows, it may take effect at any later time
    nemesis                  {name, what: start|fired|stop, alarms, down: backends that may be silent meanwhile}
    healed                   the last fault is over: from here recovery is measured
    see                      {backend, kind: dns|axfr|sql, zone, t0, t1, phase, n (null: absent), serial, owner, fp, torn, rcode}
                             or with `error` instead of what was seen; `cached`: its reader may answer late
    count                    {backend, zones}: how many zones it serves
    still                    {zone, n, fp}: pushed once, changed never
    push, value, verdict     what independent consumers read of dadns.pushes, dadns.zones and the judge's dadns.status, one all
                             the time (reader: live), one in the end (final)
    start                    {partition, offset}: where dadns.pushes begins in the end
    alarm                    {name}: somebody was told
    policy                   {credential, hostnames}: whom it may speak for
    window                   {backend, what: start|stop}: it is being restored, and may go back
    claim                    {sentence, ok, detail}: what the row itself insists on
    row                      {name, bound, observations, expects, faults}
"""
import json
import threading
import time


class Recorder:
    """Thread-safe; keeps the events as well as the file."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.events = []
        self.file = open(path, "w")
        self.began = time.monotonic()
        self.operations = 0

    def now(self):
        return round(time.monotonic() - self.began, 6)

    def add(self, e, **fields):
        event = {"e": e, "t": self.now(), **fields}
        line = json.dumps(event)
        with self.lock:
            self.events.append(event)
            self.file.write(line + "\n")
        return event

    def next_id(self):
        with self.lock:
            self.operations += 1
            return self.operations

    def close(self):
        self.file.close()


def load(path):
    with open(path) as file:
        return [json.loads(line) for line in file]
