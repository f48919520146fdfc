#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Questions for dnsperf over all zones of the bench: questions.py SEED ZONES COUNT, or questions.py shares.

The same SEED gives the same questions. Each zone is as likely as any other.
"""
import random
import sys

# per cent, for people, owner (%: a label that no zone has), type
QUESTIONS = [
    (40, "www A", "www", "A"),
    (5, "apex SOA", "", "SOA"),
    (5, "apex NS", "", "NS"),
    (10, "apex MX", "", "MX"),
    (10, "apex TXT", "", "TXT"),
    (20, "names that do not exist", "%", "A"),
    (10, "names without the type (mail AAAA)", "mail", "AAAA"),
]


def main():
    if sys.argv[1:] == ["shares"]:
        print(", ".join(f"{share} % {title}" for share, title, _, _ in QUESTIONS))
        return
    seed, zones, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    kinds = rng.choices(QUESTIONS, [share for share, _, _, _ in QUESTIONS], k=count)
    for _, _, owner, kind in kinds:
        if owner == "%":
            owner = f"nx{rng.getrandbits(32):08x}"
        zone = f"zone-{rng.randrange(zones):06d}.bench.example"
        print(f"{owner}.{zone}" if owner else zone, kind)


if __name__ == "__main__":
    main()
