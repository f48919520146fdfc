# SPDX-License-Identifier: Apache-2.0
"""What a power loss would have left of a writer's zones folder, worked out from the shim's trace of it.

The model is that of a journalling file system, at its worst: changes of names last in the order in which they were made, and
may be lost from any point behind the last sync of anything; bytes of a file last when that file was synced (or all of
the file system), until then the file may be torn.

    for names, files in images.crashes("trace"): ...     # name -> inode; inode -> bytes, or None: torn
"""


class Inode:
    def __init__(self):
        self.data, self.dirty = b"", False

    def write(self, offset, data):
        self.data = self.data[:offset].ljust(offset, b"\0") + data + self.data[offset + len(data):]
        self.dirty = True

    def truncate(self, size):
        if size != len(self.data):
            self.data = self.data[:size].ljust(size, b"\0")
            self.dirty = True

    def sync(self):
        self.dirty = False

    def after_crash(self):
        return None if self.dirty else self.data


def crashes(trace, folder, files):
    """Each image that a crash could leave and that differs from the one before. `files`: name -> bytes, what was there
    before and had lasted."""
    names = {}
    for name, data in files.items():
        names[name] = inode = Inode()
        inode.data = data
    past = [dict(names)]  # the names since the last sync: any of them may be what is found
    with open(trace) as lines:
        for line in lines:
            call, *paths = line.rstrip("\n").replace(folder.rstrip("/") + "/", "").split(" ")
            if call in ("fsync", "syncfs"):
                for inode in names.values() if call == "syncfs" else [names[paths[0]]] if paths[0] in names else []:
                    inode.sync()
                past = [dict(names)]
                changed = past
            elif call in ("write", "truncate"):
                inode = names.setdefault(paths[0], Inode())  # made by an open that the trace does not have
                if call == "write":
                    inode.write(int(paths[1]), bytes.fromhex(paths[2]))
                else:
                    inode.truncate(int(paths[1]))
                changed = [found for found in past if any(one is inode for one in found.values())]
            else:
                change(names, call, paths)
                past.append(dict(names))
                changed = past[-1:]
            for found in changed:
                yield {name: inode.after_crash() for name, inode in found.items()}


def change(names, call, paths):
    if call == "unlink":
        names.pop(paths[0], None)
        return
    old, new = paths
    if old not in names:
        return  # the call failed
    if call == "exchange":
        if new in names:
            names[old], names[new] = names[new], names[old]
    elif call == "link":
        names.setdefault(new, names[old])
    else:
        names[new] = names.pop(old)
