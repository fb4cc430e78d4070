"""What members lend and take back: erasure with a receipt, consent withdrawn, export, how long things are kept."""
