"""Attacks on a running gateway beside well-behaved chargers, which must not notice (docs/contract.md 2.2).

``catalogue`` lists the attacks; ``run`` measures one of them; ``target`` is the gateway with its nats-server,
``crowd`` the well-behaved chargers. ``driver`` is the process of an attacker; what it does is in ``floods``,
``trickles``, ``dials``, ``frame_abuse``, ``requests`` and ``messages``.
"""
