"""Who may look at the account's pages: a member who has signed in, and for some changes has done so just now.

A token, however much it is good for, opens none of them: the API says one by one what a token may do to an account.
"""

from typing import Annotated

from fastapi import Depends

from portraitist.studio.accounts.signed_in import SessionOnly, SignInDep
from portraitist.studio.web.visits import MemberVisit, OwnVisit


async def account_visit(visit: OwnVisit, who: SessionOnly) -> MemberVisit:
    """A visit by somebody who has signed in. Raises NotSignedIn, and Forbidden for a token."""
    assert visit.who == who, "one request is one member's"
    return visit


AccountVisit = Annotated[MemberVisit, Depends(account_visit)]


async def fresh_visit(visit: AccountVisit, doors: SignInDep) -> MemberVisit:
    """The same, proved in the last minutes. Raises Forbidden too, which pages answer with the way to prove it."""
    await doors.require_fresh(visit.who, visit.now)
    return visit


FreshVisit = Annotated[MemberVisit, Depends(fresh_visit)]
