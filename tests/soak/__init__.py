"""Damaged files through the commands, by the thousand: ``python -m tests.soak --minutes 60``.

Each case is one command line over files of which one or two are damaged, made from its seed and number alone, in a process and a folder of
its own. What no command may do, whatever it is given, is in :mod:`tests.soak.judge`.
"""
