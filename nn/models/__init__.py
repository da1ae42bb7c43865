"""The networks of the course, by name. Each is built anew with random weights.

| network        | layers                                                                            |  parameters |
|----------------|-----------------------------------------------------------------------------------|-------------|
| numpy_cnn      | 1x28x28 -> conv 8@5x5 -> conv 8@5x5 -> max pool 2 -> dense 128 -> 10, ReLU        |     105,634 |
| student_mnist  | 1x28x28 -> conv 20@3x3 -> pool 2 -> dense 20 -> 10, leaky ReLU                    |      68,030 |
| student_cifar  | 3x32x32 -> conv 6@4x4 -> max pool 2 -> 10, leaky ReLU                             |      12,064 |
| perceptron     | 784 -> 16 -> 16 -> 10, ReLU                                                       |      13,002 |
| codelab_cnn    | 1x28x28 -> conv 12@3x3 -> conv 24@6x6/2 -> conv 32@6x6/2 -> dense 200 -> 10, ReLU |     354,002 |
| keras_convnet  | 1x28x28 -> conv 32@3x3 -> pool 2 -> conv 64@3x3 -> pool 2 -> dropout -> 10, ReLU  |      34,826 |
| lenet5         | 1x32x32 -> conv 6@5x5 -> pool 2 -> conv 16@5x5 -> pool 2 -> 120 -> 84 -> 10, tanh |      61,706 |
| alexnet        | 3x227x227 -> 5 convolutions, 2 response norms, 3 poolings -> 4096 -> 4096 -> 1000 |  62,378,344 |
| vgg11          | 3x224x224 -> 8 convolutions 3x3, 5 poolings -> 4096 -> 4096 -> 1000               | 132,863,336 |
| vgg13          | the same with 10 convolutions                                                     | 133,047,848 |
| vgg16          | the same with 13 convolutions                                                     | 138,357,544 |
| vgg19          | the same with 16 convolutions                                                     | 143,667,240 |
| googlenet      | 3x224x224 -> 9 inception blocks -> average -> 1000, two auxiliary classifiers     |  13,004,888 |
| resnet18       | 3x224x224 -> 8 blocks of two convolutions 3x3 -> average -> 1000                  |  11,689,512 |
| resnet34       | the same with 16 blocks                                                           |  21,797,672 |
| resnet50       | 3x224x224 -> 16 bottlenecks of three convolutions -> average -> 1000              |  25,557,032 |
| resnet101      | the same with 33 bottlenecks                                                      |  44,549,160 |
| resnet152      | the same with 50 bottlenecks                                                      |  60,192,808 |
| resnet20       | 3x32x32 -> 9 blocks of two convolutions 3x3 -> average -> 10                      |     269,722 |

All take images (N, C, H, W) and give logits (N, classes): train them with `CrossEntropyLoss`. The parameters of vgg,
googlenet and resnet have torchvision's names, so that its weights fit.

Source: course, section 4.
"""

from nn.models.classic import alexnet, lenet5
from nn.models.inception import GoogLeNet, GoogLeNetOutputs, googlenet
from nn.models.residual import ResNet, resnet18, resnet20, resnet34, resnet50, resnet101, resnet152
from nn.models.small import codelab_cnn, keras_convnet, numpy_cnn, perceptron, student_cifar, student_mnist
from nn.models.vgg import VGG, vgg11, vgg13, vgg16, vgg19

__all__ = [
    "VGG",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "ResNet",
    "alexnet",
    "codelab_cnn",
    "googlenet",
    "keras_convnet",
    "lenet5",
    "numpy_cnn",
    "perceptron",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "student_cifar",
    "student_mnist",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
]
