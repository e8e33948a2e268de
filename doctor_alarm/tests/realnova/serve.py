# SPDX-License-Identifier: Apache-2.0
"""Run a part of the deployment in the environment of nova.

    serve.py command MODULE PROGRAM [ARGUMENT ...]    MODULE.main()
    serve.py wsgi MODULE HOST PORT                    MODULE.application

The environment's own scripts do not work: it was renamed after they were
written. This file runs there, without doctor_alarm.
"""

import importlib
import sys


def command(module, program, *arguments):
    sys.argv = [program, *arguments]    # nova takes the name of the service
    return importlib.import_module(module).main()


def wsgi(module, host, port):
    # nova and keystone read the arguments while they are imported.
    sys.argv = [module]
    application = importlib.import_module(module).application
    # Only now: nova patches the standard library, or not, when imported.
    from cheroot import wsgi as cheroot
    server = cheroot.Server((host, int(port)), application, numthreads=8,
                            request_queue_size=128)
    try:
        server.start()
    except (KeyboardInterrupt, SystemExit):
        server.stop()


if __name__ == '__main__':
    kind, *rest = sys.argv[1:]
    sys.exit({'command': command, 'wsgi': wsgi}[kind](*rest))
