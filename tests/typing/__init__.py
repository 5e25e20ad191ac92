"""Small programs that type checkers must accept, or refuse: `test_programs.py` asks them."""
