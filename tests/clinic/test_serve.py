"""The command behind `make run`: what it refuses, and how it looks after its two children."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management.base import CommandError

from clinic.management.commands import serve


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.5", "localhost", "::1"])
def test_loopback_needs_no_https(host):
    serve.refuse_open_door(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "clinic.example"])
def test_an_open_door_needs_https(settings, host):
    with pytest.raises(CommandError, match="SITE_URL is not https"):
        serve.refuse_open_door(host)
    settings.HTTPS = True
    serve.refuse_open_door(host)


def test_a_busy_port_is_named_with_the_way_out():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} is in use.*PORT={port + 1}"):
            serve.refuse_busy_port("127.0.0.1", port)
    serve.refuse_busy_port("127.0.0.1", port)


def test_an_address_of_another_machine():
    with pytest.raises(CommandError, match="Cannot listen on 192.0.2.1:8000"):
        serve.refuse_busy_port("192.0.2.1", 8000)


def test_static_files_are_collected_only_when_a_source_changed(settings, tmp_path, monkeypatch):
    settings.VAR_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "static"
    said = []

    def collect(*_args, **_kwargs):
        settings.STATIC_ROOT.mkdir()
        (settings.STATIC_ROOT / "staticfiles.json").write_text("{}")

    monkeypatch.setattr(serve, "call_command", collect)
    for _ in range(2):
        serve.collect_static_files(said.append)
    assert len(said) == 1
    monkeypatch.setattr(serve, "static_fingerprint", lambda: "another")
    serve.collect_static_files(said.append)
    assert len(said) == 2


def test_children_get_the_address_unless_one_is_set(monkeypatch):
    monkeypatch.delenv("SITE_URL", raising=False)
    assert serve.environment("http://127.0.0.1:8001")["SITE_URL"] == "http://127.0.0.1:8001"
    monkeypatch.setenv("SITE_URL", "https://clinic.example")
    assert serve.environment("http://127.0.0.1:8001")["SITE_URL"] == "https://clinic.example"


def test_the_documents_name_how_long_a_stop_may_take():
    words = Path(settings.BASE_DIR, "docs/running.md").read_text()
    assert f"waiting up to {serve.STOP_SECONDS} seconds" in words


@pytest.fixture
def children():
    said = []
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    made = serve.Children({"one": sleeper, "two": sleeper}, dict(os.environ), said.append)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made.start()
    yield made, said
    made.stop()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_child_that_ends_is_started_again(children):
    made, said = children
    first = made.running["one"]
    first.kill()
    first.wait()
    made.look_after()
    assert made.running["one"].pid != first.pid
    assert made.running["one"].poll() is None
    assert said == ["The one ended (status -9); starting it again."]


def test_a_child_that_keeps_ending_stops_everything(children):
    made, _said = children
    made.ends["one"] = [time.monotonic()] * (serve.GIVE_UP_AFTER - 1)
    made.running["one"].kill()
    made.running["one"].wait()
    with pytest.raises(CommandError, match="The one keeps ending"):
        made.look_after()


def test_a_signal_stops_both(children):
    made, _said = children
    os.kill(os.getpid(), signal.SIGTERM)
    made.watch()
    made.stop()
    assert all(process.poll() is not None for process in made.running.values())
