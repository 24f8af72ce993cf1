"""The queues that workers serve: what waits on them, who takes it, and the document that says so."""
