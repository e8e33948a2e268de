# SPDX-License-Identifier: Apache-2.0

import time

from oslotest import base


def wait_until(predicate, timeout=60.0, message=None):
    """Wait for a condition and return what it returned.

    :param predicate: called every few milliseconds until it is true
    :param timeout: seconds until it fails
    :param message: what was waited for, for the failure; a callable is
        called when the time is over
    :raises AssertionError: the time is over
    """
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        # Asked once more after the deadline: on a busy machine the
        # pause itself may have used up the time.
        late = time.monotonic() > deadline
        value = predicate()
        if value:
            return value
        if late:
            break
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    if callable(message):
        message = message()
    raise AssertionError('not within %s s: %s' % (
        timeout, message or getattr(predicate, '__name__', predicate)))


class TestCase(base.BaseTestCase):
    """The base of all tests."""

    # Seconds until a hanging test is ended; OS_TEST_TIMEOUT overrides it.
    DEFAULT_TIMEOUT = 300

    def wait_until(self, predicate, timeout=60.0, message=None):
        """Wait for a condition, see :func:`wait_until`."""
        return wait_until(predicate, timeout, message)
