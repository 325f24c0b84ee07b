"""All configuration, in one file, read from the environment.

Every variable has a default that is safe on one machine's loopback address, so a fresh clone runs
with none of them set; docs/running.md lists them. A mistyped value stops the start (environs).

One file: whoever asks what a setting is looks in one place.
"""

import os
import secrets
import zoneinfo
from contextlib import suppress
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError
from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn

# The tzdata package wins over the system's copy, which is stale on many machines: since March 2026
# America/Vancouver keeps -07:00 all year, and a 2025 copy would show winter bookings an hour early.
zoneinfo.reset_tzpath(to=())

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env()

# --- where things are ---------------------------------------------------------------------------
VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
SITE_URL = env.str("SITE_URL", "http://127.0.0.1:8000").rstrip("/")
SITE_HOST = ""
with suppress(ValueError):  # of a port or an IPv6 address that is none
    _site = urlsplit(SITE_URL)
    if _site.scheme in {"http", "https"} and _site.port != 0 and _site.username is None:
        SITE_HOST = _site.hostname or ""
if not SITE_HOST or SITE_URL.count("/") != 2 or set(SITE_URL) & set("?# "):
    raise ImproperlyConfigured(
        f"SITE_URL={SITE_URL} is not understood. Write https://clinic.example, without a path: the "
        "site is not served from a folder of another one."
    )
HTTPS = urlsplit(SITE_URL).scheme == "https"
ON_LOOPBACK = SITE_HOST in {"localhost", "127.0.0.1", "::1"}
DEBUG = env.bool("DEBUG", False)


def _allowed_hosts():
    default = ["localhost", "127.0.0.1", "[::1]"] if ON_LOOPBACK else [SITE_HOST]
    return [host.strip() for host in env.list("ALLOWED_HOSTS", default)]


def _secret_key():
    """Return SECRET_KEY, or one made once and kept in var/, readable by its owner alone."""
    path = VAR_DIR / "secret_key"
    if not path.exists():
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process of the same start was faster
            pass
        else:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(64))
    return path.read_text()


ALLOWED_HOSTS = _allowed_hosts()
SECRET_KEY = env.str("SECRET_KEY", "") or _secret_key()
SECRET_KEY_IS_THIS_MACHINES = not env.str("SECRET_KEY", "")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])

# --- applications -------------------------------------------------------------------------------
INSTALLED_APPS = [
    "clinic",
    "conditions",
    "bookings",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.sitemaps",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "crispy_forms",
    "crispy_bootstrap5",
    "phonenumber_field",
    "django_prose_editor",
    "csp",
]
MIDDLEWARE = [
    "clinic.middleware.security_headers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "clinic.middleware.refuse_hostile_requests",
    "clinic.database_waiting.middleware",
    "clinic.middleware.database_trouble",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "clinic.middleware.staff_sessions",
    "clinic.middleware.refused_pages",
    "clinic.middleware.clinic_time_for_staff",
    "clinic.middleware.second_factor_for_staff",
    "clinic.middleware.opening_soon",
]
ROOT_URLCONF = "clinic.urls"
WSGI_APPLICATION = "clinic.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "clinic.context_processors.clinic",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# --- database -----------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", "")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}


def _database():
    """SQLite in var/ by default; PostgreSQL where DATABASE_URL says so."""
    file = DATABASE_URL.removeprefix("sqlite:///")
    if not DATABASE_URL or (file not in ("", DATABASE_URL) and "?" not in file):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": file or VAR_DIR / "db.sqlite3",
            "CONN_MAX_AGE": 60,
            "OPTIONS": {
                "timeout": 10,
                # Writers queue at BEGIN; DEFERRED made 379 of 400 racing requests fail at once.
                "transaction_mode": "IMMEDIATE",
                # FULL: a confirmation that was shown survives a power cut. secure_delete: erased
                # personal fields leave the file too.
                # The log that a reader made grow shrinks to 64 MB once the reader is gone.
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
                    "PRAGMA journal_size_limit=67108864;"
                ),
            },
        }
    try:
        config = env.dj_db_url("DATABASE_URL", conn_max_age=60, conn_health_checks=True)
        options = config.get("OPTIONS", {})
        if not (config["ENGINE"].endswith("postgresql") and config["NAME"]):
            raise ValueError
        if options.get("sslmode", "prefer") not in SSL_MODES or set(config["NAME"]) & set("/@"):
            raise ValueError
        make_dsn(**options)  # knows the names of all parameters
    except (ValueError, KeyError, EnvError, ProgrammingError):
        # Neither the value nor the error: they hold the password, or a part of it.
        raise ImproperlyConfigured(
            "DATABASE_URL is not understood. These are: postgres://user:password@host:5432/name, "
            "the same with ?sslmode=require, postgres://user@/name?host=/run/postgresql and "
            "sqlite:////path/to/file. Write /, @, : and # in a password as %2F, %40, %3A and %23."
        ) from None
    config.setdefault("OPTIONS", {})  # a URL without a query brings none
    # A URL with ?host= names a socket folder: postgresql://user@/name?host=/run/postgresql
    socket_folder = parse_qs(urlsplit(DATABASE_URL).query).get("host")
    if socket_folder:
        config["HOST"] = socket_folder[0]
        config["OPTIONS"].pop("host", None)
    theirs = config["OPTIONS"].pop("options", "")
    config["OPTIONS"] = {
        "connect_timeout": 5,
        # A network that is lost is noticed within a minute, also while nothing is being said.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds
        # A lock that does not come within 3 seconds becomes "please try again", never a hung page.
        "options": f"-c lock_timeout=3s -c idle_in_transaction_session_timeout=60s {theirs}".strip(),
    } | config["OPTIONS"]  # what the URL says comes first
    return config


DATABASES = {"default": _database()}


def _web_database_options():
    """Limit web processes alone: a migration, an erasure or a dump may take its time."""
    options = DATABASES["default"]["OPTIONS"]
    if DATABASES["default"]["ENGINE"].endswith("postgresql"):
        return {"options": f"{options['options']} -c statement_timeout=5s"}
    return {"timeout": 8}


# clinic.database_waiting applies them, and ends the wait for a server that is frozen.
WEB_DATABASE_OPTIONS = _web_database_options()

# Rate limits must hold across processes, so the default cache is the database. "memory" keeps
# public, impersonal values (next free time) for seconds, one copy a process.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        # Above so many rows the cache forgets some, those that count guesses among them. The
        # default is 300: a crowd that guesses under other names would buy new guesses at one.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
    "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "memory"},
}

# --- time and language --------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "UTC"  # instants; the clinic's own zone is data (Clinic.time_zone)
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
# Their addresses lead to the pages in LANGUAGE_CODE until LANGUAGES has them too.
RESERVED_LANGUAGES = ["tr", "es"]
LOCALE_PATHS = [BASE_DIR / "clinic" / "locale"]
USE_I18N = True

# --- static files -------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "clinic.static_files.CollectedOrPlain"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_USE_FINDERS = DEBUG or not (STATIC_ROOT / "staticfiles.json").exists()

# --- web security -------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        # The nonce is written only where a page asks for it: the editor's import map in the admin.
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
# Not no-referrer: that makes browsers send "Origin: null", and Django then refuses every form.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 63072000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# Browsers' preload lists are for good: that is the operator's own decision, not a default.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Limits on who asks for consultations, and how often (bookings.rate_limits). Off for load tests only.
ABUSE_LIMITS = env.bool("ABUSE_LIMITS", True)
# Those of them that go by network and pace say nothing where every visitor is this very machine.
NETWORK_LIMITS = env.bool("NETWORK_LIMITS", bool(TRUSTED_PROXIES) or not ON_LOOPBACK)
CSRF_TRUSTED_ORIGINS = [SITE_URL] if HTTPS else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
COOKIE_PREFIX = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}session"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_AGE = None  # gone with the browser's session, on a shared computer too
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # no cookie of its own
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_FAILURE_VIEW = "clinic.errors.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000  # bytes; a long page in the admin is about 200 kB
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

# --- staff sign-in ------------------------------------------------------------------------------
AUTH_USER_MODEL = "clinic.User"
AUTHENTICATION_BACKENDS = ["clinic.staff.access.StaffBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/admin/"
ACCOUNT_ADAPTER = "clinic.staff.adapters.StaffAccounts"
ACCOUNT_LOGIN_METHODS = {"email", "username"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # a manager makes the accounts
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # a stranger's address gets no mail, and the same answer
ACCOUNT_FORMS = {"reset_password": "clinic.staff.forms.ResetPasswordForm"}
ACCOUNT_RATE_LIMITS = {
    "login": None,  # it would count good sign-ins, and let one visitor of a network lock the others
    "login_failed_known": "5/300s/key",  # as "login_failed", for one account in a browser it knows
    "manage_email": "5/h/user",
    "reset_password": "20/m/ip,5/h/key",
}
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
MFA_ADAPTER = "clinic.staff.adapters.EncryptedSecondFactors"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_FORMS = {
    "authenticate_webauthn": "clinic.staff.forms.KeyAsSecondFactor",
    "login_webauthn": "clinic.staff.forms.KeyAlone",
    "reauthenticate_webauthn": "clinic.staff.forms.KeyAgain",
}
MFA_RATE_LIMITS = {"webauthn_login": "60/m/ip"}  # a key cannot be guessed
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = ON_LOOPBACK
MFA_TOTP_ISSUER = "Clinic"
# The starter's demo accounts may skip the second factor, on loopback only, under a banner.
DEMO_ACCOUNTS_SKIP_SECOND_FACTOR = ON_LOOPBACK and not HTTPS

# --- mail ---------------------------------------------------------------------------------------
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PLAIN_PORT, STARTTLS_PORT, TLS_PORT = 25, 587, 465


def _mail_server():
    """Read EMAIL_URL. The two ports that are encrypted by their meaning (RFC 8314) are that,
    whatever the scheme; a login never travels in the clear to another machine.
    """
    try:
        found = env.dj_email_url("EMAIL_URL")
        if not found["EMAIL_HOST"] or not found["EMAIL_BACKEND"].endswith("smtp.EmailBackend"):
            raise ValueError
        # The rest is not ignored: it may be a mistyped wish for TLS, a port, half of a password.
        url = urlsplit(env.str("EMAIL_URL"))
        wishes = dict(parse_qsl(url.query, keep_blank_values=True))
        if url.path not in ("", "/") or url.fragment or not set(wishes) <= {"ssl", "tls"}:
            raise ValueError
        if not {wish.lower() for wish in wishes.values()} <= {"true", "false", "1", "0"}:
            raise ValueError
    except (ValueError, KeyError, EnvError):
        # Neither the value nor the error: they hold the password, or a part of it.
        raise ImproperlyConfigured(
            "EMAIL_URL is not understood. These are: submission://user:password@mail.example, "
            "smtp://user:password@mail.example:465/?ssl=True and smtp://127.0.0.1:25. Write /, @, "
            ": and # in a password as %2F, %40, %3A and %23."
        ) from None
    if found["EMAIL_PORT"] is None:
        smtps = env.str("EMAIL_URL").lower().startswith("smtps:")
        found["EMAIL_PORT"] = TLS_PORT if smtps else PLAIN_PORT
    if found["EMAIL_PORT"] in (TLS_PORT, STARTTLS_PORT):
        found["EMAIL_USE_SSL"] = found["EMAIL_PORT"] == TLS_PORT
        found["EMAIL_USE_TLS"] = found["EMAIL_PORT"] == STARTTLS_PORT
    encrypted = found["EMAIL_USE_TLS"] or found["EMAIL_USE_SSL"]
    if found["EMAIL_HOST_USER"] and not encrypted and found["EMAIL_HOST"] not in LOOPBACK:
        raise ImproperlyConfigured(
            "EMAIL_URL would send its user name and password to another machine in clear text. "
            "Write submission://… for STARTTLS on port 587, or smtp://…:465/?ssl=True."
        )
    return found


if env.str("EMAIL_URL", ""):
    _mail = _mail_server()
    EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
    EMAIL_HOST = _mail["EMAIL_HOST"]
    EMAIL_PORT = _mail["EMAIL_PORT"]
    EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"]
    EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"]
    EMAIL_USE_TLS = _mail["EMAIL_USE_TLS"]
    EMAIL_USE_SSL = _mail["EMAIL_USE_SSL"]
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_TIMEOUT = 15  # seconds; shorter than the lease of a message (bookings.models.Message)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "")  # empty: the clinic's own address
if DEFAULT_FROM_EMAIL and not all(parseaddr(DEFAULT_FROM_EMAIL)[1].partition("@")):
    raise ImproperlyConfigured(
        f"DEFAULT_FROM_EMAIL={DEFAULT_FROM_EMAIL} is no mail address. Write clinic@clinic.example."
    )
PHONENUMBER_DEFAULT_REGION = env.str("PHONE_REGION", "US")
PHONENUMBER_DB_FORMAT = "E164"
PHONENUMBER_DEFAULT_FORMAT = "INTERNATIONAL"

# --- logs ---------------------------------------------------------------------------------------
# Paths of manage links hold a secret, so every record passes a filter that masks them.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"private": {"()": "clinic.logs.MaskSecrets"}},
    "formatters": {"line": {"()": "clinic.logs.OneLine"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "filters": ["private"], "formatter": "line"}
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "WARNING")},
    "loggers": {
        "django": {"handlers": [], "level": env.str("LOG_LEVEL", "WARNING"), "propagate": True},
        "bookings": {"level": "INFO"},
        "clinic": {"level": "INFO"},
    },
}
