"""Running on Beam: the Arrow coder, the shapes that pipelines have, workers, progress, and what comes back from them.

Only this folder and the stages' `transforms` import Apache Beam.
"""
