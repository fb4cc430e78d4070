"""What happens again when the same event, payment or question comes again."""
