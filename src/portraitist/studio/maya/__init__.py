"""Maya, the stylist: conversations, cards that can be shot, style and memory. Her mind is a part that varies."""
