# SPDX-License-Identifier: Apache-2.0
"""The Containerfile, read and held to what the programs really need. Nothing is built here."""
import json
import pathlib
import re
import subprocess

EXTRA = {"ca-certificates"}  # needed by no program, but by TLS
ALWAYS = {"libc6", "libgcc-s1"}  # in every Debian image


class Stage:
    def __init__(self, base, name):
        self.base = base
        self.name = name
        self.steps = []  # [INSTRUCTION, text]

    def texts(self, instruction):
        return [text for word, text in self.steps if word == instruction]


class Containerfile:
    def __init__(self, path):
        self.stages = {}
        stage = None
        text = re.sub(r"^\s*#.*\n", "", pathlib.Path(path).read_text(), flags=re.M)
        for line in re.sub(r"\\\n", " ", text).splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "FROM":
                base, _, name = rest.partition(" AS ")
                stage = self.stages[name or base] = Stage(base, name or base)
            elif word and stage is not None:
                stage.steps.append((word, rest.strip()))
        bases = {one.base for one in self.stages.values()}
        self.targets = {name for name in self.stages if name not in bases and name != "build"}
        self.targets |= {name for name, one in self.stages.items() if one.texts("ENTRYPOINT")}

    def chain(self, name):
        """The stage and those it stands on, the lowest first."""
        stages = []
        while name in self.stages:
            stages.insert(0, self.stages[name])
            name = self.stages[name].base
        return stages

    def texts(self, name, instruction):
        return [text for stage in self.chain(name) for text in stage.texts(instruction)]

    def entrypoint(self, name):
        return json.loads(self.texts(name, "ENTRYPOINT")[-1])

    def packages(self, name):
        found = set()
        for text in self.texts(name, "RUN"):
            for part in text.split("&&"):
                words = part.split()
                if "install" in words and words[0] == "apt-get":
                    found |= {word for word in words[words.index("install") + 1:] if not word.startswith("-")}
        return found

    def programs(self, name):
        """Path in the image → path in the tree (what is copied), or the same path (what Debian brings)."""
        found = {}
        for text in self.texts(name, "COPY"):
            words = text.split()
            if words[0] == "--from=build":
                for source in words[1:-1]:
                    target = words[-1] + pathlib.Path(source).name if words[-1].endswith("/") else words[-1]
                    found[target] = source.removeprefix("/src/")
        return found or {self.entrypoint(name)[0]: self.entrypoint(name)[0]}


def host_path(root, binaries, source):
    """Where that program is here: of the tree in the folder that is tested, else Debian's."""
    return pathlib.Path(source) if source.startswith("/") else root / binaries / pathlib.Path(source).name


def needed_libraries(path):
    """The libraries that a program itself names; theirs come by Depends."""
    dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return {f"*/{name}" for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)}


def owners(files):
    """File → its package as Debian 12 calls it (12's libldns3 is 13's libldns3t64)."""
    found = subprocess.run(["dpkg-query", "-S", *files], capture_output=True, text=True).stdout
    lines = [line.rsplit(": ", 1) for line in found.splitlines()]
    return {one: next((re.sub(r"t64$", "", names.split(":")[0]) for names, path in lines
                       if path == one or one[0] == "*" and path.endswith(one[1:])), f"nobody's {one}") for one in files}


def findings(file, root, binaries):
    """(promise, [finding…]) for every target."""
    for name in sorted(file.targets):
        wrong = []
        users = file.texts(name, "USER")
        if not users or users[-1] != "65532:65532":
            wrong.append(f"runs as {users[-1:]}")
        if not all(text.startswith("[") for text in file.texts(name, "ENTRYPOINT") + file.texts(name, "CMD")):
            wrong.append("needs a shell to start")
        if file.texts(name, "HEALTHCHECK") or file.texts(name, "ADD"):
            wrong.append("HEALTHCHECK or ADD")
        labels = " ".join(file.stages[name].texts("LABEL"))
        for label in ("title", "description", "licenses", "version"):
            if f"org.opencontainers.image.{label}=" not in labels:
                wrong.append(f"no label {label}")
        yield f"image {name}: its user, start and labels", wrong

    files = {}
    for name in file.targets:
        files[name] = {"/usr/sbin/rndc-confgen"} if name == "named" else set()
        for source in file.programs(name).values():
            path = host_path(root, binaries, source)
            if not path.exists():
                files[name].add(str(path))
            else:
                files[name] |= {source} if source.startswith("/") else needed_libraries(path)
    package = owners(sorted(set().union(*files.values())))
    for name in sorted(file.targets):
        have = {re.sub(r"t64$", "", one) for one in file.packages(name)} - EXTRA
        need = {package[one] for one in files[name]} - ALWAYS
        wrong = [] if have == need else [f"lacks {sorted(need - have)}, has for nothing {sorted(have - need)}"]
        yield f"image {name}: the packages it installs are those its programs are linked with", wrong


def context_findings(root, work):
    """With what .containerignore lets through, `make all` does the same as with the whole tree."""
    tree = work / "context"
    for line in (root / ".containerignore").read_text().splitlines():
        if line.startswith("!"):
            (tree / line[1:]).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-r", root / line[1:], tree / line[1:]], check=True)
    dry_run = ["make", "--no-print-directory", "-n", "B=build/none", "VERSION=x", "all"]
    plans = [subprocess.run(dry_run, cwd=place, capture_output=True, text=True) for place in (root, tree)]
    if plans[1].returncode != 0:
        return plans[1].stderr.splitlines()[-1:]
    return sorted(set(plans[0].stdout.splitlines()) ^ set(plans[1].stdout.splitlines()))[:5]
