"""Data: sets of samples, batches from them, and what happens to images on the way.

Table of contents:
    dataset     `Dataset`, sets in memory, parts of sets
    split       random and stratified splits
    loader      `DataLoader`: batches, order, threads, resuming
    transforms  from pictures to normalised arrays, and augmentation
    toys        points in the plane: moons, circles, spirals
    datasets    digits, MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100: `load(name)`
    catalogue   their licences, sources, checksums
    files       cache folder, reading, checking
    download    mirrors, and how files get into place
    idx, cifar  the two file formats
    collate     from samples to a batch
    resident    pictures that lie on the GPU
"""

from tinygrad_cnn.data import datasets, toys, transforms
from tinygrad_cnn.data.catalogue import DataInfo
from tinygrad_cnn.data.collate import default_collate
from tinygrad_cnn.data.dataset import (
    ConcatDataset,
    Dataset,
    ImageDataset,
    Subset,
    TensorDataset,
)
from tinygrad_cnn.data.datasets import DataSplit, available, load
from tinygrad_cnn.data.files import DataError, cache_dir
from tinygrad_cnn.data.idx import read_idx
from tinygrad_cnn.data.loader import DataLoader
from tinygrad_cnn.data.split import random_split, stratified_split

__all__ = [
    "ConcatDataset",
    "DataError",
    "DataInfo",
    "DataLoader",
    "DataSplit",
    "Dataset",
    "ImageDataset",
    "Subset",
    "TensorDataset",
    "available",
    "cache_dir",
    "datasets",
    "default_collate",
    "load",
    "random_split",
    "read_idx",
    "stratified_split",
    "toys",
    "transforms",
]
