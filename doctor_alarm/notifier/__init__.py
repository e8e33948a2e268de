# SPDX-License-Identifier: Apache-2.0
"""Third stage: deliveries go out through plugins, in order, until they land.

The way of a delivery, in the order of the modules::

    service     the bus: a wake-up arrives
    dispatcher  the thread in which the loop runs; takes wake-ups
    lanes       the loop: load -> wait for a turn -> attempt -> commit -> next
    held        lanes that this process has leases of
    sweeper     when to look for lanes that nobody works on
    loading     a lease becomes a lane whose first deliveries are known
    stale       what is dropped because something newer waits behind it
    calling     the lane waits for its turn, and is called
    receivers   who may be called now
    turns       projects one after the other, then the receivers of each
    bodies      of the events, when they are about to be sent
    attempt     a row becomes a delivery, a plugin's call an outcome
    plugins     the call, by the scheme of the URL
    retry       what an outcome means for delivery and lane
    committing  outcomes, and lanes given back, are stored in groups
    ledger      the database side of loading, committing and sweeping
    threads     in which the ledger works
    naming      of what a line of the log is about
"""
