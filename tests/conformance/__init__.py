"""How much of the SystemTap language works here: its own examples, stage by stage.

``./run conformance`` (or ``python -m tests.conformance``) writes ``docs/conformance.md``.
The examples are those of Debian's ``systemtap-doc``, read where the package puts
them; none of them is in this repository.
"""
