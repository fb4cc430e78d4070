"""What an erasure needs of Maya: removing conversations, cards, style, memory and what they cost."""

from portraitist.studio.db import UserTx


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many of each table."""
    return {
        "maya_shots": await tx.run("delete from maya_shots"),
        "concept_cards": await tx.run("delete from concept_cards"),
        "maya_messages": await tx.run("delete from maya_messages"),
        "maya_chats": await tx.run("delete from maya_chats"),
        "maya_styles": await tx.run("delete from maya_styles"),
        "maya_memory": await tx.run("delete from maya_memory"),
        "maya_usage": await tx.run("delete from maya_usage"),
    }
