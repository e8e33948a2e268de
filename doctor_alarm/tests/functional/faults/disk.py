# SPDX-License-Identifier: Apache-2.0
"""Faults of the standalone service: its disk, and its only process."""

import contextlib
import os
import resource

from doctor_alarm.tests.functional.faults import table

#: Bytes that the database may grow before its disk is full.
ROOM = 64 * 1024


@table.fault('standalone', answers_lost=True)
def standalone_killed(scene):
    for _ in range(table.KILLS):
        scene.service.kill()
        scene.start()
        scene.progress(scene.chance.randrange(20, 150))


@table.fault('standalone')
def standalone_disk_full(scene):
    """The largest file of the database can not grow any more.

    The kernel refuses by a limit of the process: needs no disk to fill.
    """
    pid = scene.service.child.pid
    largest = max(
        os.path.getsize(entry.path) for entry in os.scandir(
            scene.service.folder) if 'sqlite' in entry.name)
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
