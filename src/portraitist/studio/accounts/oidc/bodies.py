"""What a browser brings back from the provider. Shapes only."""

from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.oidc.back import Back


class BackIn(BaseModel):
    """What stands in the address that the provider has sent the browser to."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(min_length=1, max_length=4096, examples=["SplxlOBeZQQYbYS6WxSbIA"])
    state: str = Field(min_length=1, max_length=200, examples=["enter.af0ifjsldkj"])
    issuer: str | None = Field(
        default=None, max_length=500, description="`iss` (RFC 9207).", examples=["https://id.example.org"]
    )

    def back(self, secret: str) -> Back:
        """With the secret of the browser."""
        return Back(self.code, self.state, self.issuer, secret)
