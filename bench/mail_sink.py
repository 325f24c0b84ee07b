"""A mail server in a process of its own that takes everything and counts it.

It prints its port, then answers each line of its standard input with one JSON object.
"""

import json
import re
import sys
import time

from aiosmtpd.controller import Controller

from tests.server import free_port

MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)


class Sink:
    def __init__(self):
        self.count, self.first, self.last, self.ids = 0, None, None, set()

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.count += 1
        found = MESSAGE_ID.search(envelope.content)
        self.ids.add(found.group(1) if found else self.count)
        return "250 OK"


def main():
    sink, port = Sink(), free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    print(port, flush=True)
    for _ in sys.stdin:
        span = sink.last - sink.first if sink.count else 0
        state = {"count": sink.count, "seconds": span, "twice": sink.count - len(sink.ids)}
        print(json.dumps(state), flush=True)
    controller.stop(no_assert=True)


if __name__ == "__main__":
    main()
