# SPDX-License-Identifier: Apache-2.0
"""Faults of the standalone service: its disk, and its only process."""

import contextlib
import errno
import os
import resource

from doctor_alarm.tests.functional.faults import table

#: Bytes that the largest file of the database may grow.
ROOM = 64 * 1024
#: Bytes written at once to fill a disk.
BLOCK = 2 ** 20


@table.fault('standalone', answers_lost=True)
def standalone_killed(scene):
    for _ in range(table.KILLS):
        scene.service.kill()
        scene.start()
        scene.progress(scene.chance.randrange(20, 150))


@table.fault('standalone')
def standalone_disk_full(scene):
    """Not a byte is left on the disk of the database: SQLITE_FULL.

    Without the privilege to mount one of its own, a limit must do.
    """
    if not scene.has_disk:
        scene.about = 'no disk of its own: file limit'
        return standalone_file_limit(scene)
    ballast = os.path.join(scene.state, 'ballast')
    known = len(scene.service.log)
    with open(ballast, 'wb', buffering=0) as target:
        # The database may take what is left before us, and may release some.
        while not _stuck(scene):
            _fill(target)
        scene.last(table.BAD)
    os.unlink(ballast)
    # Where it is the index of the log that does not fit, SQLite says so.
    assert any(words in scene.service.log[known:] for words in (
        'is full', 'disk I/O error')), 'its disk was not full'


def _fill(target):
    size = BLOCK
    while size:
        try:
            target.write(bytes(size))
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
            size //= 2


@table.fault('standalone')
def standalone_file_limit(scene):
    """The largest file of the database can not grow any more: EFBIG."""
    pid = scene.service.child.pid
    largest = max(
        os.path.getsize(entry.path) for entry in os.scandir(scene.state)
        if 'sqlite' in entry.name)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + ROOM, hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.prlimit, pid, resource.RLIMIT_FSIZE,
                       (soft, hard))
        # Until nothing goes on, then for a while.
        scene.until(lambda: _stuck(scene), 60)
        scene.last(table.BAD)


def _stuck(scene):
    before = scene.received
    scene.last(1)
    return scene.received == before
