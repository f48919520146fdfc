#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The fault matrix: run.py [--short | ROW…], nothing named: all rows, and docs/faults.md is written.

Each row runs in a process of its own, on a stack of its own folder (three brokers: on another one), and leaves
build/chaos/ROW.jsonl (the history) and ROW.json (what the checker made of it). The last line is "N passed, N failed".
    run.py --check FILE     judges a history once more
    run.py --list           which rows there are
    run.py --print          writes docs/faults.md from what build/chaos has
SEED of the environment chooses another run; PATIENCE=3 gives everything three times as long, on a busy machine.
"""
import datetime
import glob
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import checker  # noqa: E402
import history  # noqa: E402
import rig  # noqa: E402

RESULTS = os.path.join(ROOT, "build", "chaos")
PAGE = os.path.join(ROOT, "docs", "faults.md")
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))


def load_rows():
    for path in sorted(glob.glob(os.path.join(HERE, "rows_*.py"))):
        importlib.import_module(os.path.basename(path)[:-3])


def order(name):
    """F2 before F10; rows of three brokers last: they need a stack of their own."""
    row = rig.ROWS[name]
    digits = "".join(filter(str.isdigit, name))
    return row.brokers, name[0] != "F", int(digits or 0), name


# ---- one row, in this process --------------------------------------------------------------------------------------------

def run_one(name):
    row = rig.ROWS[name]
    path = os.path.join(RESULTS, f"{name}.jsonl")
    recorder = history.Recorder(path)
    began = time.monotonic()
    one = rig.Rig(row, recorder, SEED)
    one.run()
    recorder.close()
    verdict = checker.check(recorder.events)
    if row.expects:
        passed = verdict.wrong.keys() >= set(row.expects) and not {"C0", "row"} & verdict.wrong.keys()
    else:
        passed = not verdict.wrong
    found = {"row": name, "passed": passed, "wrong": list(verdict.lines()), "figures": verdict.figures, "own": one.figures,
             "took": round(time.monotonic() - began, 1), "seed": SEED, "date": datetime.date.today().isoformat()}
    with open(os.path.join(RESULTS, f"{name}.json"), "w") as file:
        json.dump(found, file, indent=1)
    sys.stdout.flush()
    os._exit(0 if passed else 1)  # threads that still wait are of no interest


def seconds(value):
    return "-" if value is None else f"{value:.1f} s"


def tell(row, found):
    figures = found["figures"]
    print(f"{'ok' if found['passed'] else 'not ok'} - {row.name} {row.fault}" + (f" [{', '.join(row.expects)} must fail]" if row.expects else ""))
    print(f"    recovery p50 {seconds(figures['p50'])}, p99 {seconds(figures['p99'])}, max {seconds(figures['max'])}; "
          f"{figures['ok']} operations acknowledged, {figures['fail']} refused, {figures['info']} unknown; {figures['faults']} faults; "
          f"{figures['observations']} looks; {found['took']} s")
    for name, value in found["own"].items():
        print(f"    {name}: {value}")
    if not found["passed"] or row.expects:
        wanted = [line for line in found["wrong"] if line.partition(":")[0] in row.expects] if found["passed"] else found["wrong"]
        for line in wanted[:12 if not found["passed"] else 3]:
            print(f"    {line[:300]}")
    sys.stdout.flush()


# ---- many, each in its own ---------------------------------------------------------------------------------------------------

class Stacks:
    """The stack of one broker, or of three; the other one is down."""

    def __init__(self):
        self.base = os.environ.get("STACK_DIR") or os.path.join(ROOT, "build", "chaos-run")
        self.brokers = None

    def environment(self, brokers):
        folder = self.base if brokers == 1 else f"{self.base}-{brokers}"
        return {**os.environ, "STACK_DIR": folder, "STACK_BROKERS": str(brokers), "SEED": str(SEED),
                "BIN": os.environ.get("BIN", "build/release"), "STACK_WAIT": os.environ.get("STACK_WAIT", "120")}

    def tool(self, word, brokers):
        return subprocess.run([os.path.join(ROOT, "tools", "stack.sh"), word], cwd=ROOT, env=self.environment(brokers), capture_output=True,
                              text=True)

    def want(self, brokers):
        if self.brokers == brokers:
            return True
        self.down()
        self.tool("wipe", brokers)
        self.brokers = brokers
        done = self.tool("up", brokers)
        if done.returncode != 0:
            print(done.stdout + done.stderr)
        return done.returncode == 0

    def down(self):
        if self.brokers is not None:
            self.tool("down", self.brokers)
            self.brokers = None


def run_apart(name, stacks):
    row = rig.ROWS[name]
    path = os.path.join(RESULTS, f"{name}.json")
    if os.path.exists(path):
        os.unlink(path)
    if not stacks.want(row.brokers):
        print(f"not ok - {name}: the stack does not come up")
        return False
    print(f"-- {name}", flush=True)
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--one", name], env=stacks.environment(row.brokers), cwd=ROOT,
                             start_new_session=True)
    try:
        child.wait(row.seconds)
    except subprocess.TimeoutExpired:
        print(f"not ok - {name}: not done within {row.seconds} s")
    except KeyboardInterrupt:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)  # followers too
        except ProcessLookupError:
            pass
        child.wait()
    if not os.path.exists(path):
        print(f"not ok - {name}: it left no result")
        stacks.down()  # who knows in what state it left that; the next row gets a new one
        return False
    with open(path) as file:
        found = json.load(file)
    tell(row, found)
    if not found["passed"]:
        stacks.down()  # the next row gets a new one
    return found["passed"]


def run_many(names):
    os.makedirs(RESULTS, exist_ok=True)
    stacks, passed, failed, began = Stacks(), [], [], time.monotonic()
    print(f"# {len(names)} rows (SEED={SEED})", flush=True)
    try:
        for name in names:
            (passed if run_apart(name, stacks) else failed).append(name)
    finally:
        if not os.environ.get("KEEP"):
            stacks.down()
    print(f"# {time.monotonic() - began:.0f} s" + (f"; failed: {' '.join(failed)}" if failed else ""))
    return passed, failed


# ---- docs/faults.md ------------------------------------------------------------------------------------------------------------

HEAD = """# Faults

Printed by `make chaos`; do not edit. Each row is a fault that is really made on a running stack, under pushes and deletes, with observers at
all name servers and tables; `tests/chaos/checker.py` judges the history (C1 to C10). *Recovery* is the time from the end of the fault, or
from a zone's last push if that was later, until a backend serves it: half of them, and the slowest. A row with a check in brackets is a
negative control: the loss is planted, and that check must find it.

"""


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def print_page():
    lines = ["| row | fault | made by | result | recovery p50, max | operations: acknowledged, refused, unknown | faults, looks | date |",
             "|---|---|---|---|---|---|---|---|"]
    count = 0
    for name in sorted(rig.ROWS, key=lambda name: order(name)[1:]):
        row, path = rig.ROWS[name], os.path.join(RESULTS, f"{name}.json")
        found = None
        if os.path.exists(path):
            with open(path) as file:
                found = json.load(file)
        if found is None:
            lines.append(f"| {name} | {cell(row.fault)} | {cell(row.injection)} | not run | | | | |")
            continue
        f = found["figures"]
        count += found["passed"]
        result = ("passed" if found["passed"] else "**failed**") + (f" [{', '.join(row.expects)}]" if row.expects else "")
        own = "".join(f"; {key}: {value}" for key, value in found["own"].items())
        lines.append(f"| {name} | {cell(row.fault)} | {cell(row.injection)} | {result}{cell(own)} | {seconds(f['p50'])}, {seconds(f['max'])} "
                     f"| {f['ok']}, {f['fail']}, {f['info']} | {f['faults']}, {f['observations']} | {found['date']} |")
    text = HEAD + f"{count} of {len(rig.ROWS)} rows passed.\n\n" + "\n".join(lines) + "\n"
    if rig.LEFT_OUT:
        text += "\n## Left out\n\n| row | fault | why |\n|---|---|---|\n"
        text += "".join(f"| {name} | {cell(fault)} | {cell(reason)} |\n" for name, (fault, reason) in sorted(rig.LEFT_OUT.items()))
    with open(PAGE, "w") as file:
        file.write(text)


def main(words):
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # not without ending what was started
    load_rows()
    if words[:1] == ["--one"]:
        run_one(words[1])
    if words[:1] == ["--check"]:
        verdict = checker.check(history.load(words[1]))
        print("\n".join(verdict.lines()) or "nothing is wrong", verdict.figures, sep="\n")
        return 1 if verdict.wrong else 0
    if words == ["--list"]:
        for name in sorted(rig.ROWS, key=order):
            row = rig.ROWS[name]
            print(f"{name:14} {row.tier:6} {row.brokers} broker{'s' if row.brokers > 1 else ' '} {row.fault}")
        return 0
    if words == ["--print"]:
        print_page()
        return 0
    strange = [word for word in words if word != "--short" and word not in rig.ROWS]
    if strange:
        print(f"there is no row {' '.join(strange)}; run.py --list")
        return 2
    short = words == ["--short"]
    names = sorted((name for name in rig.ROWS if rig.ROWS[name].tier == "short"), key=order) if short else words or sorted(rig.ROWS, key=order)
    passed, failed = run_many(names)
    if not words:
        print_page()
    print(f"{len(passed)} passed, {len(failed)} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
