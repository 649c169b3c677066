"""Subjects of JetStream where a domain is named (``nats.domain``; docs/reference.md, "Domains")."""

API, BUCKETS = "$JS.API.", "$KV."


def js_api(domain: str) -> str:
    """What the subjects of JetStream's API begin with."""
    return f"$JS.{domain}.API." if domain else API


def within(domain: str, subject: str) -> str:
    """``subject``, of the API or of a key of a bucket, as it is published for that domain.

    The server translates it back. A plain key does not cross between a leaf node and a hub whose domains
    differ.
    """
    if not domain:
        return subject
    if subject.startswith(BUCKETS):
        return js_api(domain) + subject
    return js_api(domain) + subject.removeprefix(API) if subject.startswith(API) else subject
