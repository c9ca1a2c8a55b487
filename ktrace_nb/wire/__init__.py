"""What travels between the notebook, the compiler worker and the agent.

Standard library only, Python 3.9 and later: both far ends run under whatever
``python3`` they find.
"""
