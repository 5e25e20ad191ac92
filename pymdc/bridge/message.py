"""One activation mail, before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid, parseaddr

__all__ = ["Mail"]

_SENDER = "bridge@localhost"


@dataclass(frozen=True)
class Mail:
    """A mail that asks somebody to follow a link.

    Attributes:
        to: the address.
        subject: the subject.
        text: the text, which holds the link.
        link: the link to follow.
        token: the token in the link.
    """

    to: str
    subject: str
    text: str
    link: str
    token: str

    def message(self, sender: str = _SENDER) -> EmailMessage:
        """Return the mail as it is sent."""
        # An address may hold any letter; only where it does, headers may too.
        message = EmailMessage(policy=SMTP.clone(utf8=not self.to.isascii()))
        message["From"] = sender
        message["To"] = self.to
        message["Subject"] = self.subject
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine need answer
        # Encoded, the link would be broken for whoever reads the file, and no mail program is there to mend it.
        message.set_content(self.text, cte="7bit" if self.text.isascii() else "8bit")
        return message
