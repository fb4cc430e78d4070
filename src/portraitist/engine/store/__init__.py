"""The engine's repositories: one module per table or pair of tables, plain SQL, the transaction first.

No repository commits, calls the network or decides; `lifecycle` combines them. Times are the database's.
"""

from typing import Any, TypeAlias

from psycopg import AsyncConnection

Tx: TypeAlias = AsyncConnection[dict[str, Any]]
