"""Files that several of the small studios of these tests have in common."""

from __future__ import annotations

CLIENTS = """
import Replicate from "replicate";
import { createClient } from "@supabase/supabase-js";
export const replicate = new Replicate();
export const db = createClient(process.env.URL!, process.env.SUPABASE_SERVICE_ROLE_KEY!);
"""
"""Goes to `lib/clients.ts`: the provider's client, and a database's that passes by every policy."""
