"""What a browser transfers for a first view: the page, and what its markup and styles ask for."""

import gzip
import http.client
import re
from urllib.parse import urljoin, urlsplit

import brotli

RESOURCE = re.compile(r"<(link|script|img|source)\b([^>]*)>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"([\w-]+)(?:=\"([^\"]*)\")?")
FONT_FACE = re.compile(r"@font-face\s*\{([^}]*)\}")
URL = re.compile(r"url\(\s*['\"]?([^'\")]+)['\"]?\s*\)")
FETCHED_LINKS = {"stylesheet", "preload", "modulepreload", "icon", "manifest"}


class FirstView:
    """Fetches a page with an empty cache; ``sizes`` holds bytes by path, as they travelled."""

    def __init__(self, port, path):
        self.port, self.sizes, self.elsewhere, self.blocking = port, {}, [], 0
        self.page, encoding, self.headers = self._fetch(path)
        text = self.page.decode()
        self.html_sent, self.html_encoding = self.sizes[path], encoding
        self.html_brotli = len(brotli.compress(self.page, quality=5))
        for tag, rest in RESOURCE.findall(text):
            self._resource(tag.lower(), dict(ATTRIBUTE.findall(rest)), rest, text)

    @property
    def total(self):
        return sum(self.sizes.values())

    def _resource(self, tag, attributes, rest, text):
        if tag == "link" and not FETCHED_LINKS & set(attributes.get("rel", "").split()):
            return
        address = attributes.get("href") if tag == "link" else attributes.get("src")
        if not address or address.startswith("data:"):
            return
        if tag == "script" and not re.search(r"\b(defer|async)\b|type=\"module\"", rest):
            self.blocking += 1
        body = self._once(address)
        if "stylesheet" in attributes.get("rel", ""):
            self._styles(address, body.decode(), text)

    def _styles(self, address, css, text):
        """Fonts are fetched for the letters on the page; other files of the styles are passed by."""
        for face in FONT_FACE.findall(css):
            found = URL.search(face)
            if found and _covers(face, text):
                self._once(urljoin(address, found.group(1)))

    def _once(self, address):
        parts = urlsplit(address)
        if parts.netloc:
            self.elsewhere.append(address)
            return b""
        return b"" if parts.path in self.sizes else self._fetch(parts.path)[0]

    def _fetch(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip, br"})
        response = connection.getresponse()
        sent, encoding = response.read(), response.headers.get("Content-Encoding", "")
        connection.close()
        if response.status != 200:
            raise AssertionError(f"status {response.status} for {path}")
        self.sizes[path] = len(sent)
        unpack = {"br": brotli.decompress, "gzip": gzip.decompress}.get(encoding, bytes)
        body = unpack(sent)
        return body, encoding, response.headers


def _covers(face, text):
    """Whether the face's unicode-range has a letter of the page; without one it has them all."""
    found = re.search(r"unicode-range:\s*([^;]+)", face)
    if not found:
        return True
    used = {ord(letter) for letter in text}
    for part in found.group(1).split(","):
        low, _, high = part.strip()[2:].partition("-")
        first = int(low.replace("?", "0"), 16)
        last = int(high or low.replace("?", "F"), 16)
        if any(first <= code <= last for code in used):
            return True
    return False
