#!/usr/bin/env python3
"""typing.py ANSWER... -- COMMAND...: runs COMMAND at a terminal of its own and types one ANSWER for each question.

A question is something that ends with ": ". What it says goes to stdout; the exit status is the command's. An ANSWER
"^C" is that key. An answer that is echoed fails the test (status 98), as does a question without an answer (97).
"""
import os
import pty
import select
import sys
import time

split = sys.argv.index("--")
answers, command = sys.argv[1:split], sys.argv[split + 1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
said, seen, deadline, verdict = b"", 0, time.monotonic() + 60, None
while time.monotonic() < deadline:
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    if said[seen:].endswith(b": "):
        seen = len(said)
        if not answers:
            verdict = 97
            break
        answer = answers.pop(0)
        os.write(terminal, b"\x03" if answer == "^C" else answer.encode() + b"\n")
if verdict:
    os.close(terminal)
sys.stdout.write(said.decode(errors="replace"))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if any(secret.encode() in said for secret in sys.argv[1:split] if secret and secret != "^C"):
    verdict = 98
sys.exit(verdict or status)
