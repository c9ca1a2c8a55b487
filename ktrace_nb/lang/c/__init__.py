"""C as bcc takes it.

The compiler of this language is bcc's own; what happens here is only what bcc
leaves to the Python program around it: which function goes to which probe,
which tables are histograms, which structure an event carries.
"""
