#!/usr/bin/env python3
"""thief.py FILE: took the port of a vmferry-dst, and answers whoever comes as that would, but for the proof, which it does not
have: the first one gets another, the next one none, and so on. What is said to it goes to FILE. Prints its address."""
import itertools
import os
import socket
import sys

import frames

with socket.create_server(("127.0.0.1", 0)) as listener, open(sys.argv[1], "wb", buffering=0) as file:
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    for proof in itertools.cycle((os.urandom(32), b"")):
        sock, _ = listener.accept()
        with sock:
            raw, _, payload = frames.read_frame(sock)
            file.write(raw)
            theirs = frames.Hello(payload)
            sock.sendall(frames.hello(software="vmferry-dst", session=theirs.session, proof=proof))
            while data := sock.recv(65536):
                file.write(data)
