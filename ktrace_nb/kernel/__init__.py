"""What one kernel offers: types, symbols, tracepoints, system calls, configuration.

Facts arrive as bytes or text, from wherever they were read; everything here
parses and answers. Nothing here looks at a running kernel.
"""
