"""An activation mail."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid, parseaddr

__all__ = ["Mail"]

_SENDER = "bridge@localhost"


@dataclass(frozen=True)
class Mail:
    """A mail that asks a person to follow a link.

    Attributes:
        to: the address.
        subject: the subject.
        text: the text, with the link in it.
        link: the link to follow.
        token: the token in the link.
    """

    to: str
    subject: str
    text: str
    link: str
    token: str

    def message(self, sender: str = _SENDER) -> EmailMessage:
        """Return the mail in the form in which it is sent."""
        # An address may contain any letter. Only if it does, the headers are in UTF-8.
        message = EmailMessage(policy=SMTP.clone(utf8=not self.to.isascii()))
        message["From"] = sender
        message["To"] = self.to
        message["Subject"] = self.subject
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks for no automatic answers
        # People may read the file in the outbox without a mail program: an encoding would break the link.
        message.set_content(self.text, cte="7bit" if self.text.isascii() else "8bit")
        return message
