"""The engine: how a run survives anything.

Everything that is true about a run stands in the tables of ``models``; messages only say "look". A verb is a module:

=================  ====================================================================================
``submission``     a run is accepted (one transaction, no message needed)
``planning``       the task controller turns it into steps: chunk counts, canvas, rows, reuse
``dispatch``       ready steps are rung for on their queues; lost doorbells are rung again
``claims``         a worker takes a step, keeps its lease alive, hands it back
``commit``         a step's outputs become facts, once
``failure``        an attempt failed: again, or the end of the run
``recording``      the worker monitor's sub-tasks: results become files of the analysis
``cancellation``   a run ends because somebody wants it to
``reaping``        leases that ran out
``artefacts``      what runs leave in storage, and when it goes
``stock``          the same for workers of the Oasis Platform
=================  ====================================================================================

``steps.move`` is the only place that changes a step's state, ``lifecycle`` the only one that changes a run's;
``projection`` is how the features above learn of it, inside the same transaction.
"""
