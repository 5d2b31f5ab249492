#!/usr/bin/env python3
"""Runs a program as a person at a terminal does.

  at_terminal.py PROGRAM [ARGUMENT...] <DIALOGUE

Each line of DIALOGUE is what to wait for, a tab, and what to type then. Prints all that the terminal
showed, and ends as the program did; with 124 if that was waited for in vain until the program's end."""

import os
import pty
import sys


class Terminal:
    def __init__(self, command):
        self.child, self.end = pty.fork()
        if self.child == 0:
            os.execvp(command[0], command)
        self.said = b""  # since what was waited for last
        self.shown = b""  # before

    def read(self):
        """False at the end."""
        try:
            more = os.read(self.end, 4096)
        except OSError:
            more = b""
        self.said += more
        return bool(more)

    def until(self, what):
        while what not in self.said:
            if not self.read():
                return False
        before, found, self.said = self.said.partition(what)
        self.shown += before + found
        return True


def main():
    # Before the fork: the child has the terminal for its input.
    lines = [line.rstrip("\n").split("\t") for line in sys.stdin]
    terminal = Terminal(sys.argv[1:])
    in_vain = False
    for prompt, answer in lines:
        if not terminal.until(prompt.encode()):
            in_vain = True
            break
        os.write(terminal.end, answer.encode() + b"\n")
    while terminal.read():
        pass
    sys.stdout.buffer.write(terminal.shown + terminal.said)
    sys.stdout.flush()
    status = os.waitstatus_to_exitcode(os.waitpid(terminal.child, 0)[1])
    sys.exit(124 if in_vain else status if status >= 0 else 128 - status)


main()
