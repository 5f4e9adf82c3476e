"""LeNet-5 as it is taught today, made of the library's layers."""

from tinygrad_cnn import nn


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and max pooling: (N, 1, 28, 28) images in, (N, 10) scores out.

    | where | layer | output | parameters |
    |---|---|---|---|
    | features | conv1: 6 filters 5×5, padding 2; ReLU | 6×28×28 | 156 |
    | | max pooling 2×2 | 6×14×14 | |
    | | conv2: 16 filters 5×5, no padding; ReLU | 16×10×10 | 2,416 |
    | | max pooling 2×2 | 16×5×5 | |
    | classifier | flattened | 400 | |
    | | fc1; ReLU | 120 | 48,120 |
    | | fc2; ReLU | 84 | 10,164 |
    | | fc3 | 10 | 850 |

    The parameters must be named features.conv1.weight, features.conv1.bias, …, classifier.fc3.bias: `self.features` and
    `self.classifier` are two modules, and the layers with parameters have the names of the table in them.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition", section
    II.B, with the activations and the pooling of later years.
    """

    def __init__(self):
        """Make the layers; super().__init__() comes first."""
        super().__init__()
        self.features = nn.Sequential(
            {
                "conv1": nn.Conv2d(1, 6, kernel_size=5, padding=2),
                "relu1": nn.ReLU(),
                "pool1": nn.MaxPool2d(2),
                "conv2": nn.Conv2d(6, 16, kernel_size=5),
                "relu2": nn.ReLU(),
                "pool2": nn.MaxPool2d(2),
            }
        )
        self.classifier = nn.Sequential(
            {
                "fc1": nn.Linear(400, 120),
                "relu3": nn.ReLU(),
                "fc2": nn.Linear(120, 84),
                "relu4": nn.ReLU(),
                "fc3": nn.Linear(84, 10),
            }
        )

    def forward(self, x):
        """The scores of the ten classes, one row for each image."""
        maps = self.features(x)
        return self.classifier(maps.flatten(1))
