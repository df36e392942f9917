"""Endpoints: where a judge is asked, and the key that opens it, which nothing but the environment holds."""

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from seedband.determinism.pins import MIN_SECRET
from seedband.errors import UsageError

#: What a header can carry, and all that keys are made of.
KEY = re.compile(r"[\x21-\x7e]+")
YES = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint.

    Attributes:
        base_url: What stands before /chat/completions.
        key_env: Variable of the environment that holds its key; "" for an endpoint without one.
    """

    base_url: str
    key_env: str

    @property
    def url(self) -> str:
        """The address of requests."""
        return f"{self.base_url.rstrip('/')}/chat/completions"

    @property
    def host(self) -> str:
        """Its name or address."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Check whether it is this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check(self) -> None:
        """Find out whether it can be asked, without asking it.

        Raises:
            UsageError: No such URL can be, or it would tell the key to whoever listens, or there is no key, or we are
                offline.
        """
        self._check_url()
        if self.key_env and not self.is_local and self.base_url.lower().startswith("http:"):
            raise UsageError(
                f"base_url {self.base_url!r} would send the key in {self.key_env} unencrypted to {self.host}",
                hint='https://…, or api_key_env = "" for an endpoint without a key',
            )
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in YES
        if offline and not self.is_local:
            raise UsageError(
                f"{self.host} cannot be asked offline (--offline, or HF_HUB_OFFLINE in the shell)",
                hint="go online, or name an endpoint on this machine",
            )
        self.key()

    def key(self) -> str:
        """The key; "" for an endpoint without one.

        Raises:
            UsageError: The variable is not set, or holds what is no key.
        """
        if not self.key_env:
            return ""
        key = os.environ.get(self.key_env, "")
        if not key:
            hint = f'export {self.key_env}=…, or api_key_env = "" for an endpoint without a key'
            raise UsageError(
                f"{self.key_env} is not set, and the key of {self.host} is read from nowhere else", hint=hint
            )
        if not KEY.fullmatch(key):
            raise UsageError(f"{self.key_env} holds spaces or characters that no key has", hint="look for a line break")
        return key

    def without_key(self, text: str) -> str:
        """A text from the network in which the key does not stand, whatever was sent back."""
        key = self.key()
        return text.replace(key, f"[{self.key_env}]") if len(key) >= MIN_SECRET else text

    def _check_url(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound or not KEY.fullmatch(self.base_url):
            raise UsageError(f"base_url: found {self.base_url!r}, expected http(s)://host[:port][/path]")
        if parts.username is not None or parts.query or parts.fragment:
            raise UsageError(
                f"base_url of {parts.hostname}: found a user, a query or a fragment in it, expected none",
                hint="recipes are no place for secrets: api_key_env names the variable that holds the key",
            )
