"""What crosses Beam: the Arrow coder and the transforms. The decisions they carry out are functions elsewhere in `pmd`."""
