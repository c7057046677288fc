"""between.py: who stands between two real agents, in clear, knows their token, and tells one lie: changes, leaves out, repeats or adds
one message of an otherwise real move, under right checksums, numbers and proofs. For lies.py.

It renumbers frames and acknowledgements around what was added or left out, so that nothing but the lie is wrong.
"""
import json
import socket
import struct
import threading

import frames
import wire

HERE = "127.0.0.2"
UNNUMBERED = {"HELLO", "PROOF", "RESUME", "ACK", "ERROR"}


class Lie:
    """at: "control up", "data down" (up: from the source); key: wire.key of the message, or its name alone; nth of them. what(between,
    kind, payload) gives the messages that go on in its place, [(kind, payload)], with a third member for what is wrong with the header.
    Where that is the truth, the next one that fits is taken."""

    def __init__(self, at, key, what, nth=1):
        self.at, self.key, self.what, self.nth = at, key, what, nth

    def fits(self, at, key):
        return at == self.at and (self.key in ("*", key) or self.key == key.split(":")[0])


class Numbers:
    """Of one direction of a channel: as the sender has them, and as the receiver does."""

    def __init__(self):
        self.said, self.of_sender = 0, {0: 0}

    def passes(self, theirs):
        self.said += 1
        self.of_sender[self.said] = theirs
        return self.said

    def is_added(self):
        self.said += 1
        self.of_sender[self.said] = self.of_sender[self.said - 1]
        return self.said

    def is_left_out(self, theirs):
        self.of_sender[self.said] = theirs

    def acked(self, number):
        return self.of_sender.get(number, number)


class Between:
    def __init__(self, token, lie=None):
        self.token, self.lie, self.seen, self.done = token, lie, 0, False
        self.lock, self.sockets, self.threads, self.dead = threading.Lock(), [], [], False
        self.attempt, self.templates, self.numbers = None, {}, {}
        self.changed = set() # channels whose numbers are not the agents' own: not to be resumed

    # ---- the lie ----

    def pass_on(self, at, kind, payload):
        key = wire.key(kind, payload)
        self.templates.setdefault((at, key), (kind, payload))
        if wire.NAMES.get(kind) == "DESCRIBE" and at == "control up":
            self.attempt = payload[:16]
        with self.lock:
            if not self.lie or self.done or not self.lie.fits(at, key):
                return [(kind, payload)]
            self.seen += 1
            if self.seen < self.lie.nth:
                return [(kind, payload)]
            out = self.lie.what(self, kind, payload)
            self.done = out != [(kind, payload)]
        return out

    # ---- a connection ----

    def shake_hands(self, client, server):
        """The source's HELLO, or None."""
        found = frames.read_frame(client)
        if found is None:
            return None
        _, kind, payload = found
        mine = frames.Hello(payload)
        where = "data" if mine.channel else "control"
        out = self.pass_on(where + " up", kind, payload)
        for one in out:
            server.sendall(one if isinstance(one, bytes) else frames.frame(*one))
        theirs_saw = self.hello_of(out, mine)
        found = frames.read_frame(server)
        if found is None or found[1] != frames.HELLO:
            client.sendall(found[0] if found else b"")
            return None
        theirs = frames.Hello(found[2])
        told = wire.decode(frames.HELLO, found[2])
        told["proof"] = frames.proof("destination", self.token, mine, theirs)
        out = self.pass_on(where + " down", frames.HELLO, wire.encode(frames.HELLO, told))
        out = [one if isinstance(one, bytes) else (one[0], self.proved_again(one[1], mine, told["proof"])) for one in out]
        for one in out:
            client.sendall(one if isinstance(one, bytes) else frames.frame(*one))
        found = frames.read_frame(client)
        if found is None:
            return None
        proof = frames.proof("source", self.token, theirs_saw, theirs) if theirs_saw else found[2]
        out = [found[0]] if found[1] != frames.PROOF else self.pass_on(where + " up", frames.PROOF, proof)
        for one in out:
            server.sendall(one if isinstance(one, bytes) else frames.frame(*one))
        return mine if found[1] == frames.PROOF else None

    @staticmethod
    def hello_of(out, mine):
        for one in out:
            if not isinstance(one, bytes) and one[0] == frames.HELLO:
                return frames.Hello(one[1])
        return None

    def proved_again(self, payload, mine, before):
        """A HELLO of the destination that says something else is no forgery: its proof is of what it says."""
        said = wire.decode(frames.HELLO, payload)
        if said["proof"] == before:
            said["proof"] = frames.proof("destination", self.token, mine, frames.Hello(payload))
        return wire.encode(frames.HELLO, said)

    def frame_for(self, channel, direction, one, theirs):
        """theirs: the number that it had, None for what is added."""
        if isinstance(one, bytes):
            return one
        kind, payload, *wrong = one
        numbers = self.numbers[channel, direction]
        other = self.numbers[channel, "down" if direction == "up" else "up"]
        number = 0
        if wire.NAMES.get(kind) == "ACK" and theirs is not None and len(payload) == 8:
            payload = struct.pack("<Q", other.acked(struct.unpack("<Q", payload)[0]))
        elif wire.NAMES.get(kind) not in UNNUMBERED:
            number = numbers.is_added() if theirs is None else numbers.passes(theirs)
        head = {"type": kind, "flags": 0, "channel": channel, "sequence": number, "length": len(payload)}
        head.update(*wrong)
        return frames.sealed(frames.HEADER.pack(*head.values(), 0) + payload)

    def carry(self, source, sink, channel, direction):
        at = ("data " if channel else "control ") + direction
        try:
            while (found := frames.read_frame(source)) is not None:
                raw, kind, payload = found
                theirs = frames.HEADER.unpack(raw[:frames.HEADER.size])[3]
                if wire.NAMES.get(kind) == "RESUME": # the agents' own numbers
                    sink.sendall(raw)
                    continue
                if wire.NAMES.get(kind) == "ACCEPT" and at == "control down":
                    self.announce(json.loads(payload[16:]).get("resume_port"))
                out = self.pass_on(at, kind, payload)
                if len(out) != 1:
                    self.changed.add(channel)
                if not out and theirs:
                    self.numbers[channel, direction].is_left_out(theirs)
                same = [i for i, one in enumerate(out) if not isinstance(one, bytes) and one[0] == kind]
                for i, one in enumerate(out):
                    own = theirs if i == (same[0] if same else 0) else None
                    sink.sendall(self.frame_for(channel, direction, one, own))
        except (OSError, KeyError):
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve_one(self, client, server):
        try:
            hello = self.shake_hands(client, server)
            if hello is None or (hello.generation and hello.channel in self.changed):
                raise OSError
            channel = hello.channel
        except (OSError, struct.error, IndexError):
            for sock in (client, server):
                sock.close()
            return
        for direction in ("up", "down"):
            if not hello.generation: # the link has a session of its own
                self.numbers[channel, direction] = Numbers()
        self.changed -= set() if hello.generation else {channel}
        self.thread(self.carry, client, server, channel, "up")
        self.thread(self.carry, server, client, channel, "down")

    # ---- listening ----

    def thread(self, what, *args):
        threading.Thread(target=what, args=args, daemon=True).start()

    def accept(self, listener, target):
        while not self.dead:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(target)
            except OSError:
                client.close()
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sockets.append(sock)
            self.thread(self.serve_one, client, server)

    def listen(self, port, target):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HERE, port))
        listener.listen(64)
        self.sockets.append(listener)
        self.thread(self.accept, listener, target)
        return f"{HERE}:{listener.getsockname()[1]}"

    def announce(self, port):
        if port:
            try:
                self.listen(port, (self.target[0], port))
            except OSError: # the port was announced before
                pass

    def begin(self, address):
        """The address to be used in place of that one."""
        host, _, port = address.rpartition(":")
        self.target = host, int(port)
        return self.listen(0, self.target)

    def end(self):
        self.dead = True
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
