"""Neutron scattering from phonons: scattering lengths, Debye-Waller factors, one-phonon and multiphonon parts."""
