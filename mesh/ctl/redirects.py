"""Which redirections of an http(s) address are followed: to http(s) alone, and never from https to http."""

from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request


class SameSafety(HTTPRedirectHandler):
    """urllib follows to ftp, too, and from a server that was verified to one that was not."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Give the next request. Raises HTTPError where there is to be none."""
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in {"https", before}:
            raise HTTPError(newurl, code, f"a redirection from {before} to {after} is not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
