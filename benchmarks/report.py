# SPDX-License-Identifier: Apache-2.0
"""Figures as tables, JSON and a plot."""

import json
import os
import platform
import statistics
import sys
import time


def about(options):
    """Return where and how the figures were made."""
    return {'options': vars(options), 'cores': os.cpu_count(),
            'machine': platform.machine(), 'python': platform.python_version(),
            'at': time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime()),
            'load_average': os.getloadavg()}


def write(path, figures):
    """Write the figures as JSON."""
    with open(path, 'w') as target:
        json.dump(figures, target, indent=1)
        target.write('\n')


def table(rows, heads, out=sys.stdout):
    """Print rows below heads; numbers to the right."""
    lines = [heads, *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    rule = '  '.join('=' * width for width in widths)
    print(rule, file=out)
    for number, line in enumerate(lines):
        print('  '.join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(
                line, widths, strict=True))).rstrip(), file=out)
        if number == 0:
            print(rule, file=out)
    print(rule, file=out)


def _text(cell):
    if cell is None:
        return '-'
    if isinstance(cell, float):
        return ('%.0f' if cell >= 100 else '%.1f' if cell >= 10 else
                '%.2f') % cell
    return f'{cell:,}' if isinstance(cell, int) else str(cell)


def quantiles(values):
    """Return median, 95th and 99th percentile."""
    if not values:
        return None, None, None
    ordered = sorted(values)
    return (statistics.median(ordered), *(
        ordered[min(len(ordered) - 1, int(len(ordered) * share))]
        for share in (0.95, 0.99)))


def comparison(cells):
    """Print what :mod:`compare` found, one table per question."""
    rows = []
    for cell in cells:
        ours, aodh = cell['doctor_alarm'], cell.get('aodh') or {}
        rows.append([cell['variant'], cell['alarms'], *(
            value for kind in ('callbacks', 'drained')
            for value in _pair(aodh.get(kind), ours.get(kind)))])
    print('Call-backs/s and drained events/s, medians')
    table(rows, ['Aodh', 'alarms', 'c/s Aodh', 'c/s ours', 'ratio',
                 'e/s Aodh', 'e/s ours', 'ratio'])
    print('\nLatency in ms')
    table([[cell['variant'], cell['alarms'], *(
        value for name in ('aodh', 'doctor_alarm')
        for value in quantiles((cell.get(name) or {}).get('latencies', [])))]
        for cell in cells],
        ['Aodh', 'alarms', 'Aodh p50', 'p95', 'p99', 'ours p50', 'p95',
         'p99'])
    print('\nCPU per event in ms, RSS in MB, load average of the machine')
    for kind in ('callbacks', 'drained'):
        table([_cpu_row(cell, name, kind)
               for cell in cells for name in ('aodh', 'doctor_alarm')
               if (cell.get(name) or {}).get(kind)],
              [kind, 'alarms', 'eval', 'notify', 'broker', 'db', 'recv',
               'all', 'RSS eval', 'RSS notify', 'load'])


def _pair(aodh, ours):
    theirs = aodh['per_s'] if aodh else None
    mine = ours['per_s'] if ours else None
    return theirs, mine, mine / theirs if mine and theirs else None


def _cpu_row(cell, name, kind):
    figures = cell[name]
    cpu = dict(figures[kind]['cpu_ms'])
    memory = list(figures.get('memory', {}).values()) or [None, None]
    order = ('evaluator', 'aodh-listener'), ('notifier', 'aodh-notifier'), (
        'rabbitmq',), ('mariadb', 'postgresql'), ('receiver',)
    parts = [sum(cpu.get(key, 0.0) for key in keys) for keys in order]
    who = 'Aodh' if name == 'aodh' else 'ours'
    return ['%s, %s' % (who, cell['variant']), cell['alarms'], *parts,
            sum(parts), *memory, figures[kind]['load']]


def plot(cells, path):
    """Draw call-backs/s and latency over the number of alarms."""
    try:
        import matplotlib
    except ImportError:
        print('No plot: matplotlib is not installed')
        return
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    for label, points in _lines(cells).items():
        rates = [(n, f['callbacks']['per_s']) for n, f in points
                 if f.get('callbacks')]
        waits = [(n, quantiles(f['latencies'])[0]) for n, f in points
                 if f.get('latencies')]
        for axes, found in ((left, rates), (right, waits)):
            if found:
                axes.plot(*zip(*found, strict=True), marker='o', label=label)
    for axes, title in ((left, 'call-backs per second'),
                        (right, 'latency p50, ms')):
        axes.set(xscale='log', yscale='log', xlabel='alarms', title=title)
        axes.grid(True, which='major', alpha=0.3)
    left.legend()
    figure.tight_layout()
    figure.savefig(path)


def _lines(cells):
    lines = {}
    for cell in cells:
        if cell.get('aodh'):
            lines.setdefault('Aodh, %s' % cell['variant'], []).append(
                (cell['alarms'], cell['aodh']))
    ours = {}
    for cell in cells:
        ours.setdefault(cell['alarms'], []).append(cell['doctor_alarm'])
    # The same service each time, beside another variant.
    lines['doctor_alarm'] = [(alarms, {
        'callbacks': {'per_s': statistics.median(
            found['callbacks']['per_s'] for found in several)},
        'latencies': [value for found in several
                      for value in found['latencies']],
    }) for alarms, several in sorted(ours.items())]
    return lines
