"""The training process with small batches and pools, so that a test's training is a matter of seconds."""

from portraitist.engine.children import train
from portraitist.engine.tiny import member

WHOLE = member.train


def shrunk(request: member.TrainingRequest, progress: member.Progress) -> member.TrainingResult:
    """Import what is shrunk only now, as the trainer itself does: a bad zip does not wait for torch."""
    from portraitist.engine.tiny import personal, variants

    variants.EACH = 2
    personal.REPLAYED = 3
    personal.FLOW_BATCH = 6
    personal.DECODER_BATCH = 2
    return WHOLE(request, progress)


if __name__ == "__main__":
    member.train = shrunk
    train.main()
