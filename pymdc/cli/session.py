"""The session of a command: the bridge, the account, the key pair, and the output."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from .endings import ends_in_order
from .failures import Code, Failure
from .options import common_options, given
from .output import Output

if TYPE_CHECKING:
    from ..api import ECDSA, Users
    from ..client import Client
    from .profiles import Profile, Profiles

__all__ = ["Bridge", "Session", "common_options", "pass_session"]

BRIDGE_VARIABLE, USER_VARIABLE, PASSWORD_VARIABLE = "STORJ_BRIDGE", "STORJ_BRIDGE_USER", "STORJ_BRIDGE_PASS"
PROFILE_VARIABLE = "PYMDC_PROFILE"

_F = TypeVar("_F", bound=Callable[..., Any])


class Bridge(NamedTuple):
    """A bridge's URL, and what named it: "argument", "variable", "profile" or "default".

    Attributes:
        named_by: the same for a person, such as "the profile work".
    """

    url: str
    source: str
    named_by: str


class Session:
    """The bridge, the account, the key pair and the output of a command. Each part is made when it is first used.

    Arguments:
        context: the command's context, with the common options.
        seconds: how long a call to the bridge may take. Default: no limit, except on silence.
    """

    def __init__(self, context: click.Context, seconds: float | None = None) -> None:
        self._context = context
        self._seconds = seconds
        options = given(context)
        self._typed_profile: str | None = options.get("profile")
        self._typed_bridge: str | None = options.get("bridge")
        settings = {name: options.get(name, False) for name in ("json", "quiet", "verbose")}
        self.output = Output(**settings)
        if self.output.verbose:
            logging.basicConfig(stream=sys.stderr, format="%(message)s")
            logging.getLogger("pymdc").setLevel(logging.DEBUG)

    @cached_property
    def profiles(self) -> Profiles:
        """All profiles."""
        from .profiles import Profiles

        return Profiles()

    @cached_property
    def profile_name(self) -> str:
        """The profile's name: the one of --profile, else of PYMDC_PROFILE, else the current one."""
        return self._typed_profile or os.environ.get(PROFILE_VARIABLE) or self.profiles.current

    @property
    def profile(self) -> Profile | None:
        """The profile, or `None` if there is no profile of this name."""
        return self.profiles.get(self.profile_name)

    @cached_property
    def bridge(self) -> Bridge:
        """The bridge, and what named it. A profile that was typed is stronger than a variable.

        Raises:
            Failure: its URL is malformed.
        """
        from ..core.endpoints import parse_endpoint

        bridge = self._named_bridge()
        try:
            return bridge._replace(url=parse_endpoint(bridge.url).geturl())
        except ValueError as error:
            raise Failure(f"{error}. It is named by {bridge.named_by}.", Code.USAGE) from error

    def use_bridge(self, url: str) -> None:
        """Use another bridge than the one that is named. Call this before the first use of `client`."""
        self._typed_bridge = url
        self.__dict__.pop("bridge", None)

    @cached_property
    def client(self) -> Client:
        """A client of the bridge; closed when the command ends.

        Raises:
            Failure: no bridge is named.
        """
        from ..client import Client
        from ..config import Timeout

        if self.bridge.source == "default":
            words = (
                f"no bridge is named, and the public one of 2016 ({self.bridge.url}) was retired. Name one: --bridge"
            )
            raise Failure(f"{words} URL, {BRIDGE_VARIABLE}=URL, or run your own: pymdc bridge", Code.USAGE)
        client = Client(self.bridge.url, timeout=Timeout(total=self._seconds))
        self._context.call_on_close(lambda: client.close(cancel=True))
        return client

    @cached_property
    def key_pair(self) -> ECDSA:
        """The key pair of the profile.

        Raises:
            Failure: nobody is logged in, or the login is for another bridge.
        """
        from ..api import ECDSA

        profile = self.profile
        if profile is None and self._typed_profile:
            self.profiles.find(self._typed_profile)
        if profile is None or not profile.public_key:
            raise Failure(f"nobody is logged in at {self.bridge.url}. Log in: pymdc login EMAIL", Code.CREDENTIALS)
        if profile.bridge != self.bridge.url:  # another bridge could send the signed requests to the profile's bridge
            words = f"the profile {profile.name} is for {profile.bridge}, not for {self.bridge.url}. Log in there:"
            raise Failure(f"{words} pymdc --profile NAME --bridge {self.bridge.url} login EMAIL", Code.CREDENTIALS)
        try:
            return ECDSA(profile.public_key, self.profiles.private_key(profile))
        except ValueError as error:
            raise Failure(f"the key of the profile {profile.name} is damaged: {error}", Code.CREDENTIALS) from error

    @cached_property
    def credentials(self) -> ECDSA | Users:
        """The account of STORJ_BRIDGE_USER and STORJ_BRIDGE_PASS, which logs in; or the profile's key pair, which
        signs.

        A profile that was typed is stronger than the variables.
        """
        email, password = os.environ.get(USER_VARIABLE), os.environ.get(PASSWORD_VARIABLE)
        if email and password and not self._typed_profile:
            return self.user(password, email)
        return self.key_pair

    @property
    def email(self) -> str | None:
        """The account's e-mail address, if a variable or the profile names it."""
        named = None if self._typed_profile else os.environ.get(USER_VARIABLE)
        return named or (self.profile.email if self.profile else None)

    def user(self, password: str | None, email: str | None = None) -> Users:
        """Return the account, which logs in with a password.

        Arguments:
            email: its e-mail address. Default: `email` above.

        Raises:
            Failure: no account is named, or the e-mail address is malformed.
        """
        from ..api import Users

        named = email or self.email
        if named is None:
            raise Failure("no account is named. Log in: pymdc login EMAIL", Code.CREDENTIALS)
        try:
            return Users(named, password, client=self.client)
        except ValueError as error:
            raise Failure(str(error), Code.USAGE) from error

    def _named_bridge(self) -> Bridge:
        from ..config import RETIRED_ENDPOINT

        if self._typed_bridge:
            return Bridge(self._typed_bridge, "argument", "--bridge")
        variable, profile = os.environ.get(BRIDGE_VARIABLE), self.profile
        if variable and not (self._typed_profile and profile):
            return Bridge(variable, "variable", BRIDGE_VARIABLE)
        if profile:
            return Bridge(profile.bridge, "profile", f"the profile {profile.name}")
        return Bridge(RETIRED_ENDPOINT, "default", "nothing")


def pass_session(function: _F) -> _F:
    """Give a command's function the session as its first argument."""

    def call(*arguments: Any, **values: Any) -> Any:
        context = click.get_current_context()
        with ends_in_order():
            return context.invoke(function, Session(context), *arguments, **values)

    return update_wrapper(call, function)  # type: ignore[return-value]
