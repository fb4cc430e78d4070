"""The tokenizer and the two text encoders of the tiny FLUX, over the vocabulary of `words`.

A concept of several words ("in a garden") is one token, so that a colour cannot come loose from what it colours. What
free text means is decided in `words`.
"""

from collections.abc import Sequence

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from portraitist.engine.tiny.words import CONCEPTS, LOOKS

TOKENS = 20
"""Length of every text, in training and in sampling: `max_sequence_length` of FluxPipeline."""
WIDTH = 128
PAD, START, UNKNOWN, END = "<pad>", "<s>", "<unk>", "</s>"
MEMBER = "member-word"
"""The base's spare word that becomes a member's trigger word."""
SPARE = 64
"""Entries without a meaning yet, so that a later base can learn words without changing its shapes."""


def vocabulary(trigger_word: str = MEMBER) -> dict[str, int]:
    """Every token and its number; the same numbers whatever the trigger word."""
    # CLIP pools at the end token only if its number is not 2, so the unknown word comes before it.
    words = [PAD, START, UNKNOWN, END, trigger_word.lower()]
    words += [_joined(word) for word in (*CONCEPTS, *LOOKS)]
    words += [f"<spare-{number}>" for number in range(SPARE)]
    return {word: number for number, word in enumerate(words)}


def _joined(concept: str) -> str:
    return concept.replace(" ", "_")


def make_tokenizer(trigger_word: str = MEMBER) -> PreTrainedTokenizerFast:
    """One tokenizer for both encoders; `trigger_word` is the member's own word."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary(trigger_word), unk_token=UNKNOWN))
    phrases = sorted((word for word in CONCEPTS if " " in word), key=len, reverse=True)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(",", " "),
            normalizers.Replace(Regex(r"\s+"), " "),
            *(normalizers.Replace(phrase, _joined(phrase)) for phrase in phrases),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    numbers = vocabulary(trigger_word)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, numbers[START]), (END, numbers[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=START, eos_token=END, unk_token=UNKNOWN,
        model_max_length=TOKENS,
    )  # fmt: skip


def numbers_of(tokenizer: PreTrainedTokenizerFast, captions: Sequence[str]) -> Tensor:
    """Token numbers, captions × TOKENS, padded as FluxPipeline pads."""
    encoded = tokenizer(
        list(captions), padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
    )
    numbers: Tensor = encoded.input_ids
    return numbers


def make_pooled_encoder() -> CLIPTextModel:
    """CLIP with one layer: the whole caption as one vector."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary()), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=TOKENS, projection_dim=WIDTH, pad_token_id=0,
            bos_token_id=1, eos_token_id=3,
        )
    )  # fmt: skip


def make_token_encoder() -> T5EncoderModel:
    """T5 without layers: an embedding, one vector a token."""
    return T5EncoderModel(
        T5Config(
            vocab_size=len(vocabulary()), d_model=WIDTH, num_layers=0, num_heads=2, d_kv=64, d_ff=WIDTH,
            pad_token_id=0, eos_token_id=3, dropout_rate=0.0, tie_word_embeddings=True,
        )
    )  # fmt: skip


class Texts:
    """Both encoders and the tokenizer together."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, pooled: CLIPTextModel, tokens: T5EncoderModel
    ) -> None:
        self.tokenizer = tokenizer
        self.pooled = pooled
        self.tokens = tokens

    @classmethod
    def new(cls) -> "Texts":
        return cls(make_tokenizer(), make_pooled_encoder(), make_token_encoder())

    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.pooled.parameters(), *self.tokens.parameters()]

    def numbers(self, captions: Sequence[str]) -> Tensor:
        return numbers_of(self.tokenizer, captions)

    def encode(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """One vector a token (batch × TOKENS × WIDTH) and one a caption (batch × WIDTH)."""
        return self.tokens(numbers)[0], self.pooled(numbers).pooler_output
