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
`expects=("C1",)`: a negative control, which passes if and only if each of the named checks catches it.

A rig goes where a story does: story.configure(rig, …), story.fast_takeover(rig), story.add_backend(rig, …).
"""
import contextlib
import os
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
import content  # noqa: E402
import load  # noqa: E402
import story  # noqa: E402
import watch  # noqa: E402

PATIENCE = float(os.environ.get("PATIENCE") or 1)  # how many times slower than usual this machine may be
ROWS = {}      # name -> Row
LEFT_OUT = {}  # name -> reason


class Row:
    def __init__(self, name, fault, run, **settings):
        self.name, self.fault, self.run = name, fault, run
        self.tier = settings.pop("tier", "full")              # short: also in `make test`
        self.brokers = settings.pop("brokers", 1)             # 3: on a stack of its own
        self.injection = settings.pop("injection", None) or (run.__doc__ or "").strip().split("\n")[0]
        self.expects = settings.pop("expects", ())            # checks that must fail
        self.populate = settings.pop("populate", True)        # False: the row calls rig.populate() itself
        self.bound = settings.pop("bound", 60) * PATIENCE     # seconds from the heal until all is served (C7)
        self.observations = settings.pop("observations", 100)  # fewer make the run worthless
        self.faults = settings.pop("faults", 1)               # fewer that fired likewise
        self.still = settings.pop("still", 12)                # zones that nobody touches
        self.moving = settings.pop("moving", 24)              # zones that the load changes
        self.seconds = settings.pop("seconds", 240) * PATIENCE  # the whole row may take; then it is killed and has failed
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
    def __init__(self, row, history, seed):
        self.row, self.history, self.seed = row, history, seed
        self.undo, self.figures, self.after = [], {}, []
        stem = row.name.lower()
        self.still = [f"{stem}-still{i}-{story.RUN}.example" for i in range(row.still)]
        self.zones = [f"{stem}-{i}-{story.RUN}.example" for i in range(row.moving)]
        self.all_zones = {*self.still, *self.zones}
        self.live = None
        self.load = load.Load(self)
        self.observers = watch.Observers(self)

    # ---- the course of a row

    def run(self):
        """Everything; what the checker is to judge is in the history afterwards."""
        self.history.add("row", name=self.row.name, bound=self.row.bound, observations=self.row.observations, faults=self.row.faults,
                         expects=list(self.row.expects))
        for credential, owner in load.CREDENTIALS.items():
            self.history.add("policy", credential=credential, hostnames=[owner])
        try:
            self.begin()
            self.row.run(self)
            self.end()
        except Exception as error:
            self.ok("the row came to its end", False, "".join(traceback.format_exception(error))[-1500:])
        finally:
            self.load.stop()
            self.observers.stop()
            for action, args in reversed(self.undo):
                try:
                    action(*args)
                except Exception as error:
                    self.ok("the stack is left as it was found", False, error)
            if self.live is not None:
                self.live.stop()

    def begin(self):
        story.begin()
        if load.configure(f"{story.STACK_DIR}/dadns.yml"):
            story.restart(*story.PRODUCTS)
        if self.row.populate:
            self.populate()

    def populate(self):
        """The zones of the row are pushed and served; from here on they are watched."""
        self.began_ms = int(time.time() * 1000) - 1000
        self.live = watch.Live(self)
        answers = self.load.each("push", [*self.still, *self.zones])
        self.ok("the population is pushed", all(result == "ok" for result, _, _ in answers.values()), list(answers.items())[:3])
        self.history.add("healed")
        self.ok("and served", self.wait_served("begin", 60 * PATIENCE) == 0)
        for zone in self.still:
            owner = self.load.owners[zone]
            self.history.add("still", zone=zone, n=1, fp=content.fingerprint(content.records(zone, 1, owner)))
        self.observers.start()

    def end(self):
        self.load.stop()
        self.wait_served("converge", self.row.bound + (2 if self.row.expects else 10))
        self.look_at_all("final")
        for name, action, down in self.after:
            with self.nemesis(name, down=down, heals=False) as fault:
                action()
                fault.fired()
                self.wait_served("wait", self.row.bound)
            self.look_at_all(f"after {name}")
        self.observers.stop()
        self.live.stop()
        watch.read_topics(self.history, self.began_ms, self.all_zones)

    def wait_served(self, phase, seconds):
        """Until every server has what the log says now; asks again only for what was not right. How many never were."""
        until = time.monotonic() + seconds
        wrong = {}

        def wait(server):
            eyes = watch.eyes(self.history, (server,), ("axfr", "dns"))
            left = sorted(self.all_zones)
            while left:
                left = [zone for zone in left if not all(self.is_right(eye.look(zone, phase)) for eye in eyes)]
                wrong[server] = left
                if not left or time.monotonic() > until:
                    break
                time.sleep(0.1)
            for eye in eyes:
                eye.close()
        threads = [threading.Thread(target=wait, args=(server,)) for server in story.SERVERS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for server, zones in wrong.items():
            if zones:
                print(f"#   {phase}: {server} does not serve {len(zones)} zones as the log says: {zones[:3]}", flush=True)
        return sum(map(len, wrong.values()))

    def is_right(self, see):
        zone = see["zone"]
        return "error" not in see and not see["torn"] and self.live.settled(zone) and see["n"] == self.live.wanted(zone)

    def look_at_all(self, phase, zones=None):
        """By every way at every backend."""
        def look(server):
            eyes = watch.eyes(self.history, (server,))
            for zone in sorted(self.all_zones if zones is None else zones):
                for eye in eyes:
                    eye.look(zone, phase)
            for eye in eyes:
                eye.close()
        threads = [threading.Thread(target=look, args=(server,)) for server in story.SERVERS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def afterwards(self, name, action, down=()):
        """When all is served: does that, waits again and looks at everything once more (C5)."""
        self.after.append((name, action, down))

    # ---- single operations, beside the load

    def push(self, zone, **words):
        """(ok | fail | info, n, text); see load.Load.perform. A zone that is new belongs to the run from now on."""
        self.all_zones.add(zone)
        return self.load.perform("push", zone, **words)

    def delete(self, zone, **words):
        self.all_zones.add(zone)
        return self.load.perform("delete", zone, **words)

    def more_zones(self, count, stem="more"):
        """New names, pushed by nobody yet; the load may be started on them."""
        found = [f"{self.row.name.lower()}-{stem}{i}-{story.RUN}.example" for i in range(count)]
        self.zones += found
        self.all_zones.update(found)
        return found

    def under_load(self, seconds, least=1):
        """Lets time pass; insists that the load got `least` acknowledgements meanwhile."""
        before = self.load.acked
        time.sleep(seconds)
        self.ok(f"pushes go on: {least} or more within {seconds} s", self.load.acked - before >= least, self.load.texts[-3:])

    # ---- a story's words

    def ok(self, sentence, condition, detail=""):
        self.history.add("claim", sentence=sentence, ok=bool(condition), detail=str(detail)[:2000])
        if not condition:
            print(f"#   not ok: {sentence}: {str(detail)[:600]}", flush=True)
        return bool(condition)

    def eventually(self, seconds, sentence, question, every=0.05):
        return story.Story.eventually(self, seconds * PATIENCE, sentence, question, every)

    @staticmethod
    def note(text):
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
    def services():
        """Our processes that run, replicas too."""
        with open(f"{story.STACK_DIR}/ports") as file:
            names = [line.split()[0] for line in file if " ingest " in line or " writer-" in line]
        return [name for name in names if story.alive(name)]

    @staticmethod
    def start(name, abort_at=None, env="", args="", nowait=None):
        """`env`, `args`: more of them for this start. With a mark it is not waited for."""
        words = f"{env} DADNS_ABORT_AT={abort_at}".strip() if abort_at else env
        story.stack("start", name, args=args, env=words, nowait=bool(abort_at) if nowait is None else nowait)
        story.load_endpoints()

    @staticmethod
    def await_exit(name, seconds):
        """Its exit code, or None: it still runs."""
        until = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < until:
            code = story.exit_code(name)
            if code is not None and not story.alive(name):
                return code
            time.sleep(0.01)
        return None

    @contextlib.contextmanager
    def nemesis(self, name, alarms=(), down=(), heals=True):
        """`alarms`: who must be told meanwhile ("ns1 away", "ingest not ready"). `down`: servers that may be silent.
        Its end is the heal, from which recovery is measured; the last one counts."""
        fault = Fault(self, name)
        self.history.add("nemesis", name=name, what="start", alarms=list(alarms), down=list(down))
        try:
            yield fault
        finally:
            self.history.add("nemesis", name=name, what="stop")
            if heals:
                self.history.add("healed")

    @contextlib.contextmanager
    def restored(self, backend):
        """What it serves may go back meanwhile: it is being restored from something old."""
        self.history.add("window", backend=backend, what="start")
        try:
            yield
        finally:
            self.history.add("window", backend=backend, what="stop")
