"""What a ROOT holds and whether it is so: status, plan, explain, verify, damage, diff and peek. Nothing here writes."""
