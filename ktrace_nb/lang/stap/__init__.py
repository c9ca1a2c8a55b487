"""The SystemTap language.

``lexer``, ``macros`` (the preprocessor) and ``parser`` make a :mod:`tree` of a
script, ``library`` finds aliases and functions of the tapset in ``tapset/``,
``points`` and ``variables`` resolve probe points and ``$variables`` against a
kernel's facts, and ``lower`` makes the :class:`~ktrace_nb.ir.script.Script` of it.
"""
