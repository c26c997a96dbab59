// SPDX-License-Identifier: Apache-2.0
// What timm publishes of these networks: its names, and how images are prepared for each set of weights
// (timm 1.0.31, the pretrained configurations of efficientnet.py and mobilenetv3.py: input_size, crop_pct,
// crop_mode, interpolation, mean and std; the first of a name is its default, except that L2's is the
// larger). A test compares the table with timm where that is installed.

import { half, imageNet, unit, type PublishedModels } from './model.js';

export const timmModels = {
  efficientnet_b0: {
    architecture: 'b0',
    weights: {
      ra_in1k: imageNet(224, 0.875),
      ra4_e3600_r224_in1k: half(224, 0.9),
    },
  },
  efficientnet_b1: {
    architecture: 'b1',
    weights: {
      ra4_e3600_r240_in1k: half(240, 0.9),
      ft_in1k: imageNet(224, 0.875),
    },
  },
  efficientnet_b2: { architecture: 'b2', weights: { ra_in1k: imageNet(256, 0.875) } },
  efficientnet_b3: { architecture: 'b3', weights: { ra2_in1k: imageNet(288, 0.875) } },
  efficientnet_b4: { architecture: 'b4', weights: { ra2_in1k: imageNet(320, 0.875) } },
  efficientnet_b5: {
    architecture: 'b5',
    weights: {
      sw_in12k_ft_in1k: imageNet(448, 1, { squash: true }),
      sw_in12k: imageNet(416, 0.95, { classes: 11821 }),
    },
  },
  efficientnet_b6: { architecture: 'b6', untrained: true, weights: { untrained: imageNet(528, 0.942) } },
  efficientnet_b7: { architecture: 'b7', untrained: true, weights: { untrained: imageNet(600, 0.949) } },
  efficientnet_b8: { architecture: 'b8', untrained: true, weights: { untrained: imageNet(672, 0.954) } },
  efficientnet_l2: { architecture: 'l2', untrained: true, weights: { untrained: imageNet(800, 0.961) } },
  efficientnet_lite0: { architecture: 'lite0', weights: { ra_in1k: imageNet(224, 0.875) } },
  efficientnet_lite1: { architecture: 'lite1', untrained: true, weights: { untrained: imageNet(240, 0.882) } },
  efficientnet_lite2: { architecture: 'lite2', untrained: true, weights: { untrained: imageNet(260, 0.89) } },
  efficientnet_lite3: { architecture: 'lite3', untrained: true, weights: { untrained: imageNet(300, 0.904) } },
  efficientnet_lite4: { architecture: 'lite4', untrained: true, weights: { untrained: imageNet(380, 0.922) } },
  efficientnet_es: { architecture: 'edgetpu-s', weights: { ra_in1k: imageNet(224, 0.875) } },
  efficientnet_em: { architecture: 'edgetpu-m', weights: { ra2_in1k: imageNet(240, 0.882) } },
  efficientnet_el: { architecture: 'edgetpu-l', weights: { ra_in1k: imageNet(300, 0.904) } },
  efficientnet_es_pruned: { architecture: 'edgetpu-s', pruned: true, weights: { in1k: imageNet(224, 0.875) } },
  efficientnet_el_pruned: { architecture: 'edgetpu-l', pruned: true, weights: { in1k: imageNet(300, 0.904) } },
  efficientnet_b1_pruned: { architecture: 'b1', tensorflow: true, pruned: true, weights: { in1k: half(240, 0.882) } },
  efficientnet_b2_pruned: { architecture: 'b2', tensorflow: true, pruned: true, weights: { in1k: half(260, 0.89) } },
  efficientnet_b3_pruned: { architecture: 'b3', tensorflow: true, pruned: true, weights: { in1k: half(300, 0.904) } },
  efficientnetv2_s: { architecture: 'v2-s', untrained: true, weights: { untrained: imageNet(288, 1) } },
  efficientnetv2_m: { architecture: 'v2-m', untrained: true, weights: { untrained: imageNet(320, 1) } },
  efficientnetv2_l: { architecture: 'v2-l', untrained: true, weights: { untrained: imageNet(384, 1) } },
  efficientnetv2_xl: { architecture: 'v2-xl', untrained: true, weights: { untrained: imageNet(384, 1) } },
  efficientnetv2_rw_t: { architecture: 'v2-rw-t', weights: { ra2_in1k: imageNet(224, 1) } },
  efficientnetv2_rw_s: { architecture: 'v2-rw-s', weights: { ra2_in1k: imageNet(288, 1) } },
  efficientnetv2_rw_m: { architecture: 'v2-rw-m', weights: { agc_in1k: imageNet(320, 1) } },
  tf_efficientnet_b0: {
    architecture: 'b0', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(224, 0.875),
      ap_in1k: half(224, 0.875),
      aa_in1k: imageNet(224, 0.875),
      in1k: imageNet(224, 0.875),
    },
  },
  tf_efficientnet_b1: {
    architecture: 'b1', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(240, 0.882),
      ap_in1k: half(240, 0.882),
      aa_in1k: imageNet(240, 0.882),
      in1k: imageNet(240, 0.882),
    },
  },
  tf_efficientnet_b2: {
    architecture: 'b2', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(260, 0.89),
      ap_in1k: half(260, 0.89),
      aa_in1k: imageNet(260, 0.89),
      in1k: imageNet(260, 0.89),
    },
  },
  tf_efficientnet_b3: {
    architecture: 'b3', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(300, 0.904),
      ap_in1k: half(300, 0.904),
      aa_in1k: imageNet(300, 0.904),
      in1k: imageNet(300, 0.904),
    },
  },
  tf_efficientnet_b4: {
    architecture: 'b4', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(380, 0.922),
      ap_in1k: half(380, 0.922),
      aa_in1k: imageNet(380, 0.922),
      in1k: imageNet(380, 0.922),
    },
  },
  tf_efficientnet_b5: {
    architecture: 'b5', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(456, 0.934),
      ap_in1k: half(456, 0.934),
      ra_in1k: imageNet(456, 0.934),
      aa_in1k: imageNet(456, 0.934),
      in1k: imageNet(456, 0.934),
    },
  },
  tf_efficientnet_b6: {
    architecture: 'b6', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(528, 0.942),
      ap_in1k: half(528, 0.942),
      aa_in1k: imageNet(528, 0.942),
    },
  },
  tf_efficientnet_b7: {
    architecture: 'b7', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(600, 0.949),
      ap_in1k: half(600, 0.949),
      ra_in1k: imageNet(600, 0.949),
      aa_in1k: imageNet(600, 0.949),
    },
  },
  tf_efficientnet_b8: {
    architecture: 'b8', tensorflow: true,
    weights: {
      ap_in1k: half(672, 0.954),
      ra_in1k: imageNet(672, 0.954),
    },
  },
  tf_efficientnet_l2: {
    architecture: 'l2', tensorflow: true,
    weights: {
      ns_jft_in1k: imageNet(800, 0.96),
      ns_jft_in1k_475: imageNet(475, 0.936, { architecture: 'l2-475' }),
    },
  },
  tf_efficientnet_lite0: { architecture: 'lite0', tensorflow: true, weights: { in1k: half(224, 0.875) } },
  tf_efficientnet_lite1: { architecture: 'lite1', tensorflow: true, weights: { in1k: half(240, 0.882) } },
  tf_efficientnet_lite2: { architecture: 'lite2', tensorflow: true, weights: { in1k: half(260, 0.89) } },
  tf_efficientnet_lite3: { architecture: 'lite3', tensorflow: true, weights: { in1k: half(300, 0.904, { filter: 'bilinear' }) } },
  tf_efficientnet_lite4: { architecture: 'lite4', tensorflow: true, weights: { in1k: half(380, 0.92, { filter: 'bilinear' }) } },
  tf_efficientnet_es: { architecture: 'edgetpu-s', tensorflow: true, weights: { in1k: half(224, 0.875) } },
  tf_efficientnet_em: { architecture: 'edgetpu-m', tensorflow: true, weights: { in1k: half(240, 0.882) } },
  tf_efficientnet_el: { architecture: 'edgetpu-l', tensorflow: true, weights: { in1k: half(300, 0.904) } },
  tf_efficientnetv2_s: {
    architecture: 'v2-s', tensorflow: true,
    weights: {
      in21k_ft_in1k: half(300, 1),
      in1k: half(300, 1),
      in21k: half(300, 1, { classes: 21843 }),
    },
  },
  tf_efficientnetv2_m: {
    architecture: 'v2-m', tensorflow: true,
    weights: {
      in21k_ft_in1k: half(384, 1, { squash: true }),
      in1k: half(384, 1, { squash: true }),
      in21k: half(384, 1, { squash: true, classes: 21843 }),
    },
  },
  tf_efficientnetv2_l: {
    architecture: 'v2-l', tensorflow: true,
    weights: {
      in21k_ft_in1k: half(384, 1, { squash: true }),
      in1k: half(384, 1, { squash: true }),
      in21k: half(384, 1, { squash: true, classes: 21843 }),
    },
  },
  tf_efficientnetv2_xl: {
    architecture: 'v2-xl', tensorflow: true,
    weights: {
      in21k_ft_in1k: half(384, 1, { squash: true }),
      in21k: half(384, 1, { squash: true, classes: 21843 }),
    },
  },
  tf_efficientnetv2_b0: { architecture: 'v2-b0', tensorflow: true, weights: { in1k: imageNet(192, 0.875) } },
  tf_efficientnetv2_b1: { architecture: 'v2-b1', tensorflow: true, weights: { in1k: imageNet(192, 0.882) } },
  tf_efficientnetv2_b2: { architecture: 'v2-b2', tensorflow: true, weights: { in1k: imageNet(208, 0.89) } },
  tf_efficientnetv2_b3: {
    architecture: 'v2-b3', tensorflow: true,
    weights: {
      in21k_ft_in1k: half(240, 0.9, { squash: true }),
      in1k: imageNet(240, 0.904),
      in21k: half(240, 0.904, { classes: 21843 }),
    },
  },
  tinynet_a: { architecture: 'tinynet-a', weights: { in1k: imageNet(192, 0.875) } },
  tinynet_b: { architecture: 'tinynet-b', weights: { in1k: imageNet(188, 0.875) } },
  tinynet_c: { architecture: 'tinynet-c', weights: { in1k: imageNet(184, 0.875) } },
  tinynet_d: { architecture: 'tinynet-d', weights: { in1k: imageNet(152, 0.875) } },
  tinynet_e: { architecture: 'tinynet-e', weights: { in1k: imageNet(106, 0.875) } },
  // Trained with TensorFlow's epsilon, which timm sets where it loads the weights.
  fbnetc_100: { architecture: 'fbnet-c', batchNormEpsilon: 1e-3, weights: { rmsp_in1k: imageNet(224, 0.875, { filter: 'bilinear' }) } },
  mnasnet_050: { architecture: 'mnasnet-b1-050', untrained: true, weights: { untrained: imageNet(224, 0.875) } },
  mnasnet_075: { architecture: 'mnasnet-b1-075', untrained: true, weights: { untrained: imageNet(224, 0.875) } },
  mnasnet_100: { architecture: 'mnasnet-b1', weights: { rmsp_in1k: imageNet(224, 0.875) } },
  mnasnet_140: { architecture: 'mnasnet-b1-140', untrained: true, weights: { untrained: imageNet(224, 0.875) } },
  mnasnet_small: { architecture: 'mnasnet-small', weights: { lamb_in1k: imageNet(224, 0.875) } },
  mobilenetv2_035: { architecture: 'mobilenetv2-035', untrained: true, weights: { untrained: imageNet(224, 0.875) } },
  mobilenetv2_050: { architecture: 'mobilenetv2-050', weights: { lamb_in1k: imageNet(224, 0.875) } },
  mobilenetv2_075: { architecture: 'mobilenetv2-075', untrained: true, weights: { untrained: imageNet(224, 0.875) } },
  mobilenetv2_100: { architecture: 'mobilenetv2-100', weights: { ra_in1k: imageNet(224, 0.875) } },
  mobilenetv2_110d: { architecture: 'mobilenetv2-110d', weights: { ra_in1k: imageNet(224, 0.875) } },
  mobilenetv2_120d: { architecture: 'mobilenetv2-120d', weights: { ra_in1k: imageNet(224, 0.875) } },
  mobilenetv2_140: { architecture: 'mobilenetv2-140', weights: { ra_in1k: imageNet(224, 0.875) } },
  mobilenetv3_large_075: { architecture: 'mobilenetv3-large-075', untrained: true, weights: { untrained: imageNet(224, 0.875, { filter: 'bilinear' }) } },
  mobilenetv3_large_100: {
    architecture: 'mobilenetv3-large',
    weights: {
      ra_in1k: imageNet(224, 0.875),
      ra4_e3600_r224_in1k: half(224, 0.95),
      miil_in21k_ft_in1k: unit(224, 0.875, { filter: 'bilinear' }),
      miil_in21k: unit(224, 0.875, { filter: 'bilinear', classes: 11221 }),
    },
  },
  mobilenetv3_large_150d: { architecture: 'mobilenetv3-large-150d', weights: { ra4_e3600_r256_in1k: half(256, 0.95, { filter: 'bilinear' }) } },
  mobilenetv3_rw: { architecture: 'mobilenetv3-rw', batchNormEpsilon: 1e-3, weights: { rmsp_in1k: imageNet(224, 0.875) } },
  mobilenetv3_small_050: { architecture: 'mobilenetv3-small-050', weights: { lamb_in1k: imageNet(224, 0.875) } },
  mobilenetv3_small_075: { architecture: 'mobilenetv3-small-075', weights: { lamb_in1k: imageNet(224, 0.875) } },
  mobilenetv3_small_100: { architecture: 'mobilenetv3-small', weights: { lamb_in1k: imageNet(224, 0.875) } },
  semnasnet_050: { architecture: 'mnasnet-a1-050', untrained: true, weights: { untrained: imageNet(224, 0.875) } },
  semnasnet_075: { architecture: 'mnasnet-a1-075', weights: { rmsp_in1k: imageNet(224, 0.875) } },
  semnasnet_100: { architecture: 'mnasnet-a1', weights: { rmsp_in1k: imageNet(224, 0.875) } },
  semnasnet_140: { architecture: 'mnasnet-a1-140', untrained: true, weights: { untrained: imageNet(224, 0.875) } },
  spnasnet_100: { architecture: 'spnasnet', weights: { rmsp_in1k: imageNet(224, 0.875, { filter: 'bilinear' }) } },
  test_efficientnet: { architecture: 'test-efficientnet', weights: { r160_in1k: imageNet(160, 0.95) } },
  tf_mobilenetv3_large_075: { architecture: 'mobilenetv3-large-075', tensorflow: true, weights: { in1k: half(224, 0.875, { filter: 'bilinear' }) } },
  tf_mobilenetv3_large_100: { architecture: 'mobilenetv3-large', tensorflow: true, weights: { in1k: half(224, 0.875, { filter: 'bilinear' }) } },
  tf_mobilenetv3_large_minimal_100: { architecture: 'mobilenetv3-large-minimal', tensorflow: true, weights: { in1k: half(224, 0.875, { filter: 'bilinear' }) } },
  tf_mobilenetv3_small_075: { architecture: 'mobilenetv3-small-075', tensorflow: true, weights: { in1k: half(224, 0.875, { filter: 'bilinear' }) } },
  tf_mobilenetv3_small_100: { architecture: 'mobilenetv3-small', tensorflow: true, weights: { in1k: half(224, 0.875, { filter: 'bilinear' }) } },
  tf_mobilenetv3_small_minimal_100: { architecture: 'mobilenetv3-small-minimal', tensorflow: true, weights: { in1k: half(224, 0.875, { filter: 'bilinear' }) } },
} as const satisfies PublishedModels;
