"""What browsers send of a passkey: the JSON of `PublicKeyCredential.toJSON()`, closed and bounded. Shapes only."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

LONGEST = 16_384
Encoded = Annotated[str, Field(max_length=LONGEST, examples=["dGhlIGJyb3dzZXIncyBieXRlcw"])]
CodeIn = Annotated[str, Field(min_length=20, max_length=100, examples=["abcd-efgh-ijkl-mnop-qrst-uvwx"])]


class AnswerIn(BaseModel):
    """What the device has signed, or made; base64url. What only some browsers add is taken and left aside."""

    model_config = ConfigDict(extra="forbid")
    clientDataJSON: Encoded  # noqa: N815  # the names are the standard's
    authenticatorData: Encoded | None = None  # noqa: N815
    signature: Encoded | None = None
    userHandle: Encoded | None = None  # noqa: N815
    attestationObject: Encoded | None = None  # noqa: N815
    publicKey: Encoded | None = None  # noqa: N815
    publicKeyAlgorithm: int | None = Field(default=None, examples=[-7])  # noqa: N815
    transports: list[Annotated[str, Field(max_length=40)]] | None = Field(
        default=None, max_length=20, examples=[["internal"]]
    )


class CredentialIn(BaseModel):
    """A passkey's answer to a challenge."""

    model_config = ConfigDict(extra="forbid")
    id: Encoded
    rawId: Encoded  # noqa: N815
    type: str = Field(max_length=40, examples=["public-key"])
    response: AnswerIn
    authenticatorAttachment: str | None = Field(default=None, max_length=40, examples=["platform"])  # noqa: N815
    clientExtensionResults: dict[str, Any] | None = Field(default=None, max_length=50, examples=[{}])  # noqa: N815

    def plain(self) -> dict[str, Any]:
        """As the browser said it."""
        return self.model_dump(exclude_none=True)
