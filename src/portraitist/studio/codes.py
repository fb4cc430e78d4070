"""Every error code of the API: its status, what it means, what the member does next. Stable; texts of answers are not.

The table of docs/api.md and the examples in the OpenAPI document are made of this list; tests compare it with what
the code raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """One code: HTTP status, meaning, and the next step in a sentence."""

    status: int
    means: str
    next_step: str


CODES: Mapping[str, Code] = {
    # any request
    "request_invalid": Code(422, "The request can't be read; `fields` says where.", "Mend the named fields."),
    "cursor_invalid": Code(400, "The cursor is not one of ours.", "Start without one."),
    "not_signed_in": Code(401, "No valid token.", "Sign in, or send a token as 'Authorization: Bearer …'."),
    "not_found": Code(
        404, "There is nothing at this address.", "Look the address up in the API's description."
    ),
    "method_not_allowed": Code(405, "This address knows no such method.", "See the Allow header."),
    "http_error": Code(400, "The request could not be handled.", "Look at the detail."),
    "body_too_large": Code(413, "The request's body is larger than is taken here.", "Send less at once."),
    "too_many_requests": Code(
        429, "More requests than a member may make in a minute.", "Wait for Retry-After."
    ),
    "too_many_streams": Code(
        429, "As many live streams as one member may have open.", "Close a browser tab."
    ),
    "internal": Code(500, "A mistake of ours; the log has it under the request's id.", "Try again later."),
    "part_away": Code(503, "A part of the studio is away for a moment.", "Try again after Retry-After."),
    "database_away": Code(503, "The database is away for a moment.", "Try again after Retry-After."),
    "disk_full": Code(507, "The storage is full; nothing was kept.", "The operator must free some space."),
    # account
    "busy": Code(503, "Too many people sign in at once.", "Try again in a moment."),
    "too_many_tries": Code(429, "Too many tries in a row.", "Wait for Retry-After, or ask for a reset link."),
    "sign_in_refused": Code(401, "Address and password don't fit together.", "Try again, or ask for a link."),
    "sign_up_closed": Code(403, "New members come by invitation only.", "Ask the admin for an invitation."),
    "account_exists": Code(409, "This address has an account.", "Sign in with it."),
    "email_invalid": Code(422, "This is no e-mail address.", "Correct it."),
    "password_weak": Code(422, "The password is too short or tried first.", "Take a few unrelated words."),
    "password_wrong": Code(422, "The present password is another one.", "Try again."),
    "password_changed": Code(
        409, "The password was changed elsewhere just now.", "Sign in with the new one."
    ),
    "link_not_found": Code(404, "The one-time link is not good any more.", "Ask the admin for a new one."),
    "session_not_found": Code(404, "There is no such session of yours.", "Look at your sessions."),
    "session_needed": Code(403, "A token can't do this.", "Sign in and do it there."),
    "fresh_sign_in_needed": Code(
        403, "This needs a proof of the last minutes that it is you.", "Prove it (POST /api/v1/proof)."
    ),
    "passkey_needed": Code(
        401, "This account wants a passkey beside the password.", "Send `passkey` or `recovery_code` too."
    ),
    "passkey_refused": Code(422, "The passkey was not accepted.", "Begin again, on the studio's own page."),
    "passkeys_unavailable": Code(
        409, "Passkeys need https and a name, or localhost.", "Set PUBLIC_URL to an https address."
    ),
    "passkey_not_found": Code(404, "There is no such passkey of yours.", "Look at your passkeys."),
    "too_many_passkeys": Code(409, "A member has 20 passkeys at most.", "Remove one first."),
    "last_passkey": Code(409, "Signing in needs this last passkey.", "Let the password be enough first."),
    "no_passkey": Code(409, "You have no passkey yet.", "Register one first."),
    "no_password": Code(409, "The account has no password.", "Set one (PUT /api/v1/password)."),
    "provider_unavailable": Code(409, "This studio has no sign-in provider.", "Sign in another way."),
    "provider_away": Code(
        503, "The sign-in provider does not answer as it should.", "Try again in a minute."
    ),
    "provider_refused": Code(401, "The sign-in provider's answer was not accepted.", "Begin again."),
    "identity_email_unverified": Code(
        403, "The provider has not verified an address of yours.", "Verify it there, or link an account."
    ),
    "identity_not_linked": Code(
        409, "An account with this address is not linked to the provider.", "Sign in to it, then link it."
    ),
    "identity_taken": Code(409, "An account here is linked to this one already.", "Unlink it there first."),
    "identity_not_found": Code(404, "There is no such link of yours.", "Look at your links."),
    "last_way_in": Code(
        409, "Nothing else opens this account.", "Set a password or register a passkey first."
    ),
    "mail_unavailable": Code(409, "This studio sends no mail.", "Ask its admin for a link."),
    "push_invalid": Code(
        422, "This is no browser that can be pushed to.", "Switch it on again in the browser."
    ),
    "csrf_token_missing": Code(
        403, "A change by cookie needs X-CSRF-Token.", "Take it from GET /api/v1/session."
    ),
    "foreign_origin": Code(
        403, "Another site has made the browser send this.", "Use the studio's own pages."
    ),
    "scope_missing": Code(403, "The token is not good for that.", "Use one with the scope it needs."),
    "scope_unknown": Code(422, "There is no such scope.", "Take some of the listed ones."),
    "scope_refused": Code(422, "More than the maker of the token may do.", "Ask for less."),
    "token_life_invalid": Code(422, "A token lives a year at most.", "Ask for fewer days."),
    "too_many_tokens": Code(422, "A member has 50 tokens at most.", "Take one back."),
    "token_not_found": Code(404, "There is no such token of yours.", "Look at your tokens."),
    # admin
    "admins_only": Code(403, "Only an admin may do this.", "Ask an admin."),
    "member_not_found": Code(404, "There is no such account.", "Look at the accounts."),
    "last_admin": Code(409, "The only admin who can sign in.", "Make another member an admin first."),
    "has_admin": Code(409, "The studio has an admin already.", "Sign in."),
    "joining_closed": Code(409, "Nobody can join: sign_up is closed.", "Set it to invitation first."),
    "invitation_not_found": Code(404, "There is no such invitation.", "Look at the invitations."),
    "held_already": Code(409, "The member is held already.", "Look at the holds."),
    "hold_not_found": Code(404, "The member is not held.", "Look at the holds."),
    "glass_not_found": Code(404, "You have no such break-glass open.", "Open one, with a reason."),
    "thing_not_found": Code(404, "No such photo or picture of the member's.", "Look at the list."),
    "head_invalid": Code(422, "No head of the audit events' chain.", "Give it as number:digest."),
    "setting_not_found": Code(404, "There is no such setting.", "Look at the settings."),
    "setting_invalid": Code(422, "The setting has no such value.", "Take one of its values."),
    "setting_locked": Code(409, "The environment decides this setting.", "Change the environment."),
    "handle_invalid": Code(400, "A local member's name has 1 to 4,096 characters.", "Give another name."),
    "subject_word_invalid": Code(422, "The word for the person can't be used.", "Use person, woman or man."),
    "consent_outdated": Code(422, "That wording is not today's.", "Read today's and agree to it."),
    "consent_needed": Code(422, "Photos of a face need consent first.", "Agree (POST /api/v1/consents)."),
    # taking back
    "account_erasing": Code(
        409,
        "What the member lent is being erased.",
        "Follow it with the receipt's token (GET /api/v1/receipt).",
    ),
    "account_held": Code(409, "The member's things are kept as they are.", "Ask the studio's operator."),
    "receipt_token_used": Code(422, "Another erasure has this Receipt-Token.", "Draw a new one."),
    "range_beyond": Code(416, "The export has no such byte.", "You have all of it; else begin anew."),
    "receipt_not_found": Code(404, "No receipt for this token.", "Send the whole token as Receipt-Token."),
    "generation_unfinished": Code(409, "Its generation still brings pictures.", "Wait until it is done."),
    # photos
    "form_unreadable": Code(400, "The upload is no readable form.", "Send photos as parts named 'files'."),
    "no_files": Code(400, "There is no photo in the request.", "Send photos as parts named 'files'."),
    "too_many_photos": Code(422, "As many accepted photos as a training uses.", "Remove some first."),
    "too_many_rejected": Code(422, "Very many photos were rejected.", "Remove the rejected ones first."),
    "upload_not_found": Code(404, "There is no such photo of yours on its way.", "Begin anew."),
    "upload_offset": Code(409, "The photo goes on at another byte.", "Ask how far it has come; go on there."),
    "upload_too_large": Code(400, "Longer than a photo may be.", "Save a smaller copy and send that."),
    "upload_too_long": Code(400, "More bytes than were announced.", "Begin anew with the right length."),
    "upload_broken": Code(409, "The pieces of the photo do not fit together.", "Begin anew."),
    "too_many_uploads": Code(422, "Twenty photos are on their way.", "Finish them or give some up."),
    "selfie_not_found": Code(404, "There is no such photo of yours.", "Look at your photos."),
    # training
    "too_few_photos": Code(422, "Fewer than 10 accepted photos.", "Add more photos of the same person."),
    "training_in_hand": Code(409, "A training of yours is running.", "Wait for it, or cancel it."),
    "start_budget_spent": Code(429, "As many trainings as a day allows.", "Try again after Retry-After."),
    "training_not_found": Code(404, "There is no such training of yours.", "Look at your trainings."),
    "training_ended": Code(409, "The training has ended.", "Start another one whenever you like."),
    "training_not_failed": Code(409, "Only a training that failed is begun again.", "Look where it stands."),
    "nothing_to_retry": Code(
        409, "Only a parked training can be retried.", "Wait for it, or start a new one if it has ended."
    ),
    "no_room_for_models": Code(409, "No provider account has room for another model.", "Ask the operator."),
    "version_not_found": Code(404, "There is no such version of your model.", "Look at your versions."),
    # generation
    "no_photos_yet": Code(
        409, "No model, and too few photos for one.", "Add at least 10 photos, then train."
    ),
    "no_model": Code(409, "No model yet, but photos enough.", "Start a training."),
    "model_in_training": Code(409, "Your first model is being trained.", "Come back when it is ready."),
    "training_to_retry": Code(
        409, "A model is trained, but not usable yet.", "Retry its training, at no cost."
    ),
    "prompt_empty": Code(422, "There are no words.", "Say what you would like to see."),
    "prompt_sexual": Code(422, "No nude and no sexual pictures.", "Describe clothes, place and light."),
    "prompt_minor": Code(422, "Pictures of adults only.", "Describe the person as the adult they are."),
    "prompt_named_person": Code(
        422, "No pictures after a person on the operator's list.", "Leave the name out."
    ),
    "prompt_too_long": Code(422, "More words than a picture can use.", "Use fewer words."),
    "key_reused": Code(422, "This Idempotency-Key came with another request.", "Use a new key."),
    "seeds_used_up": Code(409, "These words have been drawn very often.", "Change a word."),
    "generation_quota_spent": Code(429, "As many pictures as a day allows.", "Try again after Retry-After."),
    "generation_not_found": Code(404, "There is no such generation of yours.", "Look at your generations."),
    "generation_ended": Code(409, "These pictures are already done.", "Nothing to do."),
    # Maya
    "maya_chat_not_found": Code(404, "There is no such conversation of yours.", "Begin a new one."),
    "maya_card_not_found": Code(404, "There is no such card of yours.", "Ask Maya for new ideas."),
    "maya_message_not_found": Code(404, "There is no such answer to you.", "Look at the conversation."),
    "maya_note_not_found": Code(404, "Maya remembers no such thing.", "Look at what she remembers."),
    "maya_words_empty": Code(422, "There are no words.", "Say what you would like to be seen in."),
    "maya_words_too_long": Code(422, "More words than a message has.", "Say it shorter."),
    "maya_note_invalid": Code(422, "A note has 1 to 200 characters.", "Say it in one short sentence."),
    "maya_note_known": Code(409, "Maya remembers that already.", "Nothing to do."),
    "maya_memory_full": Code(409, "Maya remembers 30 things at most.", "Delete one first."),
    "maya_answering": Code(409, "Maya is still answering.", "Wait for her answer."),
    "maya_chat_full": Code(409, "The conversation has grown very long.", "Begin a new one."),
    "maya_nothing_to_retry": Code(409, "The answer has not failed.", "Say it in a new message."),
    "maya_budget_spent": Code(
        429, "As much talk as a day allows.", "Try again after Retry-After; the photoshoot is open."
    ),
    "maya_refused": Code(502, "Maya's language model would not answer that.", "Say it another way."),
    "maya_unreadable": Code(502, "What Maya's language model sent is no answer, twice.", "Try again."),
    "maya_away": Code(503, "Maya's language model can't be reached.", "Try again; the photoshoot is open."),
    "maya_slow": Code(503, "Maya took too long to answer.", "Try again; the photoshoot is open."),
    # photoshoot
    "collection_not_found": Code(404, "There is no such collection.", "Look at the collections."),
    "look_not_found": Code(404, "There is no such look in the collection.", "Look at the collection."),
    "colour_unknown": Code(422, "Not one of the colours, or too many.", "Take up to 4 of the listed ones."),
    "colours_unused": Code(422, "This is shot without colours.", "Send none, or choose another one."),
    "too_many_sets": Code(409, "Five sets are not finished yet.", "Cancel the rest of one, or wait."),
    "set_not_found": Code(404, "There is no such set of yours.", "Look at your sets."),
    "set_ended": Code(409, "This set is finished.", "Look at its pictures."),
    # pictures
    "image_not_found": Code(404, "There is no such picture of yours.", "Look at your pictures."),
    "album_not_found": Code(404, "There is no such album of yours.", "Look at your albums, or make one."),
    "album_exists": Code(409, "You have an album of that name.", "Use it, or take another name."),
    "album_name_invalid": Code(422, "An album's name has 1 to 80 characters.", "Give it a short name."),
    # the operator
    "account_not_found": Code(404, "No such provider account is configured.", "See the studio's settings."),
}
