"""The visitor: a process of its own that sends requests and times the answers.

It reads one JSON object a line and answers with one. Pages are asked for over one connection that
stays open, in turn with the bare view over another, so that a busy machine slows both alike.
"""

import http.client
import json
import re
import socket
import statistics
import sys
import time
from urllib.parse import urlencode

from tests.server import person

from .processes import cpu

MOST = 4000  # requests of one round
WARM_UP = 25


class Connection:
    """HTTP/1.1 over one socket, with little work of its own to disturb the measurement."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request):
        """Send bytes; returns (status, head, body) when all of the answer has come."""
        self.socket.sendall(request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        head, body = received[:end].lower(), received[end + 4 :]
        status = int(head[9:12])
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        if length:
            while len(body) < int(length.group(1)):
                body += self._more()
        elif b"\r\ntransfer-encoding: chunked" in head:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
        return status, head, body

    def _more(self):
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def close(self):
        self.socket.close()


def request_for(path, headers=None):
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Accept-Encoding: br, gzip"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _timed(connection, request, status, seconds, most=MOST):
    """Milliseconds of as many answers as fit into ``seconds``."""
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < most:
        began = time.perf_counter()
        found, _head, _body = connection.ask(request)
        now = time.perf_counter()
        if found != status:
            raise AssertionError(f"status {found} instead of {status}")
        taken.append((now - began) * 1000)
        if now > end:
            break
    return taken


def _summary(taken, bare, ratios, used):
    ordered = sorted(taken)
    return {
        "n": len(taken),
        "p50": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "rate": 1000 * len(taken) / sum(taken),
        "bare": statistics.median(bare),
        "ratio": statistics.median(ratios),
        "cpu": None if None in used else sum(used) / len(taken),
    }


def _spent(before, after):
    return None if before is None else after - before


def measure(*, port, path, bare_port, pids, database, headers=None, status=200, seconds, rounds=4):
    """Time one page; ``ratio`` is the median over rounds of the bare view's median to the page's.

    ``cpu`` is what one answer costs the processes ``pids``, their children and the database.
    """
    page, bare = Connection(port), Connection(bare_port)
    request, nothing = request_for(path, headers), request_for("/ok")
    _timed(page, request, status, 0.5, WARM_UP)
    _timed(bare, nothing, 200, 0.5, WARM_UP)
    taken, limit, ratios, used = [], [], [], []
    for _ in range(rounds):
        limit_now = _timed(bare, nothing, 200, seconds / rounds / 3)
        before = cpu(pids, database)
        now = _timed(page, request, status, seconds / rounds)
        used.append(_spent(before, cpu(pids, database)))
        ratios.append(statistics.median(limit_now) / statistics.median(now))
        taken += now
        limit += limit_now
    page.close()
    bare.close()
    return _summary(taken, limit, ratios, used)


class Patient:
    """Somebody who books without JavaScript, over a connection of their own that stays open."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookies, self.text, self.took = {}, "", 0

    def get(self, path):
        return self._send("GET", path, None, {})

    def post(self, path, **answers):
        """Post a form with the token of the page seen last; returns (status, location)."""
        body = urlencode({"csrfmiddlewaretoken": self.hidden("csrfmiddlewaretoken")} | answers)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", path, body, kind)

    def hidden(self, name):
        return re.search(rf'name="{name}"\s+value="([^"]*)"', self.text).group(1)

    def _send(self, method, path, body, headers):
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        began = time.perf_counter()
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        self.text = response.read().decode()
        self.took = (time.perf_counter() - began) * 1000
        for line in response.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response.status, response.headers.get("Location", "")

    def go_through(self, number, start):
        """Every step in turn, up to the page with everything once more."""
        self.get("/book/")
        self.post("/book/", condition="other", visit_type="in_person")
        self.get("/book/signs/")
        self.post("/book/signs/", signs="none")
        self.get("/book/time/")
        self.post("/book/time/", start=start, practitioner="")
        self.get("/book/details/")
        self.post("/book/details/", **person(number))
        self.get("/book/check/")

    def decide(self):
        return self.post("/book/check/", key=self.hidden("key"))


def book(*, port, bare_port, pids, database, starts, first):
    """Book each start from the first step to the last; times the press that decides."""
    bare, nothing = Connection(bare_port), request_for("/ok")
    decided, whole, limit, ratios, used = [], [], [], [], []
    for number, start in enumerate(starts, start=first):
        limit_now = _timed(bare, nothing, 200, 0.02)
        patient = Patient(port)
        began = time.perf_counter()
        patient.go_through(number, start)
        on_the_way = time.perf_counter() - began
        before = cpu(pids, database)
        status, location = patient.decide()
        decided.append(patient.took)
        used.append(_spent(before, cpu(pids, database)))
        if status != 302 or not location.endswith("/book/done/"):
            raise AssertionError(f"the booking ended with status {status} {location}")
        patient.get(location)
        whole.append(on_the_way * 1000 + decided[-1] + patient.took)
        patient.connection.close()
        limit += limit_now
        ratios.append(statistics.median(limit_now) / decided[-1])
    bare.close()
    return _summary(decided, limit, ratios, used) | {"whole": statistics.median(whole)}


def mix(*, port, requests, count, each):
    """Send ``count`` requests in turn, a new connection every ``each``, so all processes get some."""
    prepared = [request_for(path, headers) for path, headers in requests]
    began = time.perf_counter()
    for number in range(count):
        if number % each == 0:
            connection = Connection(port)
        status, _head, _body = connection.ask(prepared[number % len(prepared)])
        if status >= 400:
            raise AssertionError(f"status {status}")
        if number % each == each - 1:
            connection.close()
    return {"rate": count / (time.perf_counter() - began)}


JOBS = {"measure": measure, "book": book, "mix": mix}


def main():
    for line in sys.stdin:
        job = json.loads(line)
        try:
            result = JOBS[job.pop("job")](**job)
        except Exception as error:  # the run notes it in its table and asks for the next thing
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
