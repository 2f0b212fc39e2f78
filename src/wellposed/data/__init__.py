"""Toys and image sets: small ones drawn from a seed, real ones read from where the user keeps them."""

from wellposed.data.cifar10 import read_cifar10
from wellposed.data.qtips import qtips, read_qtips
from wellposed.data.toys import ellipses, peaks, swiss_roll

__all__ = ["ellipses", "peaks", "qtips", "read_cifar10", "read_qtips", "swiss_roll"]
