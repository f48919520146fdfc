# SPDX-License-Identifier: Apache-2.0
"""What must be true of the objects that kustomize renders, beyond their schemas.

A rule is a function of a Fleet that yields a text for each finding; its docstring is the promise it keeps.
MUTATIONS breaks the example fleet in many ways and says which rule has to notice.
"""
import copy
import functools
import re

import kubernetes_validate
import yaml

# It reads megabytes of JSON for each object otherwise.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

# The oldest we promise (the preStop sleep, native sidecars) and the newest that there are schemas of.
VERSIONS = ("1.30", "1.37")
UNSET = "registry.invalid/"
MONITORED_LABELS = ("name", "component", "part-of", "managed-by")
CLUSTER_WIDE = ("Namespace",)
MEBIBYTE = 1 << 20


class Workload:
    """Anything that makes pods: the object, its pod template, and the names of the pods if they have any."""

    def __init__(self, owner):
        self.owner = owner
        self.kind = owner["kind"]
        self.name = owner["metadata"]["name"]
        spec = owner["spec"]
        if self.kind == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        self.template = spec["template"]
        self.spec = self.template["spec"]
        self.labels = self.template["metadata"].get("labels", {})
        self.claims = [claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])]

    def __str__(self):
        return f"{self.kind}/{self.name}"

    def lives_on(self):
        return self.kind in ("Deployment", "StatefulSet")

    def containers(self):
        return self.spec.get("initContainers", []) + self.spec["containers"]

    def lasting(self):
        """Those that are there as long as the pod is: sidecars too."""
        side = [one for one in self.spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
        return side + self.spec["containers"] if self.lives_on() else []

    def ports(self):
        return [(port["name"], port.get("protocol", "TCP"), port["containerPort"], one["name"])
                for one in self.containers() for port in one.get("ports", [])]

    def pod_names(self):
        if self.kind != "StatefulSet":
            return []
        start = self.owner["spec"].get("ordinals", {}).get("start", 0)
        return [f"{self.name}-{start + i}" for i in range(self.owner["spec"]["replicas"])]

    def pods(self):
        """The labels of each kind of pod it makes."""
        named = [dict(self.labels, **{"statefulset.kubernetes.io/pod-name": name}) for name in self.pod_names()]
        return named or [self.labels]


class Fleet:
    def __init__(self, name, objects, secrets, targets):
        self.name = name
        self.objects = objects
        self.secrets = secrets  # name → keys that must exist, from secrets.example.yaml
        self.targets = targets  # of the Containerfile
        self.workloads = [Workload(one) for one in self.of("Deployment", "StatefulSet", "DaemonSet", "CronJob")]

    def of(self, *kinds):
        return [one for one in self.objects if one["kind"] in kinds]

    def get(self, kind, name):
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    def chosen(self, labels):
        return [one for one in self.workloads if any(labels.items() <= pod.items() for pod in one.pods())]


def title(one):
    return f"{one['kind']}/{one['metadata']['name']}"


def quantity(text):
    units = {"": 1, "m": 0.001, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "k": 10**3, "M": 10**6, "G": 10**9}
    number, unit = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(text)).groups()
    return float(number) * units[unit]


def argument(container, flag):
    return next((arg.split("=", 1)[1] for arg in container.get("args", []) if arg.startswith(f"--{flag}=")), None)


def image_name(container):
    return container["image"].rsplit("/", 1)[-1].split("@")[0].split(":")[0]


def probes(container):
    return {kind: container[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in container}


# ---- the rules -------------------------------------------------------------------------------------


def schemas(fleet):
    """the schemas of Kubernetes accept every field"""
    for version in VERSIONS:
        for one in fleet.objects:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(str(part) for part in error.path)
                yield f"{title(one)} ({version}): {where}: {error.message[:200]}"
            except kubernetes_validate.SchemaNotFoundError as error:
                yield f"{title(one)}: {error.message}"


def restricted(fleet):
    """every pod is what Pod Security calls restricted"""
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
               "secret"}
    for workload in fleet.workloads:
        pod = workload.spec
        outer = pod.get("securityContext", {})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(key):
                yield f"{workload}: {key}"
        for volume in pod.get("volumes", []):
            wrong = set(volume) - {"name"} - allowed
            if wrong:
                yield f"{workload}: volume {volume['name']} is a {wrong}"
        if outer.get("sysctls"):
            yield f"{workload}: sysctls"
        for one in workload.containers():
            inner = one.get("securityContext", {})
            both = {**outer, **inner}
            capabilities = inner.get("capabilities", {})
            where = f"{workload} {one['name']}"
            if inner.get("privileged") or inner.get("procMount", "Default") != "Default":
                yield f"{where}: privileged"
            if inner.get("allowPrivilegeEscalation") is not False:
                yield f"{where}: allowPrivilegeEscalation is not false"
            if "ALL" not in capabilities.get("drop", []):
                yield f"{where}: does not drop ALL capabilities"
            if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
                yield f"{where}: adds capabilities"
            if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
                yield f"{where}: may run as root"
            if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
                yield f"{where}: no seccomp profile"
            if any(port.get("hostPort") for port in one.get("ports", [])):
                yield f"{where}: a port of the host"


def hardened(fleet):
    """every pod is less than restricted allows: user 65532, no token, no service links, a read-only root"""
    for workload in fleet.workloads:
        pod = workload.spec
        outer = pod.get("securityContext", {})
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{workload}: mounts a token"
        if pod.get("enableServiceLinks") is not False:
            yield f"{workload}: enableServiceLinks would set KAFKA_PORT=tcp://…"
        account = fleet.get("ServiceAccount", pod.get("serviceAccountName", "default"))
        if account is None or account.get("automountServiceAccountToken") is not False:
            yield f"{workload}: no service account of its own without a token"
        for one in workload.containers():
            both = {**outer, **one.get("securityContext", {})}
            if both.get("runAsUser") != 65532 or both.get("runAsGroup") != 65532:
                yield f"{workload} {one['name']}: is not 65532:65532"
            if both.get("readOnlyRootFilesystem") is not True:
                yield f"{workload} {one['name']}: may write to its root"
            if both.get("capabilities", {}).get("add"):
                yield f"{workload} {one['name']}: adds a capability"


def sized(fleet):
    """every container says what it needs and what it may take"""
    for workload in fleet.workloads:
        for one in workload.containers():
            resources = one.get("resources", {})
            limits = resources.get("limits", {})
            for kind, names in (("requests", ("cpu", "memory", "ephemeral-storage")),
                                ("limits", ("memory", "ephemeral-storage"))):
                for name in names:
                    if name not in resources.get(kind, {}):
                        yield f"{workload} {one['name']}: no {kind}.{name}"
                    elif quantity(resources["requests"].get(name, 0)) > quantity(limits.get(name, "9999G")):
                        yield f"{workload} {one['name']}: asks for more {name} than its limit"
            if "cpu" in limits:
                yield f"{workload} {one['name']}: a CPU limit: throttling looks like a dead consumer"


def memory(fleet):
    """the door's ceilings fit into the limit of its pod, and leave 256 MiB for the index (I9)"""
    for workload in fleet.workloads:
        for one in workload.containers():
            if image_name(one) != "ingest":
                continue
            config = config_of(fleet, workload)
            if config is None:
                yield f"{workload}: has no dadns.yml"
                continue
            need = int(config.get("app", {}).get("memory_bytes", 1 << 30)) + 256 * MEBIBYTE
            if quantity(one["resources"]["limits"]["memory"]) < need:
                yield f"{workload}: limit {one['resources']['limits']['memory']}, app.memory_bytes wants {need}"


def config_of(fleet, workload):
    for volume in workload.spec.get("volumes", []):
        found = fleet.get("ConfigMap", volume.get("configMap", {}).get("name"))
        if found is not None and "dadns.yml" in found["data"]:
            return yaml.safe_load(found["data"]["dadns.yml"])
    return None


def probed(fleet):
    """every container that lasts has three probes, on a port it has; only readiness asks /readyz"""
    for workload in fleet.workloads:
        for one in workload.lasting():
            where = f"{workload} {one['name']}"
            names = {port["name"]: port for port in one.get("ports", [])}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = one.get(kind)
                if probe is None:
                    yield f"{where}: no {kind}"
                    continue
                what = probe.get("httpGet") or probe.get("tcpSocket") or {}
                if what.get("port") not in names or names[what["port"]].get("protocol", "TCP") != "TCP":
                    yield f"{where}: {kind} asks at {what.get('port')}, which is none of its TCP ports"
                if "httpGet" in probe and what["path"] != ("/readyz" if kind == "readinessProbe" else "/livez"):
                    yield f"{where}: {kind} asks {what['path']}"
            if one.get("livenessProbe", {}).get("failureThreshold", 3) < 6:
                yield f"{where}: is restarted within a minute"
            listen = argument(one, "admin.listen")
            if listen is not None and names.get("admin", {}).get("containerPort") != int(listen.rsplit(":", 1)[1]):
                yield f"{where}: its admin port is not {listen}"


def pinned(fleet):
    """every image has a tag that stays, and is a target of the Containerfile"""
    for workload in fleet.workloads:
        for one in workload.containers():
            image = one["image"]
            tag = image.rsplit("/", 1)[-1].partition(":")[2]
            where = f"{workload} {one['name']}"
            if "@sha256:" not in image and tag in ("", "latest"):
                yield f"{where}: {image} is whatever was built last"
            if image_name(one) not in fleet.targets:
                yield f"{where}: {image} is no target of the Containerfile"
            if image.startswith(UNSET) != (fleet.name == "base"):
                yield f"{where}: {image}: base leaves the registry open, an overlay sets it"


SECRET_WORD = re.compile(r"(password|passwd|secret|token|api[._-]?key|credential)s?$", re.I)


def secret_values(value, path=""):
    """Paths of the scalars in a parsed dadns.yml whose key says that they are secret."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from secret_values(inner, f"{path}.{key}")
    elif value not in (None, "") and SECRET_WORD.search(path):
        yield path


def undisclosed(fleet):
    """no secret stands in an argument, an environment variable or a ConfigMap"""
    for one in fleet.of("Secret"):
        yield f"{title(one)}: a Secret among the manifests"
    for workload in fleet.workloads:
        for one in workload.containers():
            for word in one.get("args", []) + one.get("command", []):
                if SECRET_WORD.search(word.split("=", 1)[0]):
                    yield f"{workload} {one['name']}: argument {word.split('=', 1)[0]}"
            for variable in one.get("env", []):
                if SECRET_WORD.search(variable["name"]) or "secretKeyRef" in variable.get("valueFrom", {}):
                    yield f"{workload} {one['name']}: {variable['name']}; give the file's name instead"
            for source in one.get("envFrom", []):
                if "secretRef" in source:
                    yield f"{workload} {one['name']}: envFrom a Secret"
    for one in fleet.of("ConfigMap"):
        for key, text in one.get("data", {}).items():
            if SECRET_WORD.search(key) and text:
                yield f"{title(one)}: {key}"
            if key.endswith(".yml"):
                for path in secret_values(yaml.safe_load(text)):
                    yield f"{title(one)}: {key}{path}"
            if re.search(r'\bsecret\s+"', text):
                yield f"{title(one)}: {key} holds a key"


def selecting(fleet):
    """every selector chooses what it is meant to, and nothing else"""
    for workload in fleet.workloads:
        if not workload.lives_on():
            continue
        selector = workload.owner["spec"]["selector"]["matchLabels"]
        if fleet.chosen(selector) != [workload]:
            yield f"{workload}: its selector chooses {[str(one) for one in fleet.chosen(selector)]}"
        if "app.kubernetes.io/version" in selector:
            yield f"{workload}: a version in a selector can't be changed"
        for constraint in workload.spec.get("topologySpreadConstraints", []):
            if not constraint["labelSelector"]["matchLabels"].items() <= workload.labels.items():
                yield f"{workload}: is spread by the labels of others"
        if not workload.spec.get("topologySpreadConstraints"):
            yield f"{workload}: is not spread over the nodes"
    for one in fleet.of("Service", "PodDisruptionBudget"):
        selector = one["spec"]["selector"]
        chosen = fleet.chosen(selector.get("matchLabels", selector))
        if len(chosen) != 1:
            yield f"{title(one)}: chooses {[str(other) for other in chosen]}"
    for one in fleet.of("NetworkPolicy"):
        labels = one["spec"]["podSelector"].get("matchLabels", {})
        if labels and len(fleet.chosen(labels)) != 1:
            yield f"{title(one)}: chooses {[str(other) for other in fleet.chosen(labels)]}"


def ports(fleet):
    """every port that a Service or a policy names is a port of the pods it chooses"""
    for workload in fleet.workloads:
        seen = [(name, protocol) for name, protocol, _, _ in workload.ports()]
        numbers = [(number, protocol) for _, protocol, number, _ in workload.ports()]
        for twice in {one for one in seen + numbers if (seen + numbers).count(one) > 1}:
            yield f"{workload}: port {twice} stands there twice"
        for name, _, number, container in workload.ports():
            if len(name) > 15 or number < 1024:
                yield f"{workload} {container}: port {name} {number}"
    for one in fleet.of("Service"):
        for workload in fleet.chosen(one["spec"]["selector"]):
            have = {(name, protocol) for name, protocol, _, _ in workload.ports()}
            for port in one["spec"]["ports"]:
                if (port.get("targetPort"), port.get("protocol", "TCP")) not in have:
                    yield f"{title(one)}: {port.get('targetPort')} is no port of {workload}"
    for one in fleet.of("NetworkPolicy"):
        labels = one["spec"]["podSelector"].get("matchLabels", {})
        for rule in one["spec"].get("ingress", []):
            for port in rule["ports"]:
                for workload in fleet.chosen(labels):
                    if (port["port"], port["protocol"]) not in {(p[0], p[1]) for p in workload.ports()}:
                        yield f"{title(one)}: {port['port']} is no port of {workload}"


def reachable(fleet):
    """what is not allowed is denied; the ports that serve the world and the scrapes are let in, DNS, Kafka and Redis out"""
    deny = [one for one in fleet.of("NetworkPolicy") if one["spec"]["podSelector"] == {}
            and not one["spec"].get("ingress") and not one["spec"].get("egress")
            and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}]
    if len(deny) != 1:
        yield "no policy denies everything to everybody"
    out = set()
    for one in fleet.of("NetworkPolicy"):
        if one["spec"]["podSelector"] == {}:
            for rule in one["spec"].get("egress", []):
                for port in rule["ports"]:
                    out |= {(n, port["protocol"]) for n in range(port["port"], port.get("endPort", port["port"]) + 1)}
    for need in ((53, "UDP"), (53, "TCP"), (6379, "TCP"), (9092, "TCP")):
        if need not in out:
            yield f"no pod may go out to {need}"
    for workload in fleet.workloads:
        policies = [one for one in fleet.of("NetworkPolicy") if one["spec"]["podSelector"].get("matchLabels")
                    and workload in fleet.chosen(one["spec"]["podSelector"]["matchLabels"])]
        let_in = {(port["port"], port["protocol"]): rule for one in policies
                  for rule in one["spec"].get("ingress", []) for port in rule["ports"]}
        public = {(port["targetPort"], port.get("protocol", "TCP")) for one in fleet.of("Service")
                  if one["spec"].get("type") == "LoadBalancer" and workload in fleet.chosen(one["spec"]["selector"])
                  for port in one["spec"]["ports"]}
        for name, protocol, _, _ in workload.ports():
            rule = let_in.get((name, protocol))
            if rule is None:
                yield f"{workload}: nobody may reach {name}/{protocol}"
            elif ("from" in rule) == ((name, protocol) in public):
                yield f"{workload}: {name}/{protocol} is for {'everybody' if 'from' in rule else 'few'}"


def serving(fleet):
    """every name server has an address of its own, by UDP and by TCP, whatever its writer waits for"""
    for workload in fleet.workloads:
        if workload.kind != "StatefulSet":
            continue
        governing = fleet.get("Service", workload.owner["spec"]["serviceName"])
        if governing is None or governing["spec"].get("clusterIP") != "None":
            yield f"{workload}: serviceName is no headless Service"
        for pod in workload.pod_names():
            mine = [one for one in fleet.of("Service")
                    if one["spec"]["selector"].get("statefulset.kubernetes.io/pod-name") == pod]
            served = {(port["port"], port["protocol"]) for one in mine for port in one["spec"]["ports"]}
            if len(mine) != 1 or served != {(53, "UDP"), (53, "TCP")}:
                yield f"{workload}: {pod} is reached by {[title(one) for one in mine]} at {served}"
            for one in mine:
                if not one["spec"].get("publishNotReadyAddresses"):
                    yield f"{title(one)}: leaves the pod out when its writer waits"
                if one["spec"].get("externalTrafficPolicy") != "Local":
                    yield f"{title(one)}: hides who asks"
        if workload.owner["spec"].get("podManagementPolicy") != "Parallel":
            yield f"{workload}: after an outage one name server would wait for another"


def referring(fleet):
    """every ConfigMap, Secret, key, claim and volume that is referred to is there; none is there for nothing"""
    used = set()
    for workload in fleet.workloads:
        volumes = {volume["name"]: volume for volume in workload.spec.get("volumes", [])}
        mounted = set()
        for volume in volumes.values():
            for kind, key in (("configMap", "name"), ("secret", "secretName")):
                if kind not in volume:
                    continue
                name = volume[kind].get(key)
                keys = keys_of(fleet, kind, name)
                used.add((kind, name))
                if keys is None:
                    yield f"{workload}: there is no {kind} {name}"
                elif {item["key"] for item in volume[kind].get("items", [])} - keys:
                    yield f"{workload}: {kind} {name} has no such key"
                if kind == "secret" and volume[kind].get("defaultMode", 0o644) & 0o337:
                    yield f"{workload}: the files of secret {name} are open to others or may be written"
                if kind == "secret" and not workload.spec["securityContext"].get("fsGroup"):
                    yield f"{workload}: without fsGroup nobody can read secret {name}"
        for one in workload.containers():
            paths = [mount["mountPath"] for mount in one.get("volumeMounts", [])]
            if len(set(paths)) != len(paths):
                yield f"{workload} {one['name']}: two mounts at one path"
            for mount in one.get("volumeMounts", []):
                mounted.add(mount["name"])
                volume = volumes.get(mount["name"])
                if volume is None and mount["name"] not in workload.claims:
                    yield f"{workload} {one['name']}: there is no volume {mount['name']}"
                if volume is not None and not mount.get("readOnly") and ("configMap" in volume or "secret" in volume):
                    yield f"{workload} {one['name']}: {mount['name']} is not mounted read-only"
            for source in one.get("envFrom", []):
                name = source.get("configMapRef", {}).get("name")
                used.add(("configMap", name))
                if keys_of(fleet, "configMap", name) is None:
                    yield f"{workload} {one['name']}: there is no configMap {name}"
            for variable in one.get("env", []):
                for field, kind in (("configMapKeyRef", "configMap"), ("secretKeyRef", "secret")):
                    reference = variable.get("valueFrom", {}).get(field)
                    if reference is None:
                        continue
                    used.add((kind, reference["name"]))
                    if reference["key"] not in (keys_of(fleet, kind, reference["name"]) or ()):
                        yield f"{workload} {one['name']}: {kind} {reference['name']} has no {reference['key']}"
        for name in (set(volumes) | set(workload.claims)) - mounted:
            yield f"{workload}: volume {name} is mounted nowhere"
    for one in fleet.of("ConfigMap"):
        if ("configMap", one["metadata"]["name"]) not in used:
            yield f"{title(one)}: nobody uses it"
    if fleet.name != "base":
        for name in fleet.secrets:
            if ("secret", name) not in used:
                yield f"secrets.example.yaml has {name}, which nobody uses"


def keys_of(fleet, kind, name):
    if kind == "secret":
        return fleet.secrets.get(name)
    found = fleet.get("ConfigMap", name)
    return None if found is None else set(found["data"])


def lasting(fleet):
    """a rollout and an eviction take one at a time, and give it the time to finish what it has begun"""
    for workload in fleet.workloads:
        if not workload.lives_on():
            continue
        spec = workload.owner["spec"]
        budgets = [one for one in fleet.of("PodDisruptionBudget")
                   if workload in fleet.chosen(one["spec"]["selector"]["matchLabels"])]
        if [one["spec"].get("maxUnavailable") for one in budgets] != [1]:
            yield f"{workload}: no budget of one"
        if any(one["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow" for one in budgets):
            yield f"{workload}: a pod that waits for Kafka would hold a node's drain up"
        if workload.spec.get("terminationGracePeriodSeconds", 30) < 30:
            yield f"{workload}: less than 30 s to finish"
        if workload.kind == "Deployment":
            rolling = spec.get("strategy", {}).get("rollingUpdate", {})
            if (rolling.get("maxUnavailable"), rolling.get("maxSurge")) != (0, 1):
                yield f"{workload}: is closed before another one is open"
        if any(image_name(one) == "ingest" for one in workload.containers()):
            if spec["replicas"] < 2:
                yield f"{workload}: one door"
            for one in workload.spec["containers"]:
                if one.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) < 5:
                    yield f"{workload} {one['name']}: closes before the load balancers know"
        for one in workload.containers():
            if "exec" in one.get("lifecycle", {}).get("preStop", {}):
                yield f"{workload} {one['name']}: a preStop command, in an image without tools"


def named_right(fleet):
    """everything is in one namespace, which demands restricted, and says by labels what it is"""
    spaces = fleet.of("Namespace")
    if len(spaces) != 1:
        yield f"{len(spaces)} namespaces"
        return
    for mode in ("enforce", "warn", "audit"):
        if spaces[0]["metadata"].get("labels", {}).get(f"pod-security.kubernetes.io/{mode}") != "restricted":
            yield f"the namespace does not {mode} restricted"
    for one in fleet.objects:
        if one["kind"] in CLUSTER_WIDE:
            continue
        if one["metadata"].get("namespace") != spaces[0]["metadata"]["name"]:
            yield f"{title(one)}: is in namespace {one['metadata'].get('namespace')}"
        labels = one["metadata"].get("labels", {})
        for label in ("part-of", "managed-by"):
            if f"app.kubernetes.io/{label}" not in labels:
                yield f"{title(one)}: no label {label}"
    for workload in fleet.workloads:
        for label in MONITORED_LABELS:
            for labels in (workload.owner["metadata"].get("labels", {}), workload.labels):
                if f"app.kubernetes.io/{label}" not in labels:
                    yield f"{workload}: no label {label}, or not on its pods"


def topics(fleet):
    """topics are applied by hand only: nothing that `apply` could trip over or that runs by itself"""
    if fleet.of("Job"):
        yield "a Job: its template can't be changed by the next apply"
    for one in fleet.of("CronJob"):
        if one["spec"].get("suspend") is not True:
            yield f"{title(one)}: runs by itself"
    if not any(one.get("args") == ["topics", "apply"] for w in fleet.workloads for one in w.containers()):
        yield "nothing applies the topics"


RULES = [schemas, restricted, hardened, sized, memory, probed, pinned, undisclosed, selecting, ports, reachable,
         serving, referring, lasting, named_right, topics]


# ---- proof that they bite --------------------------------------------------------------------------


def pod(fleet, kind, name):
    one = fleet.get(kind, name)["spec"]
    return one["template"]["spec"]


def ingest(fleet):
    return pod(fleet, "Deployment", "ingest")


def first(fleet):
    return ingest(fleet)["containers"][0]


def server(fleet):
    return pod(fleet, "StatefulSet", "ns")


def set_config(fleet, prefix, key, old, new):
    for one in fleet.of("ConfigMap"):
        if one["metadata"]["name"].startswith(prefix):
            assert old in one["data"][key], (prefix, key, old)
            one["data"][key] = one["data"][key].replace(old, new)


MUTATIONS = [
    ("a misspelt field", schemas, lambda f: first(f).update(readynessProbe={})),
    ("a field of another type", schemas, lambda f: f.get("Deployment", "ingest")["spec"].update(replicas="two")),
    ("a kind that needs a CRD", schemas, lambda f: f.objects.append(
        {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"name": "x"}, "spec": {}})),
    ("a container that may be root", restricted, lambda f: first(f)["securityContext"].update(runAsUser=0)),
    ("no runAsNonRoot", restricted, lambda f: server(f)["securityContext"].pop("runAsNonRoot")),
    ("a capability that restricted forbids", restricted,
     lambda f: first(f)["securityContext"]["capabilities"].update(add=["SYS_ADMIN"])),
    ("privilege escalation left open", restricted,
     lambda f: server(f)["initContainers"][1]["securityContext"].pop("allowPrivilegeEscalation")),
    ("a folder of the host", restricted,
     lambda f: ingest(f)["volumes"].append({"name": "h", "hostPath": {"path": "/"}})),
    ("the network of the host", restricted, lambda f: server(f).update(hostNetwork=True)),
    ("no seccomp profile", restricted, lambda f: ingest(f)["securityContext"].pop("seccompProfile")),
    ("service links", hardened, lambda f: ingest(f).pop("enableServiceLinks")),
    ("a token", hardened, lambda f: server(f).pop("automountServiceAccountToken")),
    ("a root that may be written", hardened, lambda f: first(f)["securityContext"].pop("readOnlyRootFilesystem")),
    ("a capability that we do without", hardened,
     lambda f: server(f)["initContainers"][1]["securityContext"]["capabilities"].update(add=["NET_BIND_SERVICE"])),
    ("no memory limit", sized, lambda f: first(f)["resources"]["limits"].pop("memory")),
    ("ceilings above the limit", memory, lambda f: set_config(f, "ingest", "dadns.yml", "1073741824", "2147483648")),
    ("no readiness probe", probed, lambda f: first(f).pop("readinessProbe")),
    ("liveness that asks for Kafka", probed, lambda f: first(f)["livenessProbe"]["httpGet"].update(path="/readyz")),
    ("a probe at a port that is not there", probed, lambda f: first(f)["startupProbe"]["httpGet"].update(port="web")),
    ("an admin port that differs", probed, lambda f: first(f)["args"].__setitem__(1, "--admin.listen=:9109")),
    ("latest", pinned, lambda f: first(f).update(image="registry.hoster.example/dadns/ingest:latest")),
    ("no tag at all", pinned, lambda f: first(f).update(image="registry.hoster.example:5000/dadns/ingest")),
    ("an image that is never built", pinned,
     lambda f: first(f).update(image="registry.hoster.example/dadns/injest:0.1")),
    ("a password as an argument", undisclosed, lambda f: first(f)["args"].append("--app.auth_password=x")),
    ("a password in the environment", undisclosed,
     lambda f: first(f).setdefault("env", []).append({"name": "DADNS_APP_AUTH_PASSWORD", "value": "x"})),
    ("a password in a ConfigMap", undisclosed,
     lambda f: set_config(f, "writer-mysql-dc1", "dadns.yml", "password_file: /run", "password: /run")),
    ("a selector that chooses nobody", selecting,
     lambda f: f.get("Service", "ingest")["spec"]["selector"].update({"app.kubernetes.io/name": "door"})),
    ("two databases with one selector", selecting, lambda f: [
        f.get("Deployment", name)["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/instance")
        for name in ("writer-mysql-dc1", "writer-mysql-dc2")]),
    ("a budget for nobody", selecting,
     lambda f: f.get("PodDisruptionBudget", "ns")["spec"]["selector"]["matchLabels"].update(
         {"app.kubernetes.io/name": "x"})),
    ("a Service's port that no pod has", ports,
     lambda f: f.get("Service", "ns-1")["spec"]["ports"][0].update(targetPort="domain")),
    ("UDP sent to a TCP port", ports,
     lambda f: f.get("Service", "ns-1")["spec"]["ports"][0].update(targetPort="dns-tcp")),
    ("a policy for a port that is not there", ports,
     lambda f: f.get("NetworkPolicy", "ingest")["spec"]["ingress"][0]["ports"][0].update(port="http")),
    ("no default deny", reachable, lambda f: f.objects.remove(f.get("NetworkPolicy", "default-deny"))),
    ("DNS that nobody may ask by TCP", reachable,
     lambda f: f.get("NetworkPolicy", "ns")["spec"]["ingress"][0]["ports"].pop()),
    ("an admin page for everybody", reachable,
     lambda f: f.get("NetworkPolicy", "ns")["spec"]["ingress"][1].pop("from")),
    ("no way to Kafka", reachable, lambda f: f.get("NetworkPolicy", "names-kafka-redis")["spec"]["egress"].pop()),
    ("a name server without an address", serving, lambda f: f.objects.remove(f.get("Service", "ns-3"))),
    ("a name server that leaves with its writer", serving,
     lambda f: f.get("Service", "ns-2")["spec"].pop("publishNotReadyAddresses")),
    ("name servers that wait for each other", serving,
     lambda f: f.get("StatefulSet", "ns")["spec"].update(podManagementPolicy="OrderedReady")),
    ("a ConfigMap that is not there", referring,
     lambda f: ingest(f)["volumes"][0]["configMap"].update(name="ingest")),
    ("a Secret that is not there", referring, lambda f: ingest(f)["volumes"][1]["secret"].update(secretName="door")),
    ("a Secret's key that is not there", referring, lambda f: ingest(f)["volumes"][1]["secret"].update(
        items=[{"key": "passwort", "path": "password"}])),
    ("a Secret that everybody may read", referring,
     lambda f: ingest(f)["volumes"][1]["secret"].update(defaultMode=0o444)),
    ("a mount without a volume", referring,
     lambda f: first(f)["volumeMounts"].append({"name": "tmp", "mountPath": "/tmp"})),
    ("a claim under another name", referring,
     lambda f: f.get("StatefulSet", "ns")["spec"]["volumeClaimTemplates"][0]["metadata"].update(name="data")),
    ("a door that closes first", lasting,
     lambda f: f.get("Deployment", "ingest")["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    ("no budget", lasting, lambda f: f.objects.remove(f.get("PodDisruptionBudget", "ns"))),
    ("no time to finish", lasting, lambda f: ingest(f).update(terminationGracePeriodSeconds=5)),
    ("a preStop command", lasting,
     lambda f: first(f)["lifecycle"].update(preStop={"exec": {"command": ["sleep", "5"]}})),
    ("a namespace without enforcement", named_right,
     lambda f: f.of("Namespace")[0]["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce")),
    ("something in another namespace", named_right,
     lambda f: f.get("Service", "ns-1")["metadata"].update(namespace="default")),
    ("pods without a component", named_right,
     lambda f: f.get("Deployment", "ingest")["spec"]["template"]["metadata"]["labels"].pop(
         "app.kubernetes.io/component")),
    ("topics that are applied by themselves", topics,
     lambda f: f.get("CronJob", "topics-apply")["spec"].update(suspend=False)),
]


def mutate(fleet, change):
    """A copy of the fleet, changed."""
    broken = Fleet(fleet.name, copy.deepcopy(fleet.objects), fleet.secrets, fleet.targets)
    change(broken)
    return Fleet(fleet.name, broken.objects, fleet.secrets, fleet.targets)
