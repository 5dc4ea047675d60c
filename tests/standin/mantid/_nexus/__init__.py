"""Mantid's NeXus files: multidimensional events and histograms, experiments, histories, processed spectra."""
