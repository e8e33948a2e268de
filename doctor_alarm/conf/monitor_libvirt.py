# SPDX-License-Identifier: Apache-2.0
"""Options of the monitor that listens to libvirt."""
from oslo_config import cfg

GROUP = 'monitor_libvirt'
OPTS = [
    cfg.StrOpt('uri', default='qemu:///system', help="""
What libvirt to listen to. Change it for another hypervisor or for one on
another host.
"""),
    cfg.StrOpt('host', default='', help="""
Name of this host in the events, the one that nova knows (os-services). Empty:
the name that the host has.
"""),
    cfg.ListOpt('faults', default=['crashed', 'failed'],
                item_type=cfg.types.String(choices=[
                    'shutdown', 'destroyed', 'crashed', 'failed']),
                help="""
Ends of a server that are faults: its guest crashed, its process failed. Nova
itself stops servers with shutdown and destroyed. Add those only where servers
are never stopped on purpose.
"""),
    cfg.FloatOpt('hold_down', default=30.0, min=0.0, help="""
Seconds in which the same fault of a server is not reported again.
"""),
    cfg.IntOpt('keepalive_interval', default=5, min=1, help="""
Seconds of silence after which a remote libvirt is asked whether it is still
there. After three without an answer the monitor connects anew.
"""),
    cfg.FloatOpt('retry_max', default=10.0, min=0.1, help="""
Longest pause between two attempts to connect to libvirt, in seconds.
"""),
]
