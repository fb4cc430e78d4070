"""The training process with small batches and pools, so that a test's training is a matter of seconds."""

from portraitist.engine.children import train
from portraitist.engine.tiny import personal, variants

if __name__ == "__main__":
    variants.EACH = 2
    personal.REPLAYED = 3
    personal.FLOW_BATCH = 6
    personal.DECODER_BATCH = 2
    train.main()
