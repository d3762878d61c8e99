"""Which country a point lies in, which land several states claim, and how many people live where."""
