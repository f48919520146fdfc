# SPDX-License-Identifier: Apache-2.0
"""Writers that die, writers that share, writers that find their offsets gone."""
from rig import row


@row("F23", "writer dies between apply and offset commit", tier="short")
def f23(rig):
    """abort marks bind.verified and mysql.committed, three times each"""
    rig.load.start(rate=40)
    for i in range(3):
        for name, mark in ("writer-ns1", "bind.verified"), ("writer-dc1", "mysql.committed"):
            with rig.nemesis(f"{name} dies at {mark}, {i + 1}") as fault:
                rig.kill(name)
                rig.await_exit(name, 5)
                rig.start(name, abort_at=f"{mark}:{i + 1}")
                fault.fired(rig.await_exit(name, 15) == 137)
                rig.start(name)
