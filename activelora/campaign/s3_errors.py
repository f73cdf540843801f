"""What the errors of S3 and of the network mean, for people. Only codes are shown: server texts may hold secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from activelora.errors import StoreError
from activelora.redacting import redact

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_AGAIN = "Run again: finished steps are kept."
_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE, or a role) in the environment."

_BY_CODE: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity", "401"),
        ("the S3 credentials are not accepted", _CREDENTIALS),
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
        ("the S3 credentials have expired", "Renew them, then run again: finished steps are kept."),
    ),
    **dict.fromkeys(
        ("AccessDenied", "403", "AllAccessDisabled", "AccountProblem"),
        (
            "the S3 credentials do not allow this",
            "They need s3:GetObject, s3:PutObject and s3:DeleteObject on the prefix, s3:ListBucket on the bucket.",
        ),
    ),
    "NoSuchBucket": ("the bucket does not exist", "Create it, or correct the bucket's name or AWS_ENDPOINT_URL."),
    **dict.fromkeys(
        ("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
        ("the bucket is in another region", "Set AWS_DEFAULT_REGION to the bucket's region."),
    ),
    **dict.fromkeys(
        ("RequestTimeTooSkewed", "RequestExpired"),
        ("this machine's clock differs from the server's", "Set the clock (NTP), then run again."),
    ),
    **dict.fromkeys(
        ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "502", "503", "504"),
        ("the S3 server is overloaded or broken", _AGAIN),
    ),
    **dict.fromkeys(
        ("QuotaExceeded", "InsufficientStorage", "507", "XMinioStorageFull"),
        ("the S3 server's storage is full", f"Free some space. {_AGAIN}"),
    ),
    **dict.fromkeys(
        ("NotImplemented", "501"),
        (
            "the S3 server does not know conditional writes (If-None-Match), which the campaign store needs",
            "Use a server that does: AWS S3, SeaweedFS, or a recent MinIO or Ceph.",
        ),
    ),
}


def error_code(error: Exception) -> str:
    """Return the S3 error code, such as ``NoSuchKey`` or ``404``; empty for other kinds of errors."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    return "PreconditionFailed" if code == "412" else code


def was_repeated(error: Exception) -> bool:
    """Tell whether botocore sent the request more than once before this answer."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


def is_cut_off(error: Exception) -> bool:
    """Tell whether the connection broke, so that it is open whether the server did what was asked."""
    from botocore import exceptions as aws
    from s3transfer.exceptions import RetriesExceededError
    from urllib3.exceptions import HTTPError

    broken = (aws.HTTPClientError, aws.IncompleteReadError, aws.ConnectionError, RetriesExceededError, HTTPError)
    return isinstance(error, broken) or error_code(error) in ("500", "502", "503", "504", "InternalError")


def explain(error: Exception, key: str, where: str, client: S3Client | None) -> Exception | None:
    """Return the error as the store raises it, or None if it has nothing to do with S3.

    Args:
        error: What boto3 raised.
        key: The key that was asked for.
        where: The object's or the bucket's URI.
        client: The client, for its endpoint; None if it could not be made.
    """
    code = error_code(error)
    if key and code in ("NoSuchKey", "404"):
        return KeyError(key)
    if code:
        problem, remedy = _BY_CODE.get(code, ("the S3 server refused the request", ""))
        return StoreError(f"{problem} ({code})", where=where, remedy=remedy)
    if is_cut_off(error):
        endpoint = redact(client.meta.endpoint_url) if client else "the endpoint"
        return StoreError(
            f"{endpoint} cannot be reached ({type(error).__name__})",
            where=where,
            remedy=f"Check AWS_ENDPOINT_URL and the network. {_AGAIN}",
        )
    return _explain_here(error, where, connected=client is not None)


def _explain_here(error: Exception, where: str, *, connected: bool) -> StoreError | None:
    """Explain what went wrong on this machine, before or beside the request."""
    from botocore import exceptions as aws

    credentials = (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError)
    tokens = (aws.SSOError, aws.NoAuthTokenError, aws.TokenRetrievalError)
    if isinstance(error, (*credentials, *tokens)):
        return StoreError("no usable S3 credentials were found", where=where, remedy=_CREDENTIALS)
    if isinstance(error, aws.ProfileNotFound):
        return StoreError("the profile named by AWS_PROFILE does not exist", where=where, remedy=_CREDENTIALS)
    if not connected and isinstance(error, aws.BotoCoreError | ValueError):
        return StoreError(
            f"the S3 settings cannot be used ({type(error).__name__})",
            where=where,
            remedy="Check AWS_ENDPOINT_URL (as in http://host:port), AWS_DEFAULT_REGION and ~/.aws/config.",
        )
    if isinstance(error, aws.BotoCoreError):
        return StoreError(f"S3 failed ({type(error).__name__})", where=where, remedy=_AGAIN)
    if isinstance(error, OSError):
        return StoreError(f"the local copy failed: {error.strerror or error}", where=where, remedy=_AGAIN)
    return None
