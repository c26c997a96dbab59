// SPDX-License-Identifier: Apache-2.0
// What torchvision publishes of these networks: its names, its epsilons, and how images are prepared
// for each set of weights (torchvision 0.14, the `transforms` of each Weights: crop_size, resize_size,
// interpolation). A test compares the table with torchvision where that is installed.

import { fractionOf, half, imageNet, type PublishedModels, type PublishedRecipe } from './model.js';

const resized = (size: number, short: number): PublishedRecipe => imageNet(size, fractionOf(size, short));
const bilinear = (size: number, short: number): PublishedRecipe => imageNet(size, fractionOf(size, short), { filter: 'bilinear' });

export const torchvisionModels = {
  efficientnet_b0: { architecture: 'b0', weights: { imagenet1k_v1: resized(224, 256) } },
  efficientnet_b1: { architecture: 'b1', weights: { imagenet1k_v1: resized(240, 256), imagenet1k_v2: bilinear(240, 255) } },
  efficientnet_b2: { architecture: 'b2', weights: { imagenet1k_v1: resized(288, 288) } },
  efficientnet_b3: { architecture: 'b3', weights: { imagenet1k_v1: resized(300, 320) } },
  efficientnet_b4: { architecture: 'b4', weights: { imagenet1k_v1: resized(380, 384) } },
  // B5 to B7 and V2-L hold weights trained in TensorFlow, hence the epsilon, but run with symmetric padding.
  efficientnet_b5: { architecture: 'b5', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: resized(456, 456) } },
  efficientnet_b6: { architecture: 'b6', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: resized(528, 528) } },
  efficientnet_b7: { architecture: 'b7', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: resized(600, 600) } },
  efficientnet_v2_s: { architecture: 'v2-s', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: bilinear(384, 384) } },
  efficientnet_v2_m: { architecture: 'v2-m', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: bilinear(480, 480) } },
  efficientnet_v2_l: { architecture: 'v2-l', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: half(480, 1) } },
  mobilenet_v2: { architecture: 'mobilenetv2-100', weights: { imagenet1k_v1: bilinear(224, 256), imagenet1k_v2: bilinear(224, 232) } },
  mobilenet_v3_large: { architecture: 'mobilenetv3-large', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: bilinear(224, 256), imagenet1k_v2: bilinear(224, 232) } },
  mobilenet_v3_small: { architecture: 'mobilenetv3-small', batchNormEpsilon: 1e-3, weights: { imagenet1k_v1: bilinear(224, 256) } },
  mnasnet0_5: { architecture: 'mnasnet-b1-050', weights: { imagenet1k_v1: bilinear(224, 256) } },
  mnasnet0_75: { architecture: 'mnasnet-b1-075', weights: { imagenet1k_v1: bilinear(224, 232) } },
  mnasnet1_0: { architecture: 'mnasnet-b1', weights: { imagenet1k_v1: bilinear(224, 256) } },
  mnasnet1_3: { architecture: 'mnasnet-b1-130', weights: { imagenet1k_v1: bilinear(224, 232) } },
} as const satisfies PublishedModels;
