"""What the isolation matrix has to be told about parameters and routes: which name something of a member's, what is
filled into the others, and who may answer strangers. How requests are made of it is `routes.py`'s.
"""

from collections.abc import Mapping, Sequence
from typing import Any

IDS: Mapping[str, str] = {
    "selfie_id": "select id::text from selfies where user_id = %s",
    "training_id": "select id::text from trainings where user_id = %s",
    "version_id": "select id::text from model_versions where user_id = %s",
    "generation_id": "select id::text from generation_trackers where user_id = %s",
    "image_id": "select id::text from ai_images i where user_id = %s order by (select count(*) from album_images a "
    "where a.image_id = i.id) desc, deleted_at nulls first",
    "album_id": "select album_id::text from album_images where user_id = %s",
    "set_id": "select id::text from photo_sets where user_id = %s",
    "upload_id": "select id::text from uploads where user_id = %s",
    "session_id": "select id::text from sessions where user_id = %s order by created_at",
    "passkey_id": "select id::text from passkeys where user_id = %s",
    "identity_id": "select id::text from identities where user_id = %s",
    "token_id": "select id::text from api_tokens where user_id = %s",
    "chat_id": "select id::text from maya_chats where user_id = %s",
    "message_id": "select id::text from maya_messages where user_id = %s order by role",
    "card_id": "select id::text from concept_cards where user_id = %s",
    "note_id": "select id::text from maya_memory where user_id = %s",
    "user_id": "select id from users where id = %s",
    "key": "select object_key from ai_images where user_id = %s union select object_key from selfies "
    "where user_id = %s and object_key is not null",
    "token": "select webhook_token from trainings where user_id = %s union select webhook_token "
    "from generation_trackers where user_id = %s",
}
"""Parameters that name something of a member's, and the values that a member has; every %s is the member."""

OTHER_NAMES: Mapping[str, str] = {
    "chat": "chat_id",
    "card": "card_id",
    "album": "album_id",
    "id": "image_id",
    "ids": "image_id",
    "other_id": "image_id",
}
"""Parameters that name the same under another name."""

PLAIN: Mapping[str, Any] = {
    "limit": 5,
    "expires": 9_999_999_999,
    "signature": "0" * 64,
    "kind": "training",
    "account_id": "engine",
    "Idempotency-Key": "a key of the matrix",
    "Last-Event-ID": "0",
    "Upload-Offset": 0,
    "file_name": "IMG_0001.HEIC",
    "length": 1000,
    "handle": "name:somebody",
    "subject_word": "woman",
    "version": "2026-11",
    "prompt": "by the sea",
    "words": "by the sea",
    "collection": "travel",
    "mine": "",
    "fresh": True,
    "colour": "navy",
    "other_colours": "",
    "places": "",
    "accept": "application/json",
    "colours": [],
    "every_shot": False,
    "settings": [],
    "limits": "",
    "no_go": [],
    "note": "a note of the matrix",
    "name": "a name of the matrix",
    "scopes": "read",
    "days": 1,
    "role": "member",
    "disabled": False,
    "email": "nobody@example.org",
    "password": "wrong and long enough",
    "current": "wrong and long enough",
    "new": "another one, long enough",
    "keep_tokens": True,
    "link": "0" * 43,
    "link_id": "00000000-0000-4000-8000-000000000000",
    "value": "closed",
    "q": "rain",
    "saved": True,
    "favourite": True,
    "since": "2020-01-01T00:00:00Z",
    "until": "2099-01-01T00:00:00Z",
    "deleted": False,
    "download": True,
    "keep_photos": True,
    "Range": "bytes=0-",
    "If-Range": "x",
    "passkey": {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA"},
    },
    "code": "a code of a provider",
    "state": "enter.of-the-matrix",
    "issuer": "https://id.example.org",
    "provider": {"code": "x", "state": "prove.of-the-matrix"},
    "recovery_code": "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa",
    "passkey_needed": False,
    "reason": "a reason of the matrix, long enough",
    "glass_id": "00000000-0000-4000-8000-000000000000",
    "thing_id": "00000000-0000-4000-8000-000000000000",
    "thing_kind": "picture",
    "head": "1:" + "0" * 64,
    "Receipt-Token": "prc_of-the-matrix-0000000000000000",
    "status": "failed",
    "hours": 24,
    "verify": "1",
    "after": "/",
    "to": "de",
    "mail": True,
    "push": True,
    "expirationTime": None,
    "endpoint": "https://push.example/of-the-matrix",
    "keys": {
        "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
        "auth": "tBHItJI5svbpez7KI4CCXg",
    },
    "all": "1",
    "on": True,
    "back": "/gallery",
    "what": "zip",
    "look": "alpine-pass",
}
"""Parameters that name nothing of a member's, each with a value that passes."""

FORM_WORDS = {
    "address",
    "keep",
    "kept",
    "key",
    "needed",
    "receipt",
    "sure",
    "token",
    "typed",
}
"""Fields of forms that name nothing of a member's there, beside those of PLAIN; they are left out."""

BUTTONS: Mapping[tuple[str, str], Sequence[Mapping[str, str]]] = {
    ("POST", "/gallery/chosen"): [{"what": what, "name": ""} for what in ("delete", "zip", "album", "out")],
}
"""Forms with several buttons: each is a route of its own here. (Of two to compare the page itself is asked.)"""

NARROWING = {
    "q",
    "saved",
    "favourite",
    "since",
    "until",
    "deleted",
    "album",
    "look",
    "id",
    "subject_word",
    "Last-Event-ID",
}
"""Parameters that are left out unless they are what is asked about: with them an answer shows less."""

PLAIN_HERE: Mapping[tuple[str, str, str], Any] = {
    ("PUT", "/api/v1/admin/settings/{key}", "key"): "sign_up",
    ("POST", "/admin/settings/{key}", "key"): "sign_up",
}
"""Parameters that name a member's thing in other routes, but not in this one."""

CURSORS = {"cursor"}
"""Opaque places in a member's own lists: whose they are is told by what they lead to."""

LISTS_OF_PAGES: Mapping[str, str] = {
    "/gallery": "/api/v1/images",
    "/gallery/albums": "/api/v1/albums",
    "/pictures": "/api/v1/generations",
    "/account/activity": "/api/v1/account/events",
    "/admin/events": "/api/v1/admin/events",
}
"""Pages with a list, and the API's list of the same, which says its cursors."""

RAW_BODIES: Mapping[tuple[str, str], tuple[str, bytes]] = {
    ("POST", "/api/v1/selfies"): (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\nno photo\r\n--b--\r\n',
    ),
}
"""Bodies of routes that read the request themselves."""

PUBLIC = {
    ("GET", "/"): "says what this is to who is not signed in",
    ("GET", "/status"): "the status page asks for the token itself",
    ("GET", "/sign-in"): "the form of the door",
    ("POST", "/language"): "sets the language of this browser, and of a member's own letters",
    ("GET", "/notices/words"): "what kinds of notices say, without anybody's",
    ("GET", "/manifest.webmanifest"): "the app's name and icons",
    ("GET", "/sw.js"): "a script that is the same for everybody",
    ("GET", "/offline"): "the page without a line, nobody's",
    ("GET", "/icon-192.png"): "the icon",
    ("GET", "/icon-512.png"): "the icon",
    ("POST", "/sign-in"): "the door itself, as POST /api/v1/session is",
    ("POST", "/sign-in/mail"): "the answer is the same for every address",
    ("POST", "/sign-in/reset"): "the answer is the same for every address",
    ("GET", "/receipt"): "a form; what it opens needs a receipt's token: the account may be gone",
    ("POST", "/receipt"): "the same",
    ("GET", "/sign-up"): "the form, or how one comes in",
    ("POST", "/sign-up"): "the door by which a stranger becomes a member",
    ("GET", "/join"): "a form; what it sends needs the link's secret",
    ("GET", "/reset"): "the same",
    ("GET", "/enter"): "a form; what it sends needs the link's secret",
    ("GET", "/prove"): "the same",
    ("GET", "/oidc"): "a form; what it sends needs the provider's answer",
    ("GET", "/docs"): "what the API looks like is no secret",
    ("GET", "/openapi.json"): "the same",
    ("GET", "/healthz"): "says whether the database can be reached, and nothing else",
    ("GET", "/api/v1/accounts/joining"): "who may make an account is asked by those who have none",
    ("POST", "/api/v1/accounts"): "the door by which a stranger becomes a member",
    ("POST", "/api/v1/session"): "the door itself: asks for address and password",
    ("POST", "/api/v1/session/passkey/options"): "a challenge says nothing of anybody",
    ("GET", "/api/v1/session/provider"): "what the provider is called",
    ("POST", "/api/v1/session/provider/options"): "an address says nothing of anybody",
    ("POST", "/api/v1/session/provider"): "the door itself: asks for a provider's answer",
    ("POST", "/api/v1/session/link"): "asks for a mailed link",
    ("POST", "/api/v1/mail/sign-in"): "the answer is the same for every address",
    ("POST", "/api/v1/mail/reset"): "the answer is the same for every address",
    ("POST", "/api/v1/session/passkey"): "the door itself: asks for a passkey's signature",
    ("POST", "/api/v1/password/reset"): "asks for a one-time link",
    ("GET", "/api/v1/receipt"): "asks for a receipt's token: the account may be gone",
}
"""Routes that answer a stranger, and why."""

OTHER_DOOR = {
    ("GET", "/transfer/{key:path}"): "needs a signed link",
    ("POST", "/webhooks/replicate/{account_id}/{kind}/{token}"): "needs a provider's signature",
}
"""Routes whose key is not a token: a member's own ids open them no more than another's do."""

ADMINS_PAGES = "tests/integration/test_pages_admin.py, test_pages_admin_members.py"
ADMINS_ALONE = {
    ("POST", "/api/v1/admin/members/{user_id}/break-glass"): "tests/integration/test_break_glass.py",
    ("DELETE", "/api/v1/admin/members/{user_id}/hold"): "tests/integration/test_legal_hold.py",
    ("GET", "/admin/members/{user_id}"): ADMINS_PAGES,
    ("GET", "/admin/members/{user_id}/events"): ADMINS_PAGES,
    ("POST", "/admin/members/{user_id}/change"): ADMINS_PAGES,
    ("POST", "/admin/members/{user_id}/reset-link"): ADMINS_PAGES,
    ("POST", "/admin/members/{user_id}/move"): ADMINS_PAGES,
    ("POST", "/admin/members/{user_id}/erase"): ADMINS_PAGES,
    ("POST", "/admin/members/{user_id}/hold"): ADMINS_PAGES,
    ("POST", "/admin/members/{user_id}/release"): ADMINS_PAGES,
    ("POST", "/admin/members/{user_id}/look"): ADMINS_PAGES,
    ("POST", "/admin/trainings/{training_id}/retry"): ADMINS_PAGES,
    ("POST", "/admin/trainings/{training_id}/cancel"): ADMINS_PAGES,
    ("POST", "/admin/trainings/{training_id}/again"): ADMINS_PAGES,
    ("POST", "/admin/generations/{generation_id}/cancel"): ADMINS_PAGES,
}
"""Routes that answer members and the host alike whatever they name, and where it is shown whom they do answer."""
