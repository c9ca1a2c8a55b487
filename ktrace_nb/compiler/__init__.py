"""C to bytecode, beside the notebook and without privilege.

``client`` and ``cache`` run in the notebook's process; ``worker``, ``libbcc``
and ``plt`` run in a long-lived process of the system's own Python, the only
one that loads bcc.
"""
