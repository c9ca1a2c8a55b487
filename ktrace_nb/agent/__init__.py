"""The agent: what runs beside the kernel that is traced.

Standard library only, Python 3.9 and later, no LLVM, no headers. It creates
the maps and loads the programs a notebook compiled, attaches them, and hands
back map snapshots and ring spans. Every BPF object is held by a descriptor of
this process: when the connection ends, or the process dies, all of it is gone.
"""
