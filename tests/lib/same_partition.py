# SPDX-License-Identifier: Apache-2.0
"""same_partition.py ZONE COUNT [PARTITIONS]: prints that many names whose key falls into ZONE's partition.

Kafka's default partitioner (murmur2), written from its specification; the story compares with the log.
"""
import sys


def murmur2(key):
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(key)) & mask
    whole = len(key) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition(name, count=12):
    return (murmur2(name.encode()) & 0x7FFFFFFF) % count


if __name__ == "__main__":
    zone, wanted, partitions = sys.argv[1], int(sys.argv[2]), int((sys.argv[3:] or [12])[0])
    stem, i = zone.partition(".")[0], 0
    while wanted:
        i += 1
        name = f"n{i}-{stem}.example"
        if partition(name, partitions) == partition(zone, partitions):
            print(name)
            wanted -= 1
