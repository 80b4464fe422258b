"""An SMTP server for one test, of aiosmtpd.

usage: smtp_server.py plain|starttls|tls CERTIFICATE KEY [USER PASSWORD]

It prints {"port": N} first and then one JSON line for each mail. With a user
nobody gets in without login. It ends when its standard input does.
"""

import asyncio
import base64
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def say(**values):
    print(json.dumps(values), flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("full@"):
            return "452 4.2.2 mailbox full"
        if address.startswith("slow@"):
            await asyncio.sleep(600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        say(
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            user=session.auth_data.decode() if session.authenticated else "",
            encrypted=session.ssl is not None or implicit,
            mail=base64.b64encode(envelope.original_content).decode(),
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    # Not handled: aiosmtpd sends the answer to a wrong login.
    return AuthResult(success=good, handled=False, auth_data=getattr(data, "login", None))


mode, certificate, key = sys.argv[1:4]
user, password = (sys.argv[4:6] + ["", ""])[:2]
implicit = mode == "tls"
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
if mode != "plain":
    context.load_cert_chain(certificate, key)


def session():
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=context if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        authenticator=authenticate if user else None,
        auth_required=bool(user),
        # Where it does not encrypt itself, aiosmtpd would hide its logins.
        auth_require_tls=mode == "starttls",
    )


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if implicit else None)
    say(port=server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)


loop = asyncio.new_event_loop()
loop.run_until_complete(serve())
sys.stdout.flush()
os._exit(0)  # sessions that still wait have nobody to talk to
