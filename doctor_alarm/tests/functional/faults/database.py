# SPDX-License-Identifier: Apache-2.0
"""Faults of the database.

While it is away nobody can note that a receiver answered, and leases end
meanwhile.
"""

import contextlib
import threading
import time

from oslo_db import exception as db_exc
import sqlalchemy as sa

from doctor_alarm.tests.functional.faults import table


@table.fault('database', answers_lost=True)
def database_stopped(scene):
    table.away(scene, scene.cloud.database)


@table.fault('database', answers_lost=True)
def database_killed(scene):
    scene.cloud.database.kill()
    scene.cloud.database.start()


@table.fault('database', answers_lost=True)
def database_connections_killed(scene):
    database = scene.cloud.database
    for _ in range(table.KILLS):
        if scene.is_mariadb:
            for number, in database.execute(
                    'SELECT id FROM information_schema.processlist'
                    ' WHERE user LIKE "db%"'):
                with contextlib.suppress(Exception):    # it has just ended
                    database.execute('KILL %d' % number)
        else:
            database.execute('SELECT pg_terminate_backend(pid)'
                             " FROM pg_stat_activity WHERE usename LIKE 'db%'")
        scene.progress(100)


@table.fault('database', answers_lost=True)
def database_read_only(scene):
    database = scene.cloud.database
    _read_only(scene, database, True)
    _see_refused(scene)
    scene.last(table.AWAY)
    _read_only(scene, database, False)


def _read_only(scene, database, on):
    if scene.is_mariadb:
        database.execute('SET GLOBAL read_only = %d' % on)
    else:
        database.execute('ALTER SYSTEM SET default_transaction_read_only = '
                         + ('on' if on else 'off'))
        database.execute('SELECT pg_reload_conf()')


def _see_refused(scene):
    """It holds for the user of the services."""
    engine = sa.create_engine(scene.cloud.database_url)
    try:
        with engine.begin() as conn:
            conn.execute(sa.text('DELETE FROM lane WHERE id IS NULL'))
    except sa.exc.DBAPIError:
        return
    finally:
        engine.dispose()
    raise AssertionError('the services may write to it')


@table.fault('database', bursts=False)
def database_deadlocks(scene):
    """Two evaluators on the same alarms; then one more who locks backwards.

    They lock in one order, so that it takes somebody else for a deadlock.
    """
    alarms = [scene.alarm(None, repeat_actions=True, event_rule=_FAILED)
              for _ in range(10)]
    scene.cloud.start('evaluator', 'another')
    scene.until(lambda: 'listens' in scene.cloud.log('another'), 60)
    before = _deadlocks(scene)
    try:
        _fail(scene, alarms, 50)
        alone = _deadlocks(scene) - before
        hit = _with_saboteur(scene, alarms)
    finally:
        scene.cloud.stop('another')
        del scene.cloud.processes['another']
        for alarm_id in alarms:
            scene.api('DELETE', '/v2/alarms/%s' % alarm_id)
    scene.about = '%d deadlocks between evaluators, %d with another' % (
        alone, hit)
    assert hit > 0, 'no evaluator was in a deadlock'


def _with_saboteur(scene, alarms):
    """Return how many deadlocks hit us."""
    saboteur = _Saboteur(scene, sorted(alarms))
    saboteur.start()
    try:
        _fail(scene, alarms, 40)
        # A short burst may have been committed between two of its attempts.
        for _ in range(60):
            if saboteur.hit:
                break
            _fail(scene, alarms, 1)
    finally:
        saboteur.stop()
    return saboteur.hit


def _fail(scene, alarms, events):
    """Let servers fail, and wait until all is told."""
    for alarm_id in alarms:
        scene.expected[alarm_id] += ['alarm'] * events
    for _ in range(events):
        scene.tell(scene.server(), 'error')
    scene.sent_at = time.time()
    scene.until(lambda: not scene.missing())


#: Every server's failure hits the alarm.
_FAILED = {'event_type': 'compute.instance.update', 'query': [
    {'field': 'traits.state', 'op': 'eq', 'value': 'error'}]}


class _Saboteur(threading.Thread):
    """Locks alarms in the wrong order.

    The database ends the transaction that changed less; so this one changes
    much, in a table of its own.

    :ivar hit: deadlocks that ended somebody else's transaction
    """

    def __init__(self, scene, alarms):
        super().__init__(daemon=True)
        self._scene, self._alarms = scene, alarms
        self._engine = scene.cloud.storage.db.engine
        self._over = threading.Event()
        self._own = 0
        self._before = _deadlocks(scene)
        with self._engine.begin() as conn:
            conn.exec_driver_sql('DROP TABLE IF EXISTS ballast')
            conn.exec_driver_sql('CREATE TABLE ballast (number INT)')

    @property
    def hit(self):
        return _deadlocks(self._scene) - self._before - self._own

    def run(self):
        while not self._over.wait(0.02):
            with self._engine.connect() as conn:
                try:
                    self._lock(conn)
                except db_exc.DBDeadlock:
                    self._own += 1
                conn.rollback()

    def _lock(self, conn):
        if not self._scene.is_mariadb:
            # There it ends the transaction that notices it first.
            conn.execute(sa.text("SET LOCAL deadlock_timeout = '30s'"))
        conn.execute(sa.text('INSERT INTO ballast VALUES (:number)'),
                     [{'number': number} for number in range(1000)])
        for alarm_id in reversed(self._alarms):
            conn.execute(sa.text(
                'SELECT id FROM alarm WHERE id = :id FOR UPDATE'),
                {'id': alarm_id})

    def stop(self):
        self._over.set()
        self.join()


def _deadlocks(scene):
    database = scene.cloud.database
    if scene.is_mariadb:
        return int(database.execute(
            "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1])
    return int(database.execute(
        'SELECT sum(deadlocks) FROM pg_stat_database')[0][0])
