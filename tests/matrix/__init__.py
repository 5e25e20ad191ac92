"""Every public call, in every mode, under every fault that a network, a bridge or a farmer can have.

`calls.py` is the table of the calls, `faults_of_*.py` are the tables of the faults, `expected.py` says what is
documented for each of them, `modes.py` makes a call in each mode, and `watch.py` sees what it leaves behind.
"""
