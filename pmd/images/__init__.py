"""Images: the pairs of all sources become distinct images, and takedowns and samples are carried out."""
