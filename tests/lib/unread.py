#!/usr/bin/env python3
"""unread.py pty|background|pipe|closed OUTPUT COMMAND...: runs COMMAND with an output that nobody reads and that is full from the start
(closed: whose reader is gone). With pty it is the command's controlling terminal, and Ctrl-Z is pressed; with background, another
program has that, and who writes to it is stopped (stty tostop). Says the command's pid; what comes
after a line on standard input is read into the file OUTPUT. Exits as the command does."""
import fcntl, os, pty, signal, sys, termios, tty

kind, output, command = sys.argv[1], sys.argv[2], sys.argv[3:]
terminal = kind in ("pty", "background")
ours, theirs = pty.openpty() if terminal else os.pipe()
if terminal:
    tty.setraw(theirs)
    attributes = termios.tcgetattr(theirs)
    attributes[3] |= termios.ISIG | (termios.TOSTOP if kind == "background" else 0)
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    filler = os.open(os.ttyname(theirs), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
else:
    filler = os.open(f"/proc/self/fd/{theirs}", os.O_WRONLY | os.O_NONBLOCK)
if kind == "closed":
    os.close(ours)
else:
    try:
        while True:
            os.write(filler, b"\n" * 64)
    except BlockingIOError:
        pass
os.close(filler)

# A shell of sorts leads the terminal's session, as Ctrl-Z stops nobody whose parent is not there to take note.
shell = os.fork()
if not shell:
    os.setsid()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        if kind == "pty":
            os.tcsetpgrp(theirs, os.getpid())
        if terminal:
            os.dup2(theirs, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.dup2(theirs, 1)
        os.dup2(theirs, 2)
        os.execvp(command[0], command)
    os.close(theirs)
    print(child, flush=True)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os.close(theirs)
while True:
    word = sys.stdin.readline()
    if word != "ctrl-z\n":
        break
    os.write(ours, b"\x1a")
if word and kind != "closed":
    with open(output, "wb") as to:
        while True:
            try:
                text = os.read(ours, 65536)
            except OSError: # the terminal's last user is gone
                break
            if not text:
                break
            to.write(text)
            to.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]))
