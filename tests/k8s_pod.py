# SPDX-License-Identifier: Apache-2.0
"""Starts the containers of a rendered pod with the real programs, as a kubelet would: the image's program and its
libraries alone under a read-only root, the mounts and the environment that the manifest says, user 65532 with
the group of the volumes, no new privileges. The caller has given us a network and mounts of our own.
As somebody else than root all files are ours, and only the user and the modes are not put to the proof.
"""
import ctypes
import functools
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import yaml

import k8s_image
import k8s_rules

ROOT_USER = os.getuid() == 0 and open("/proc/self/uid_map").read().split()[2] != "1"
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
BAD_CONFIG = 78


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


class Pod:
    """One pod of a workload; its volumes live as long as it does."""

    def __init__(self, world, fleet, workload, name, secret_value):
        self.world = world
        self.fleet = fleet
        self.workload = workload
        self.name = name
        self.secret_value = secret_value
        self.folder = world.new_folder()
        self.group = workload.spec.get("securityContext", {}).get("fsGroup", 65532)
        self.volumes = {}
        for volume in workload.spec.get("volumes", []):
            self.volumes[volume["name"]] = self.make_volume(volume)
        for claim in workload.claims:
            self.volumes[claim] = self.make_folder(claim, 0o2775)

    def own(self, path, mode):
        if ROOT_USER:
            os.chown(path, 0, self.group)
        path.chmod(mode)

    def make_folder(self, name, mode):
        path = self.folder / "volumes" / name
        path.mkdir(parents=True)
        self.own(path, mode)
        return path

    def make_volume(self, volume):
        if "emptyDir" in volume:
            return self.make_folder(volume["name"], 0o2777)
        path = self.make_folder(volume["name"], 0o755)
        if "configMap" in volume:
            files = self.fleet.get("ConfigMap", volume["configMap"]["name"])["data"]
            mode = volume["configMap"].get("defaultMode", 0o644)
        elif "secret" in volume:
            files = {key: self.secret_value for key in self.fleet.secrets[volume["secret"]["secretName"]]}
            mode = volume["secret"].get("defaultMode", 0o644)
        else:
            raise ValueError(f"no idea how to make volume {volume}")
        items = (volume.get("configMap") or volume.get("secret")).get("items")
        if items:
            files = {item["path"]: files[item["key"]] for item in items}
        for name, text in files.items():
            (path / name).write_text(text)
            self.own(path / name, mode)
        return path

    def field(self, path):
        label = re.fullmatch(r"metadata\.labels\['(.*)'\]", path)
        if label:
            return self.workload.labels[label.group(1)]
        return {"metadata.name": self.name, "metadata.namespace": "dadns"}[path]

    def environment(self, container):
        found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": self.name}
        for source in container.get("envFrom", []):
            found.update(self.fleet.get("ConfigMap", source["configMapRef"]["name"])["data"])
        for variable in container.get("env", []):
            where = variable.get("valueFrom")
            found[variable["name"]] = self.field(where["fieldRef"]["fieldPath"]) if where else variable["value"]
        return found

    def words(self, container):
        start = container.get("command") or self.world.file.entrypoint(k8s_rules.image_name(container))
        return start + container.get("args", [])

    def root(self, container):
        """A fresh root file system for one start of the container."""
        root = self.world.new_folder()
        for part in self.world.sysroots[k8s_rules.image_name(container)].iterdir():
            (root / part.name).mkdir()
            mount("--bind", part, root / part.name)
        mounts = sorted(container.get("volumeMounts", []), key=lambda one: one["mountPath"])
        for one in mounts:
            (root / one["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
        for device in ("null", "urandom"):
            (root / "dev").mkdir(exist_ok=True)
            (root / "dev" / device).touch()
        root.chmod(0o755)
        mount("--bind", root, root)
        for part in self.world.sysroots[k8s_rules.image_name(container)].iterdir():
            mount("--bind", "-o", "ro", part, root / part.name)
        for device in ("null", "urandom"):
            mount("--bind", f"/dev/{device}", root / "dev" / device)
        for one in mounts:
            target = root / one["mountPath"].lstrip("/")
            mount("--bind", self.volumes[one["name"]], target)
            if one.get("readOnly"):
                mount("-o", "remount,bind,ro", target)
        mount("-o", "remount,bind,ro", root)
        return root

    def start(self, container, extra=(), program=None, output=subprocess.PIPE):
        root = self.root(container)
        user = {**self.workload.spec.get("securityContext", {}), **container["securityContext"]}

        def enter():
            os.chroot(root)
            os.chdir("/")
            if ROOT_USER:
                os.setgroups([self.group])
                os.setresgid(user["runAsGroup"], user["runAsGroup"], user["runAsGroup"])
                os.setresuid(user["runAsUser"], user["runAsUser"], user["runAsUser"])
            if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
                raise OSError("no_new_privs")

        words = [*(program or self.words(container)), *extra]
        return subprocess.Popen(words, env=self.environment(container), preexec_fn=enter, stdin=subprocess.DEVNULL,
                                stdout=output, stderr=subprocess.STDOUT, text=True)

    def run(self, container, extra=(), program=None, seconds=30):
        """(exit code, or None if it still ran; output)"""
        process = self.start(container, extra, program)
        try:
            output = process.communicate(timeout=seconds)[0]
            return process.returncode, output.strip()
        except subprocess.TimeoutExpired:
            process.kill()
            return None, process.communicate()[0].strip()


class World:
    """What all pods share: the images, as far as their programs need them, and a folder for everything."""

    def __init__(self, work, root, binaries, file):
        self.work = work
        self.tree = root
        self.binaries = binaries
        self.file = file
        mount("--make-rprivate", "/")
        self.sysroots = {image: self.make_sysroot(image) for image in file.targets}

    def new_folder(self):
        path = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        path.chmod(0o755)
        return path

    def make_sysroot(self, image):
        """The image's programs and the libraries that they load, and nothing else."""
        root = self.new_folder()
        programs = dict(self.file.programs(image))
        if image == "named":
            programs.update({path: path for path in ("/usr/sbin/rndc-confgen", "/usr/bin/named-checkconf")})
        for target, source in programs.items():
            path = k8s_image.host_path(self.tree, self.binaries, source)
            if not path.exists():
                continue  # whoever starts it will see
            self.copy(path, root / target.lstrip("/"))
            loaded = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
            for library in re.findall(r"(/\S+) \(0x", loaded):
                self.copy(library, root / library.lstrip("/"))
        return root

    @staticmethod
    def copy(source, target):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


TASKS = []


def do_all(tasks):
    """The results of all tasks in their order. Each runs in a process of its own and sees, as a pod does, a network
    of its own: all may listen at the same ports at the same time."""
    TASKS[:] = tasks
    with multiprocessing.get_context("fork").Pool(min(len(tasks), 6)) as pool:
        yield from pool.imap(do, range(len(tasks)))


def do(number):
    if LIBC.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network of our own")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    results = []
    try:
        for result in TASKS[number]():
            results.append(result)
    except Exception as error:  # a manifest so wrong that the pod can't even be made up
        words = [str(one) for one in TASKS[number].args if isinstance(one, (str, k8s_rules.Workload))]
        results.append((f"{' '.join(words)}: can be tried at all", [f"{type(error).__name__}: {error}"]))
    return results


def secret_files(tree):
    documents = yaml.safe_load_all((tree / "deploy/k8s/secrets.example.yaml").read_text())
    return {one["metadata"]["name"]: set(one["stringData"]) for one in documents}


# ---- what is put to the proof ----------------------------------------------------------------------


def short(text):
    return " | ".join(text.splitlines()[-4:])[-500:]


def accepts_config(pod, container):
    """Findings of --check-config; for the operators' command, which has none, of its start."""
    if k8s_rules.image_name(container) == "dadns":
        code, output = pod.run(container, seconds=2)  # it waits for Kafka, or says what is wrong at once
        return [] if code is None else [f"exit code {code}: {short(output)}"]
    code, output = pod.run(container, ["--check-config"])
    return [] if code == 0 else [f"exit code {code}: {short(output)}"]


def wait_for(seconds, done):
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def tcp_open(port):
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def dns_answers(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(1)
        one.connect(("127.0.0.1", port))
        try:
            one.send(b"DD\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1")
            return one.recv(512)[:2] == b"DD"
        except OSError:
            return False


def http_status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def probe_passes(container, kind):
    probe = container[kind]
    what = probe.get("httpGet") or probe["tcpSocket"]
    number = next(port["containerPort"] for port in container["ports"] if port["name"] == what["port"])
    if "tcpSocket" in probe:
        return tcp_open(number)
    return http_status(number, what["path"]) in ((200, 503) if kind == "readinessProbe" else (200,))


def runs(pod, container, also=lambda: []):
    """Findings: it must start, listen at its ports, answer its probes (ready it is not, Kafka is away), do `also`,
    and end by SIGTERM, with 0, in the time it has."""
    log = open(pod.folder / f"{container['name']}.log", "w+", encoding="utf-8")
    process = pod.start(container, output=log)
    wrong = []
    try:
        if not wait_for(30, lambda: probe_passes(container, "startupProbe") or process.poll() is not None):
            wrong.append("its startup probe does not pass")
        for kind in () if wrong or process.poll() is not None else ("livenessProbe", "readinessProbe"):
            if not wait_for(10, lambda: probe_passes(container, kind)):
                wrong.append(f"its {kind} is not answered")
        for port in container["ports"] if process.poll() is None else ():
            answers = dns_answers if port.get("protocol") == "UDP" else tcp_open
            if not wait_for(10, lambda: answers(port["containerPort"])):
                wrong.append(f"nobody listens at {port['name']}")
        if process.poll() is None:
            wrong += also()
        if process.poll() is not None:
            wrong.append(f"it ended, exit code {process.returncode}")
        else:
            process.send_signal(signal.SIGTERM)
            try:
                if process.wait(pod.workload.spec["terminationGracePeriodSeconds"] - 5) != 0:
                    wrong.append(f"exit code {process.returncode} after SIGTERM")
            except subprocess.TimeoutExpired:
                wrong.append("it does not end by SIGTERM")
    finally:
        process.kill()
        process.wait()
        log.seek(0)
        text = log.read()
        log.close()
    for line in text.splitlines():
        if re.search(r"permission denied|read-only file system|operation not permitted", line, re.I):
            wrong.append(line[-200:])
    return wrong and [*wrong, f"its last words: {short(text)}"]


def named_can_be_driven(pod):
    """By the addresses and the key of the writer's stanza: the channel, a new zone, its answer."""
    stanza = next(yaml.safe_load((path / "dadns.yml").read_text())["dns"]["backends"][pod.name]
                  for path in pod.volumes.values() if (path / "dadns.yml").exists())
    writer = pod.workload.spec["containers"][0]
    places = {one["mountPath"]: pod.volumes[one["name"]] for one in writer["volumeMounts"]}

    def here(path):
        return next(volume / path[len(place) + 1:] for place, volume in places.items() if path.startswith(place + "/"))

    zones = stanza.get("zones_dir", "/var/lib/bind/dadns")
    folder = here(zones)
    folder.mkdir()
    (folder / "probe.example.zone").write_text("@ 60 SOA ns1.example. h.example. 1 60 60 60 60\n@ 60 NS ns1.example.\n")
    host, port = stanza["rndc"].rsplit(":", 1)
    wrong = []
    zone = f'{{ type primary; file "{zones}/probe.example.zone"; }};'
    for command in (["status"], ["addzone", "probe.example", zone]):
        done = subprocess.run(["rndc", "-s", host, "-p", port, "-k", here(stanza["rndc_key_file"]), *command],
                              capture_output=True, text=True, timeout=15)
        if done.returncode != 0:
            wrong.append(f"rndc {command[0]}: {short(done.stdout + done.stderr)}")
    if not dns_answers(int(stanza["dns"].rsplit(":", 1)[1])):
        wrong.append(f"nobody answers at {stanza['dns']}")
    if not list(pod.volumes["zones"].glob("*.nzd")):
        wrong.append("its list of zones is not on the volume")
    return wrong


def pod_checks(world, fleet, workload, name):
    """(promise, [finding…]) for every container of a pod, in the order that the kubelet has. Of base, which is
    nobody's fleet, ours are only asked whether they would start."""
    pod = Pod(world, fleet, workload, name, "k8s-test-value")
    for container in workload.containers():
        what = f"{fleet.name} {name} {container['name']}"
        image = k8s_rules.image_name(container)
        if image != "named":
            yield f"{what}: its arguments and its configuration are accepted", accepts_config(pod, container)
            if workload.lives_on() and fleet.name != "base":
                yield f"{what}: runs as it stands there", runs(pod, container)
        elif container.get("restartPolicy") == "Always":
            conf = container["args"][container["args"].index("-c") + 1]
            code, output = pod.run(container, program=["/usr/bin/named-checkconf", conf])
            yield f"{what}: named-checkconf accepts it", [] if code == 0 and not output else [f"{code}: {output}"]
            yield f"{what}: runs, and its writer can drive it", runs(pod, container, lambda: named_can_be_driven(pod))
        else:
            code, output = pod.run(container)
            yield f"{what}: does its work", [] if code == 0 else [f"exit code {code}: {short(output)}"]


def spare_checks(world, fleet, workload, name):
    """A name server that is declared and has no pod yet."""
    pod = Pod(world, fleet, workload, name, "k8s-test-value")
    yield f"{fleet.name} {name}: may be scaled up to", accepts_config(pod, workload.spec["containers"][0])


def empty_secret_checks(world, fleet, workload):
    pod = Pod(world, fleet, workload, workload.name, "")
    code, output = pod.run(workload.spec["containers"][0], ["--check-config"])
    yield (f"{fleet.name} {workload.name}: refuses the empty secret of secrets.example.yaml",
           [] if code == BAD_CONFIG and "password" in output else [f"exit code {code}: {short(output)}"])


def tasks(world, fleet):
    for workload in fleet.workloads:
        for name in workload.pod_names() or [workload.name]:
            yield functools.partial(pod_checks, world, fleet, workload, name)
        if workload.kind == "StatefulSet":
            declared = set(k8s_rules.config_of(fleet, workload)["dns"]["backends"])
            for name in sorted(declared - set(workload.pod_names())):
                yield functools.partial(spare_checks, world, fleet, workload, name)
        if workload.name == "ingest":
            yield functools.partial(empty_secret_checks, world, fleet, workload)


def edit(prefix, old, new):
    return lambda fleet: k8s_rules.set_config(fleet, prefix, "dadns.yml", old, new)


# What is broken, in which workload; one of its pods has to refuse.
MUTATIONS = [
    ("a key that ingest does not know", "ingest", edit("ingest", "auth_username:", "auth_user:")),
    ("a value out of range", "ingest", edit("ingest", "1073741824", "12")),
    ("a secret under another path", "ingest", edit("ingest", "/run/secrets/dadns/password", "/run/secrets/password")),
    ("a secret that is not mounted", "ingest", lambda fleet: k8s_rules.first(fleet)["volumeMounts"].pop()),
    ("a secret that only root may read", "ingest",
     lambda fleet: k8s_rules.ingest(fleet)["volumes"][1]["secret"].update(defaultMode=0o400)),
    ("a flag that ingest does not have", "ingest",
     lambda fleet: k8s_rules.first(fleet)["args"].append("--backend=ns-1")),
    ("an environment variable that nobody knows", "ingest", lambda fleet: next(
        one for one in fleet.of("ConfigMap") if one["metadata"]["name"].startswith("common"))["data"].update(
            DADNS_TOPICS_PARTITONS="12")),
    ("a stanza under another name", "ns", edit("ns-", "ns-2:", "ns2:")),
    ("a key that writer-bind does not know", "ns", edit("ns-", "rndc_key_file", "rndc_keyfile")),
    ("a stanza for another program", "ns", edit("ns-", "ns-1: {type: bind", "ns-1: {type: coredns_mysql")),
    ("a key that writer-mysql does not know", "writer-mysql-dc2", edit("writer-mysql-dc2", "api:", "apis:")),
    ("an instance label without a stanza", "writer-mysql-dc1", edit("writer-mysql-dc1", "dc1:", "dc9:")),
]


def mutation_checks(world, fleet, what, name, change):
    broken = k8s_rules.mutate(fleet, change)
    workload = next(one for one in broken.workloads if one.name == name)
    codes = [Pod(world, broken, workload, one, "x").run(workload.spec["containers"][0], ["--check-config"])[0]
             for one in workload.pod_names() or [name]]
    yield f"--check-config notices {what}", [] if BAD_CONFIG in codes else [f"exit codes {codes}"]


def mutation_tasks(world, fleet):
    for what, name, change in MUTATIONS:
        # Modes mean nothing to the one who owns the files.
        if ROOT_USER or "only root" not in what:
            yield functools.partial(mutation_checks, world, fleet, what, name, change)
