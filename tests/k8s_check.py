# SPDX-License-Identifier: Apache-2.0
"""What tests/k8s.sh runs in a network and with mounts of its own: k8s_check.py TOOLS BIN WORK"""
import os
import pathlib
import subprocess
import sys
import time

import yaml

import k8s_image
import k8s_pod
import k8s_rules

passed = failed = 0


def check(promise, findings):
    global passed, failed
    findings = list(findings)
    if findings:
        failed += 1
        print(f"FAILED {promise}", *findings, sep="\n    ")
    else:
        passed += 1


def part(text, began):
    print(f"  {text:<58} {passed:4d} passed {failed:4d} failed {time.monotonic() - began:6.2f} s", flush=True)


def render(tools, folder):
    done = subprocess.run([tools / "kustomize", "build", folder], capture_output=True, text=True)
    return list(yaml.safe_load_all(done.stdout)), [done.stderr.strip()] if done.returncode or done.stderr else []


def main():
    tools, binaries, work = map(pathlib.Path, sys.argv[1:])
    root = pathlib.Path.cwd()
    began = time.monotonic()
    file = k8s_image.Containerfile("Containerfile")
    secrets = k8s_pod.secret_files(root)

    done = subprocess.run([tools / "venv/bin/hadolint", "--no-color", "Containerfile"], capture_output=True, text=True)
    check("hadolint has nothing to say of the Containerfile", done.stdout.splitlines() + done.stderr.splitlines())
    for promise, findings in k8s_image.findings(file, root, binaries):
        check(promise, findings)
    check("what .containerignore lets through is enough to build", k8s_image.context_findings(root, work))
    part("the Containerfile", began)

    fleets = []
    for folder in (root / "deploy/k8s/base", root / "deploy/k8s/overlays/example"):
        objects, findings = render(tools, folder)
        check(f"{folder.name} renders", findings)
        fleets.append(k8s_rules.Fleet(folder.name, objects, secrets, file.targets))
        for rule in k8s_rules.RULES:
            check(f"{folder.name}: {rule.__doc__}", rule(fleets[-1]))
    part("schemas and rules", began)

    example = fleets[-1]
    for what, rule, change in k8s_rules.MUTATIONS:
        try:
            findings = [] if list(rule(k8s_rules.mutate(example, change))) else ["it does not"]
        except (KeyError, AttributeError, AssertionError) as error:  # there was not what it wants to break
            findings = [repr(error)]
        check(f"the rule '{rule.__doc__}' notices {what}", findings)
    part("the rules bite", began)

    world = k8s_pod.World(work, root, binaries, file)
    if not k8s_pod.ROOT_USER:
        print("  (not root: containers run as this user, their user and file modes are not put to the proof)")
    tasks = [task for fleet in fleets for task in k8s_pod.tasks(world, fleet)]
    for results in k8s_pod.do_all(tasks):
        for promise, findings in results:
            check(promise, findings)
    part("every container, with the real programs", began)
    for results in k8s_pod.do_all(list(k8s_pod.mutation_tasks(world, example))):
        for promise, findings in results:
            check(promise, findings)
    part("--check-config bites", began)

    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    os.umask(0o022)
    main()
