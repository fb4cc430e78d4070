"""What pages say that is nobody's data: the words after a change, the way on after an error, times for people. Pure.

Codes and sentences of errors are the slices'; where a page leads somebody who met one is said here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from portraitist.studio.errors import StudioError
from portraitist.studio.locale.words import _, said

TOLD: Mapping[str, str] = {
    "account": "Your account is ready. Sign in with it.",
    "password": "Your password is set. Sign in with it.",
    "signed-out": "You are signed out here.",
    "agreed": "Thank you. Now add your photos.",
    "photo-deleted": "The photo is deleted.",
    "training-started": "Your training has begun. You may close this page; it goes on.",
    "training-canceled": "The training is being canceled.",
    "training-retried": "The studio looks again. It costs nothing.",
    "version-active": "Pictures are made with that version from now on.",
    "asked": "Three pictures are on their way.",
    "chat-deleted": "The conversation is deleted; its pictures stay.",
    "style-kept": "Maya knows. It counts from the next idea on.",
    "note-kept": "Maya remembers that.",
    "note-gone": "Forgotten.",
    "picture-canceled": "These pictures are being canceled.",
    "saved": "Saved to your gallery.",
    "unsaved": "Taken out of your gallery; it stays with its words.",
    "favourite": "It is one of your favourites.",
    "unfavourite": "It is no favourite any more.",
    "deleted": "The picture is deleted.",
    "restored": "The picture is back.",
    "set-begun": "Your set has begun. The pictures come in here, a few at a time.",
    "set-canceled": "The rest is canceled. What is being drawn just now still comes.",
    "set-paused": "The rest comes tomorrow.",
    "set-goes-on": "It goes on.",
    "set-removed": "The set is out of the list; its pictures stay.",
    "ways-chosen": "Saved. That is how you hear of it from now on.",
    "some-deleted": "The pictures are deleted. They can be had back for seven days.",
    "some-restored": "The pictures are back.",
    "choose-some": "Choose some pictures first.",
    "choose-two": "Choose two pictures to compare.",
    "choose-fewer": "At most 200 pictures go at once. Choose fewer.",
    "in-album": "They are in this album.",
    "out-of-album": "Taken out of the album; they stay in your gallery.",
    "album-made": "The album is there. Choose pictures in your gallery to put in.",
    "album-renamed": "The album has its new name.",
    "album-deleted": "The album is gone; its pictures stay.",
    "word-changed": "Prompts call you that from now on.",
    "password-changed": "Your password is changed; every other session has ended.",
    "session-ended": "That session has ended.",
    "sessions-ended": "Every other session has ended.",
    "passkey-added": "Your passkey is registered.",
    "passkey-renamed": "The passkey has its new name.",
    "passkey-removed": "The passkey opens nothing any more.",
    "passkey-needed": "Your password needs a passkey beside it from now on.",
    "password-enough": "Your password is enough from now on.",
    "provider-linked": "The sign-in provider opens your account from now on.",
    "provider-unlinked": "The sign-in provider opens your account no more.",
    "token-revoked": "The token is good for nothing any more.",
    "photos-kept": "Your photos stay until you delete them.",
    "photos-timed": "Your photos are deleted some time after a training.",
    "begun-again": "Another training has begun for the member.",
    "invitation-back": "The invitation opens nothing any more.",
    "account-changed": "The account is changed.",
    "member-moved": "The member's next training goes there.",
    "not-typed": "Nothing was erased: what was typed is another address.",
    "reason-missing": "Say why, in 10 to 1,000 characters. Nothing was done.",
    "held": "Everything of this member's is kept as it is.",
    "released": "The hold has ended.",
    "look-ended": "The look has ended.",
    "setting-changed": "The setting is changed.",
    "link-mailed": "A link is on its way, if there is an account with that address. It may take a minute.",
}
"""After a change the address says which; nothing of an address is ever shown itself."""


@dataclass(frozen=True)
class Step:
    """What to do next: the words on the link, where it leads, and a sentence that may stand before it."""

    label: str
    href: str
    text: str = ""


STEPS: Mapping[str, Step] = {
    "no_photos_yet": Step("Add photos", "/photos"),
    "too_few_photos": Step("Add photos", "/photos"),
    "no_model": Step("Train your model", "/training"),
    "model_in_training": Step("See how far it is", "/training"),
    "training_to_retry": Step("Retry at no cost", "/training"),
    "training_in_hand": Step("See how far it is", "/training"),
    "training_ended": Step("Look at your model", "/training"),
    "nothing_to_retry": Step("Look at your model", "/training"),
    "training_not_found": Step("Look at your model", "/training"),
    "version_not_found": Step("Look at your versions", "/training"),
    "consent_needed": Step("Read what you agree to", "/photos"),
    "consent_outdated": Step("Read what you agree to", "/photos"),
    "selfie_not_found": Step("Look at your photos", "/photos"),
    "prompt_empty": Step("Say what you would like to see", "/pictures"),
    "maya_chat_not_found": Step("Talk to Maya", "/maya"),
    "maya_card_not_found": Step("Talk to Maya", "/maya"),
    "maya_message_not_found": Step("Talk to Maya", "/maya"),
    "maya_note_not_found": Step("See what Maya remembers", "/maya/style"),
    "maya_note_known": Step("See what Maya remembers", "/maya/style"),
    "maya_note_invalid": Step("See what Maya remembers", "/maya/style"),
    "maya_nothing_to_retry": Step("Talk to Maya", "/maya"),
    "maya_answering": Step("Talk to Maya", "/maya"),
    "maya_chat_full": Step("Begin a new conversation", "/maya?fresh=1"),
    "maya_budget_spent": Step("Go to the photoshoot", "/photoshoot"),
    "generation_quota_spent": Step("Look at your gallery meanwhile", "/gallery"),
    "start_budget_spent": Step("Look at your model", "/training"),
    "generation_not_found": Step("Look at your pictures", "/pictures"),
    "generation_ended": Step("Look at your pictures", "/pictures"),
    "image_not_found": Step("Look at your gallery", "/gallery"),
    "collection_not_found": Step("Look at the collections", "/photoshoot"),
    "look_not_found": Step("Look at the collections", "/photoshoot"),
    "colour_unknown": Step("Look at the collections", "/photoshoot"),
    "colours_unused": Step("Look at the collections", "/photoshoot"),
    "too_many_sets": Step("Look at your sets", "/photoshoot"),
    "set_not_found": Step("Look at your sets", "/photoshoot"),
    "set_ended": Step("Look at your sets", "/photoshoot"),
    "csrf_token_missing": Step("Look at the page again", "/", "This page was older than your session."),
}


def step_after(exc: StudioError) -> Step:
    """The way on; the error's own words stand beside it where they speak to people and not to programs."""
    own = exc.next_step or ""
    text = own if "/api/" not in own and "X-CSRF" not in own else ""
    known = STEPS.get(exc.code, Step("Go to the first page", "/"))
    return Step(said(known.label), known.href, said(known.text or text))


def time_left(seconds: int) -> str:
    """About how long: whole minutes from two on, so that the figure does not pretend to be exact."""
    if seconds < 50:
        return _("less than a minute")
    if seconds < 90:
        return _("about a minute")
    if seconds < 90 * 60:
        return _("about %(n)s minutes", n=math.ceil(seconds / 60))
    return _("about %(n)s hours", n=round(seconds / 3600))


def first_up(text: str) -> str:
    """The text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]
