"""Workers of the Oasis Platform, unchanged: what is different where they serve a model's queue, and nothing else.

A step is theirs where its queue is (``served``). Dispatch then sends the platform's own message in place of a doorbell
(``messages``), with links of ours that bring back the result and a signed token of step and fence (``tokens``). They
never claim: the engine claims for them at their first sign of life, and commits or fails with the fence of the token
(``answers``), so whatever comes twice, late or for another's step is refused like any worker's. The files that a
result names become the attempt's own (``references``, ``results``). As they send no heartbeats, they are asked
(``roll_call``).
"""
