# SPDX-License-Identifier: Apache-2.0
"""Figures as tables, JSON and a plot.

    python benchmarks/report.py FIGURES.json PLOT.png

draws the plot again of what compare.py or soak.py has written; several files
of compare.py are one plot.
"""

import argparse
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


def _pyplot():
    try:
        import matplotlib
    except ImportError:
        print('No plot: matplotlib is not installed')
        return None
    matplotlib.use('Agg')
    from matplotlib import pyplot
    return pyplot


def panels(found, path, **axes_settings):
    """Draw panels beside each other.

    :param found: title -> label -> [(x, y)]
    """
    pyplot = _pyplot()
    if pyplot is None:
        return
    figure, several = pyplot.subplots(
        1, len(found), figsize=(5 * len(found), 4))
    for axes, (title, lines) in zip(several, found.items(), strict=True):
        for label, points in lines.items():
            if points:
                axes.plot(*zip(*points, strict=True), label=label,
                          marker='o' if len(points) < 20 else '')
        axes.set(title=title, **axes_settings)
        axes.grid(True, which='major', alpha=0.3)
        axes.legend(fontsize='small')
    figure.tight_layout()
    figure.savefig(path)


def plot(cells, path):
    """Draw call-backs/s and latency over the number of alarms."""
    rates, waits = {}, {}
    for label, points in _lines(cells).items():
        rates[label] = [(n, f['callbacks']['per_s']) for n, f in points
                        if f.get('callbacks')]
        waits[label] = [(n, quantiles(f['latencies'])[0]) for n, f in points
                        if f.get('latencies')]
    panels({'call-backs per second': rates, 'latency p50, ms': waits}, path,
           xscale='log', yscale='log', xlabel='alarms')


def soak_plot(figures, path):
    """Draw memory, descriptors and rows over the minutes of a soak."""
    samples = figures['samples']

    def lines(kind, value):
        return {name: [(sample['second'] / 60, value(sample[kind][name]))
                       for sample in samples if name in sample[kind]]
                for name in samples[0][kind]}
    rows = lines('tables', lambda count: count)
    panels({
        'RSS, MB': lines('processes', lambda one: one['MB']),
        'file descriptors': lines(
            'processes', lambda one: one['descriptors']),
        'rows, thousands': {
            name: [(minute, count / 1e3) for minute, count in points]
            for name, points in rows.items()
            if max(count for _minute, count in points)},
    }, path, xlabel='minutes', ylim=(0, None))


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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('figures', nargs='+', help='files of JSON')
    parser.add_argument('plot', help='file for the plot')
    options = parser.parse_args()
    found = []
    for name in options.figures:
        with open(name) as source:
            found.append(json.load(source))
    if 'samples' in found[0]:
        soak_plot(found[0], options.plot)
    else:
        plot([cell for figures in found for cell in figures['cells']],
             options.plot)


if __name__ == '__main__':
    main()
