"""What each data set is, who made it, under which licence, and where its files come from: the one source.

`docs/data.md` shows the same facts; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinygrad_cnn.data.files import RemoteFile

_DIGITS = tuple("0123456789")


def _gz(name: str, sha256: str) -> RemoteFile:
    return RemoteFile(f"{name}.gz", {name: sha256})


def _tar_gz(name: str, sha256: str, folder: str, content: Mapping[str, str]) -> RemoteFile:
    return RemoteFile(f"{name}.tar.gz", {f"{folder}/{file}": digest for file, digest in content.items()}, sha256)


@dataclass(frozen=True)
class DataInfo:
    """The facts of one data set.

    Attributes:
        name: As in `data.load(name)`.
        title: Its full name.
        license: Its licence, in words.
        source: The address of its authors' page.
        citation: What to cite.
        image_shape: (C, H, W) of one image.
        mean: Per channel, of the training images scaled to 0 … 1.
        std: Likewise.
        sizes: Training and test images.
        shift: How many pixels a training image may be shifted by without changing what it shows much.
        mirror: Whether its mirror image shows the same thing.
        classes: The names of the labels 0, 1, ….
        mirrors: Addresses that the names of `files` are appended to.
        files: What is downloaded.
        folders: Where in a data directory the files are looked for, in this order; the first is downloaded
            to.
    """

    name: str
    title: str
    license: str
    source: str
    citation: str
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: tuple[int, int]
    shift: int
    mirror: bool
    classes: tuple[str, ...] = field(repr=False)
    mirrors: tuple[str, ...] = field(default=(), repr=False)
    files: tuple[RemoteFile, ...] = field(default=(), repr=False)
    folders: tuple[str, ...] = field(default=(), repr=False)

    @property
    def published(self) -> dict[str, str]:
        """The name of each file, as it is when unpacked → the SHA-256 of its content."""
        return {name: sha256 for file in self.files for name, sha256 in file.content.items()}


DIGITS = DataInfo(
    name="digits",
    title="Optical Recognition of Handwritten Digits (the 1,797 test digits, bundled with scikit-learn)",
    license="CC BY 4.0",
    source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    citation="Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning "
    "Repository, doi:10.24432/C50P49",
    image_shape=(1, 28, 28),
    mean=(0.3062,),
    std=(0.3256,),
    sizes=(1438, 359),
    shift=2,
    mirror=False,
    classes=_DIGITS,
)

MNIST = DataInfo(
    name="mnist",
    title="MNIST handwritten digits",
    license="CC BY-SA 3.0 (Yann LeCun and Corinna Cortes)",
    source="http://yann.lecun.com/exdb/mnist/",
    citation="LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition, "
    "Proceedings of the IEEE 86(11)",
    image_shape=(1, 28, 28),
    mean=(0.1307,),
    std=(0.3081,),
    sizes=(60_000, 10_000),
    shift=2,
    mirror=False,
    classes=_DIGITS,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files=(
        _gz("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        _gz("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        _gz("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        _gz("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
    folders=("mnist", "MNIST/raw", "MNIST", "mnist/raw", ""),
)

FASHION_MNIST = DataInfo(
    name="fashion-mnist",
    title="Fashion-MNIST pictures of clothes",
    license="MIT (Zalando SE)",
    source="https://github.com/zalandoresearch/fashion-mnist",
    citation="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a novel image dataset for benchmarking machine "
    "learning algorithms, arXiv:1708.07747",
    image_shape=(1, 28, 28),
    mean=(0.2860,),
    std=(0.3530,),
    sizes=(60_000, 10_000),
    shift=2,
    mirror=True,
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    mirrors=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    # SHA-256 computed from the files that Debian ships (dataset-fashion-mnist); other projects list the same
    files=(
        _gz("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        _gz("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        _gz("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        _gz("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
    folders=(
        "fashion-mnist",
        "FashionMNIST/raw",
        "FashionMNIST",
        "fashion_mnist",
        "data/fashion",
        "fashion",
        "",
    ),
)

_KRIZHEVSKY = "Krizhevsky 2009, Learning multiple layers of features from tiny images, technical report, Toronto"
_NO_LICENSE = "none stated by the authors; free to use for research with the citation"
_TORONTO = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")

CIFAR10 = DataInfo(
    name="cifar10",
    title="CIFAR-10 small colour photographs",
    license=_NO_LICENSE,
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    citation=_KRIZHEVSKY,
    image_shape=(3, 32, 32),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    sizes=(50_000, 10_000),
    shift=4,
    mirror=True,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    mirrors=_TORONTO,
    # SHA-256 of the archive as in several projects, of the files in it as in the torchvision port for Ruby
    files=(
        _tar_gz(
            "cifar-10-binary",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            folder="cifar-10-batches-bin",
            content={
                "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
            },
        ),
    ),
    folders=("cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", ""),
)

CIFAR100 = DataInfo(
    name="cifar100",
    title="CIFAR-100 small colour photographs",
    license=_NO_LICENSE,
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    citation=_KRIZHEVSKY,
    image_shape=(3, 32, 32),
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    sizes=(50_000, 10_000),
    shift=4,
    mirror=True,
    classes=tuple(
        """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
        camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
        crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
        keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
        mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain
        plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew
        skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
        telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree
        wolf woman worm""".split()  # noqa: SIM905 (one name a line would be 100 lines)
    ),
    mirrors=_TORONTO,
    # from the same projects
    files=(
        _tar_gz(
            "cifar-100-binary",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            folder="cifar-100-binary",
            content={
                "train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
                "test.bin": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
            },
        ),
    ),
    folders=("cifar100", "cifar-100-binary", "cifar100/cifar-100-binary", ""),
)

ALL = {info.name: info for info in (DIGITS, MNIST, FASHION_MNIST, CIFAR10, CIFAR100)}
