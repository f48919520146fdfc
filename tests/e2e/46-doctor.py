#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the installation stands on is looked at: `dadns doctor` finds everything right, then each thing that was bent by
its name, then everything right again; a service that stands on something bent is not ready, and says why."""
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
from rows import sql  # noqa: E402

ZONE = "doctor.example"
LEFT_OVER = {"dead-letters", "retries-waiting"}  # of other stories


def doctor(*words):
    """The findings, and the exit code."""
    done = subprocess.run([f"{story.BIN}/dadns", "doctor", "--config", f"{story.STACK_DIR}/dadns.yml", "-o", "json", *words],
                          capture_output=True, text=True, timeout=120)
    return json.loads(done.stdout), done.returncode


def states(findings, state):
    return {(row["check"], row["where"]) for row in findings if row["state"] == state and row["check"] not in LEFT_OVER}


def kafka_configs(topic, change):
    subprocess.run(["tools/kafka.sh", "exec", "kafka.admin.ConfigCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"],
                    "--entity-type", "topics", "--entity-name", topic, "--alter", "--add-config", change],
                   check=True, capture_output=True, timeout=60)


def redis(*words):
    host, port = os.environ["REDIS_URL"].removeprefix("redis://").split(":")
    subprocess.run(["redis-cli", "-h", host, "-p", port, *words], check=True, capture_output=True, timeout=10)


def rndc(name, command):
    host, port = story.address(f"{name.upper()}_RNDC")
    subprocess.run(["rndc", "-s", host, "-p", str(port), "-k", f"{story.STACK_DIR}/{name}/rndc.key", command], check=True,
                   capture_output=True, timeout=10, env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin"))


def conf_of(name):
    with open(f"{story.STACK_DIR}/{name}/named.conf") as file:
        return file.read()


def write_conf(name, text):
    with open(f"{story.STACK_DIR}/{name}/named.conf", "w") as file:
        file.write(text)


def readyz(name):
    url = os.environ[name.upper().replace("-", "_") + "_ADMIN_URL"] + "/readyz"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError as error:
        return str(error)


def restart(name):
    story.stack("stop", name)
    story.start(name, nowait=True)


def is_ready(name):
    return True if story.ready(name) else readyz(name)


def says(name, check):
    page = readyz(name)
    return True if re.search(rf"not ready.*{check}: ", page) else page


with story.Story("What we stand on is looked at, by dadns doctor and by the services themselves") as s:
    before = {name: conf_of(name) for name in ("ns1", "ns2")}
    flush = sql("mariadb", "SELECT @@global.innodb_flush_log_at_trx_commit")[0][0]
    s.finally_do(lambda: story.sql("mariadb", f"SET GLOBAL innodb_flush_log_at_trx_commit = {flush}"))
    sql("mariadb", "SET GLOBAL innodb_flush_log_at_trx_commit = 1")

    # ---- healthy -----------------------------------------------------------------------------------------------
    s.ok("a zone is pushed", story.push(ZONE, story.zone_text(ZONE, 1)) == "ok")
    s.eventually(40, "and served by all", lambda: all(story.serial(server, ZONE) == 1 for server in story.SERVERS))
    findings, code = doctor()
    s.ok("the doctor finds nothing wrong: exit code 0", code == 0, json.dumps(findings, indent=1))
    bad = [row for row in findings if row["state"] != "right" and row["check"] not in LEFT_OVER]
    s.ok("everything is right, and nothing unseen", not bad, json.dumps(bad, indent=1))
    names = {row["check"] for row in findings}
    s.ok("it has looked at everything that it knows",
         names == {row["check"] for row in json.loads(subprocess.run(
             [f"{story.BIN}/dadns", "doctor", "checks", "-o", "json"], capture_output=True, text=True).stdout)}, names)
    s.ok("each backend has a writer", {row["where"] for row in findings if row["check"] == "writer-alive"} == set(story.BACKENDS))

    # ---- bent --------------------------------------------------------------------------------------------------
    kafka_configs("dadns.zones", "cleanup.policy=delete")
    s.finally_do(kafka_configs, "dadns.zones", "cleanup.policy=compact")
    redis("CONFIG", "SET", "appendfsync", "everysec")
    s.finally_do(redis, "CONFIG", "SET", "appendfsync", "always")
    redis("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
    s.finally_do(redis, "CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
    write_conf("ns1", before["ns1"] + f'zone "{ZONE}" {{ type primary; file "none"; }};\n')
    s.finally_do(write_conf, "ns1", before["ns1"])
    write_conf("ns2", before["ns2"].replace("allow-new-zones yes", "allow-new-zones no"))
    s.finally_do(write_conf, "ns2", before["ns2"])
    rndc("ns2", "reconfig")
    sql("mariadb", "SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    story.stack("stop", "writer-dc2")
    s.finally_do(story.start, "writer-dc2")

    findings, code = doctor()
    s.ok("with seven things bent its exit code is 3", code == 3, code)
    redis_where = "redis " + os.environ["REDIS_URL"].removeprefix("redis://")
    wrong = {("topic-settings", "dadns.zones"), ("redis-eviction", redis_where), ("bind-overlap", "ns1"),
             ("bind-new-zones", "ns2"), ("writer-alive", "dc2")}
    s.ok("what is wrong is named, and where, and nothing else", states(findings, "wrong") == wrong, states(findings, "wrong"))
    warned = {("redis-fsync", redis_where), ("innodb-flush", "dc1"), ("innodb-flush", "dc2")}
    s.ok("and so is what is warned about", states(findings, "warn") == warned, states(findings, "warn"))
    said = {row["check"]: row for row in findings if row["state"] in ("wrong", "warn")}
    s.ok("the texts say what and where", "cleanup.policy is delete, must be compact" in said["topic-settings"]["what"] and
         ZONE in said["bind-overlap"]["what"] and "everysec" in said["redis-fsync"]["what"], said)
    s.ok("and every one what to do", all(row["do"] for row in said.values()), said)
    table = subprocess.run([f"{story.BIN}/dadns", "doctor", "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True, text=True)
    s.ok("the table for people says the same",
         table.returncode == 3 and re.search(r"(?m)^bind-new-zones +wrong +ns2 ", table.stdout), table.stdout)
    allowed, code = doctor("--preflight.allow", ",".join(check for check, _ in wrong))
    s.ok("what is allowed is a warning: exit code 0", code == 0 and states(allowed, "warn") == wrong | warned, allowed)

    # ---- services ----------------------------------------------------------------------------------------------
    restart("writer-ns2")
    s.eventually(20, "a writer whose named takes no new zones is not ready, and says so", lambda: says("writer-ns2", "bind-new-zones"))
    s.ok("its metric has the name", story.metric("writer-ns2", "dadns_preflight_findings") >= 2)
    restart("ingest")
    s.eventually(20, "ingest is not ready while dadns.zones is not compacted", lambda: says("ingest", "topic-settings"))
    s.eventually(10, "nor while Redis evicts", lambda: says("ingest", "redis-eviction"))

    # ---- mended ------------------------------------------------------------------------------------------------
    kafka_configs("dadns.zones", "cleanup.policy=compact")
    redis("CONFIG", "SET", "appendfsync", "always")
    redis("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
    for name, text in before.items():
        write_conf(name, text)
    rndc("ns2", "reconfig")
    sql("mariadb", "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    story.start("writer-dc2", nowait=True)
    for name in ("ingest", "writer-ns2", "writer-dc2"):
        s.eventually(30, f"{name} is ready again by itself", lambda name=name: is_ready(name))
    findings, code = doctor()
    bad = [row for row in findings if row["state"] != "right" and row["check"] not in LEFT_OVER]
    s.ok("mended, everything is right again", code == 0 and not bad, json.dumps(bad, indent=1))
    s.ok("a push is served", story.push(ZONE, story.zone_text(ZONE, 2)) == "ok")
    s.eventually(40, "by all", lambda: all(story.serial(server, ZONE) == 2 for server in story.SERVERS))

    # ---- away --------------------------------------------------------------------------------------------------
    story.stack("pause", "redis")
    s.finally_do(story.stack, "cont", "redis")
    findings, code = doctor()
    story.stack("cont", "redis")
    s.ok("a Redis that does not answer is away: exit code 75",
         code == 75 and states(findings, "away") == {("redis-reach", redis_where)}, findings)
