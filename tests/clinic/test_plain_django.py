"""What a Django developer types first works in a fresh folder, without `make` and without `serve`."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60


def plain(folder, **more):
    """An environment with nothing of ours set, but for the folder of the data."""
    ours = {"SITE_URL", "DATABASE_URL", "EMAIL_URL", "DEBUG", "DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"VAR_DIR": str(folder)} | more


def manage(*words, env):
    command = [sys.executable, "manage.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A data folder after `migrate` alone: no starter, nothing collected."""
    folder = tmp_path_factory.mktemp("var", numbered=True)
    manage("migrate", "--verbosity", "0", env=plain(folder))
    return folder


@pytest.fixture(params=["", "false"], ids=["as it comes", "DEBUG off"])
def site(request, fresh):
    """`runserver` on a free port, as developers start it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = plain(fresh, **({"DEBUG": request.param} if request.param else {}))
    command = [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload"]
    server = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def read(url):
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_runserver_answers_every_page_with_its_style(site):
    for path in ("/", "/book/", "/conditions/", "/contact/", "/privacy/", "/account/login/"):
        status, page = read(site + path)
        assert status == 200, path
    status, page = read(site)
    styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    assert styles
    for style in styles:
        assert read(site + style)[0] == 200, style


def test_createsuperuser_and_shell(fresh):
    env = plain(fresh, DJANGO_SUPERUSER_PASSWORD="a long enough pass phrase")
    manage(
        "createsuperuser", "--noinput", "--username", "ada", "--email", "ada@clinic.test", env=env
    )
    said = manage("shell", "-c", "print(User.objects.get().username)", env=env)
    assert said.splitlines()[-1] == "ada"


def test_one_install_brings_all_that_the_order_names():
    pinned = (ROOT / "requirements.txt").read_text()
    for name in ("django", "django-crispy-forms", "psycopg2-binary", "pytest", "pytest-django"):
        assert re.search(rf"^{name}==", pinned, re.MULTILINE | re.IGNORECASE), name


def test_migrate_alone_makes_the_table_of_the_limits(fresh):
    code = "from django.core.cache import cache; cache.set('a', 1); print(cache.get('a'))"
    assert manage("shell", "-c", code, env=plain(fresh)).splitlines()[-1] == "1"
