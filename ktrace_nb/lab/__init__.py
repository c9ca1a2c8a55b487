"""The lab: a small virtual machine whose kernel is there to be traced, and broken.

``build`` makes an image from the distribution's own signed packages, without
privilege. ``machine`` boots it, or resumes it from a snapshot in a fraction of
a second. What a session does to it is gone when the machine stops.

This package knows ``wire``, ``agent.package``, ``errors`` and ``progress``;
notebooks, languages and frames it does not know.
"""
