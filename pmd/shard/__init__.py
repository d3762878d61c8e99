"""The training-ready form: samples, in a global order that depends on keys and the seed alone, cut into equal shards."""
