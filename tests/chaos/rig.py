# SPDX-License-Identifier: Apache-2.0
"""How a row of the fault matrix is written, and the rig that runs it on a real stack.

    from rig import row

    @row("F23", "writer killed between apply and offset commit", tier="short", bound=60)
    def f23(rig):
        rig.load.start(rate=30)                     # pushes and deletes in the background, recorded
        for _ in range(3):
            with rig.nemesis("writer-ns1 dies at bind.verified") as fault:
                rig.start("writer-ns1", abort_at="bind.verified:5")
                fault.fired(rig.await_exit("writer-ns1", 15) == 137)
            rig.start("writer-ns1")
        rig.ok("a sentence that must be true", condition, detail)

Before the function: the whole stack runs, a population of still zones and one of moving zones is pushed and served,
observers look at all name servers and tables until the row is over. After it the load is stopped, what was served is
waited for (C7, at most `bound` seconds), all is looked at once more, the topics are read by an independent consumer
and checker.py judges the history. An exception, a claim that is not true, a fault that did not fire: the row fails.
`expects="C1"`: a negative control, which passes if and only if the named check catches it.

A rig goes where a story does: story.configure(rig, …), story.fast_takeover(rig), story.add_backend(rig, …).
"""
import contextlib
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
import story  # noqa: E402

ROWS = {}      # name -> Row
LEFT_OUT = {}  # name -> reason


class Row:
    def __init__(self, name, fault, run, **settings):
        self.name, self.fault, self.run = name, fault, run
        self.tier = settings.pop("tier", "full")              # short: also in `make test`
        self.brokers = settings.pop("brokers", 1)             # 3: on a stack of its own
        self.injection = settings.pop("injection", None) or (run.__doc__ or "").strip().split("\n")[0]
        self.expects = settings.pop("expects", None)          # the check that must fail
        self.bound = settings.pop("bound", 60)                # seconds from the heal until all is served (C7)
        self.observations = settings.pop("observations", 100)  # fewer make the run worthless
        self.faults = settings.pop("faults", 1)               # fewer that fired likewise
        self.still = settings.pop("still", 12)                # zones that nobody touches
        self.moving = settings.pop("moving", 24)              # zones that the load changes
        self.seconds = settings.pop("seconds", 240)           # the whole row may take; then it is killed and has failed
        if settings:
            raise TypeError(f"{name}: unknown settings {sorted(settings)}")


def row(name, fault, **settings):
    """The function's first line of documentation is the injection that docs/faults.md prints."""
    def register(run):
        if name in ROWS:
            raise ValueError(f"two rows are called {name}")
        ROWS[name] = Row(name, fault, run, **settings)
        return run
    return register


def left_out(name, fault, reason):
    LEFT_OUT[name] = (fault, reason)


class Fault:
    def __init__(self, rig, name):
        self.rig, self.name, self.count = rig, name, 0

    def fired(self, really=True):
        """The fault happened, really. Not called, or with what is not true: it did not."""
        self.count += bool(really)
        self.rig.history.add("nemesis", name=self.name, what="fired" if really else "missed")


class Rig:
    def __init__(self, row, history):
        self.row, self.history = row, history
        self.undo, self.figures, self.notes = [], {}, []
        self.claims_failed = 0

    # ---- a story's words

    def ok(self, sentence, condition, detail=""):
        self.history.add("claim", sentence=sentence, ok=bool(condition), detail=str(detail)[:2000])
        self.claims_failed += not condition
        if not condition:
            print(f"#   not ok: {sentence}: {str(detail)[:600]}", flush=True)
        return bool(condition)

    eventually = story.Story.eventually

    def note(self, text):
        self.notes.append(text)
        print(f"#   {text}", flush=True)

    def finally_do(self, action, *args):
        """Is done at the end of the row, come what may; the last one first."""
        self.undo.append((action, args))

    def figure(self, name, value):
        """A number of this row for docs/faults.md."""
        self.figures[name] = value

    # ---- processes

    stack = staticmethod(story.stack)
    kill = staticmethod(story.kill)

    @staticmethod
    def start(name, abort_at=None, env="", args="", nowait=None):
        """`env`, `args`: more of them for this start. With a mark it is not waited for."""
        words = f"{env} DADNS_ABORT_AT={abort_at}".strip() if abort_at else env
        if words:
            os.environ["STACK_ENV"] = words
        try:
            story.stack("start", name, args=args, nowait=bool(abort_at) if nowait is None else nowait)
        finally:
            os.environ.pop("STACK_ENV", None)
        story.load_endpoints()

    @staticmethod
    def await_exit(name, seconds):
        """Its exit code, or None: it still runs."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            code = story.exit_code(name)
            if code is not None and not story.alive(name):
                return code
            time.sleep(0.01)
        return None

    @contextlib.contextmanager
    def nemesis(self, name, alarms=(), down=()):
        """`alarms`: who must be told meanwhile ("ns1 away", "ingest not ready"). `down`: servers that may be silent."""
        fault = Fault(self, name)
        self.history.add("nemesis", name=name, what="start", alarms=list(alarms), down=list(down))
        try:
            yield fault
        finally:
            self.history.add("nemesis", name=name, what="stop")

    @contextlib.contextmanager
    def restored(self, backend):
        """What it serves may go back meanwhile: it is being restored from something old."""
        self.history.add("window", backend=backend, what="start")
        try:
            yield
        finally:
            self.history.add("window", backend=backend, what="stop")
