"""What can be configured: every name, where its value comes from, and what is done with it.

``sources`` resolves a name; ``server`` and ``worker`` are the typed settings; ``unused`` lists the names of the
reference platform that nothing here reads, with the reason; ``report`` says what is in effect and what nobody reads.
"""
