"""Hand the folder's photos to the studio and show how each was judged; refuse where too few are good."""

from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage
from portraitist.cli.folder import PhotoFolder
from portraitist.cli.output import Output
from portraitist.cli.plan import MINIMUM_PHOTOS, Train
from portraitist.cli.wire import Photo

# Photos in one request: the bar moves, and a request stays well below the studio's size limit.
BATCH = 4


async def upload(
    api: StudioApi, folder: PhotoFolder, known: list[Photo], todo: Train, output: Output
) -> list[Photo]:
    """Bring the studio's photos in line with the folder; returns the accepted ones.

    Raises BadUsage where fewer than ten are accepted: nothing is trained or spent then.
    """
    for photo in known:
        if photo.digest in todo.remove:
            await api.remove_photo(photo.id)
    judged = {photo.digest: photo for photo in known if photo.digest in folder.digests}
    new = [photo for photo in folder.photos if photo.digest in todo.upload]
    with output.bar() as bar:
        for start in range(0, len(new), BATCH):
            bar.update(f"Judging the photos {start}/{len(new)}", start / len(new))
            batch = new[start : start + BATCH]
            answers = await api.upload([(photo.path.name, photo.path.read_bytes()) for photo in batch])
            judged |= {photo.digest: photo for photo in answers}
    accepted = [photo for photo in judged.values() if photo.accepted]
    _show(folder, judged, len(accepted), output)
    if len(accepted) < MINIMUM_PHOTOS:
        raise BadUsage(
            f"{len(accepted)} of the {len(folder.photos) + len(folder.unusable)} photos can be used; "
            f"a model needs at least {MINIMUM_PHOTOS}. Nothing was trained.",
            next_step="Add more photos (15 to 20 different ones work best), then run the same command again.",
            code="too_few_photos",
        )
    return accepted


def _show(folder: PhotoFolder, judged: dict[str, Photo], accepted: int, output: Output) -> None:
    """How many can be used, and for each that can't, why not; a program hears of every file."""
    rows = []
    for photo in folder.photos:
        verdict = judged[photo.digest]
        rows.append((photo.path.name, verdict.status, verdict.reason or ""))
    rows += [(unusable.name, "rejected", unusable.reason) for unusable in folder.unusable]
    for name, word, reason in rows:
        output.emit("photo", file=name, status=word, reason=reason or None)
    rejected = [(name, reason) for name, word, reason in rows if word != "accepted"]
    if not rejected:
        output.say(f"All {accepted} photos are good.")
        return
    title = f"{accepted} of {len(rows)} photos are good; these can't be used:"
    output.table(title, ("photo", "why, and how to mend it"), rejected)
