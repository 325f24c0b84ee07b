"""C-10, A-06: fifty guesses at the same moment at a password and at a code; a code works once.

allauth counts tries in the cache, which is a table, under a lock of its own. The negative control
shows that the tries would slip past without the lock.
"""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.account import app_settings
from allauth.core.internal.ratelimit import parse_rates
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import caches
from django.urls import reverse

from tests.factories import make_clinic, make_user
from tests.faults.crowd import Caller, together

GUESSES = 50
PASSWORD = "correct horse battery"
WRONG, WRONG_CODE, TOO_MANY = "not correct", "Incorrect code", "Too many failed login attempts"

ACCOUNT = """
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from clinic.models import User
user = User.objects.create_user("pat", "pat@clinic.example", {password!r}, is_staff=True)
TOTP.activate(user, {secret!r})
print(RecoveryCodes.activate(user).generate_codes()[0])
"""


def limit(per):
    """How many wrong tries are looked at from one address ("ip") or for one account ("key")."""
    [rate] = [
        one for one in parse_rates(app_settings.RATE_LIMITS["login_failed"]) if one.per == per
    ]
    return rate.amount


@pytest.fixture
def guarded(own_server):
    """Makes a server behind one proxy, which tells the addresses of visitors."""

    def make(**options):
        return own_server(env={"TRUSTED_PROXIES": "1"}, **options).start()

    return make


def callers(server, number, *, one_network=False):
    return [
        Caller(server, "203.0.113.1" if one_network else f"203.0.{place}.1")
        for place in range(number)
    ]


def sign_in(caller, login="pat", password=PASSWORD):
    return caller.post(reverse("account_login"), {"login": login, "password": password})


def guess(crowd, logins):
    """All send a wrong password at the same moment; returns what each was told."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda caller: caller.get(reverse("account_login")), crowd))
    return together(
        [
            lambda caller=caller, login=login: sign_in(caller, login, "a guess")
            for caller, login in zip(crowd, logins, strict=True)
        ]
    )


def told(answers, words):
    return sum(words in answer.text for answer in answers)


def test_fifty_guesses_at_a_password_at_once(guarded, tally):
    """C-10: five are looked at for one account, ten from one address, whatever they name."""
    server = guarded()
    server.python(ACCOUNT.format(password=PASSWORD, secret=totp.generate_totp_secret()))
    answers = guess(callers(server, GUESSES), ["pat"] * GUESSES)
    tally["looked_at"] = told(answers, WRONG)
    assert tally["looked_at"] == limit("key") == 5
    assert told(answers, TOO_MANY) == GUESSES - 5
    [owner] = callers(server, 1)
    owner.get(reverse("account_login"))
    assert TOO_MANY in sign_in(owner).text

    answers = guess(
        callers(server, GUESSES, one_network=True), [f"name{place}" for place in range(GUESSES)]
    )
    tally["looked_at_from_one_address"] = told(answers, WRONG)
    assert tally["looked_at_from_one_address"] == limit("ip") == 10


@pytest.fixture
def second_step(guarded):
    """Makes so many browsers that gave the right password, the account's secret, a spare code."""

    def make(browsers):
        server, secret = guarded(), totp.generate_totp_secret()
        spare = server.python(ACCOUNT.format(password=PASSWORD, secret=secret)).strip()
        crowd = callers(server, browsers)
        for caller in crowd:
            caller.get(reverse("account_login"))
            assert sign_in(caller).location == reverse("mfa_authenticate")
            caller.get(reverse("mfa_authenticate"))
        return crowd, secret, spare

    return make


def code_now(secret):
    """The code of this half minute, with time left to send it."""
    while time.time() % 30 > 20:
        time.sleep(0.5)
    [counter] = totp.yield_hotp_counters_from_time()
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def send_codes(crowd, codes):
    return together(
        [
            lambda caller=caller, code=code: caller.post(
                reverse("mfa_authenticate"), {"code": code}
            )
            for caller, code in zip(crowd, codes, strict=True)
        ]
    )


def test_fifty_guesses_at_a_code_at_once(second_step, tally):
    """C-10: five are looked at for one account, from whatever address; then not even the right."""
    [browser], secret, _spare = second_step(1)
    crowd = [Caller(browser, f"203.0.{place}.1") for place in range(GUESSES)]
    for tab in crowd:
        tab.cookies, tab.token = dict(browser.cookies), browser.token
    right = code_now(secret)
    wrong = [f"{(int(right) + 1 + place) % 10**6:06}" for place in range(GUESSES)]
    answers = send_codes(crowd, wrong)
    tally["looked_at"] = told(answers, WRONG_CODE)
    assert tally["looked_at"] == limit("key") == 5
    assert told(answers, TOO_MANY) == GUESSES - 5
    [answer] = send_codes([browser], [code_now(secret)])
    assert TOO_MANY in answer.text
    assert browser.get("/admin/").status == 302


@pytest.mark.parametrize("which", ["totp", "recovery"])
def test_a_code_works_once(second_step, tally, which):
    """A-06: four browsers with the right password send the same right code at the same moment."""
    crowd, secret, spare = second_step(5)
    late = crowd.pop()
    code = code_now(secret) if which == "totp" else spare
    answers = send_codes(crowd, [code] * len(crowd))
    assert [answer.status for answer in answers].count(302) == 1
    assert told(answers, WRONG_CODE) == len(crowd) - 1
    [answer] = send_codes([late], [code])
    assert WRONG_CODE in answer.text
    inside = [caller for caller in [*crowd, late] if caller.get("/admin/").status == 200]
    assert len(inside) == 1
    tally.add(sent=5, accepted=1)


@pytest.mark.night
def test_guesses_slip_past_without_the_lock(guarded, tally):
    """C-10, the negative control: without allauth's lock more than the limit are looked at."""
    server = guarded(application="tests.faults.unlocked_wsgi")
    for _ in range(10):
        answers = guess(callers(server, GUESSES), [secrets.token_hex(4)] * GUESSES)
        tally["looked_at"] = told(answers, WRONG)
        tally.add(rounds=1)
        if tally["looked_at"] > limit("key"):
            return
    pytest.fail("the harness cannot show the race")


@pytest.mark.django_db
def test_many_other_names_do_not_make_room_for_more_guesses(client):
    """What is counted must not be thrown out of the cache by what a crowd has counted since."""
    make_clinic()
    make_user(username="pat")
    for _ in range(limit("key")):
        assert WRONG in guess_at(client)
    cache = caches["default"]
    for number in range(1000):
        cache.set(f"another:{number}", [number], 300)
    assert TOO_MANY in guess_at(client)


def guess_at(client):
    form = {"login": "pat", "password": "a guess"}
    return client.post(reverse("account_login"), form).content.decode()
