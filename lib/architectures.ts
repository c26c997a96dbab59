// SPDX-License-Identifier: Apache-2.0
// The networks of the family as data, to be checked line by line against the papers and the code that
// they were published with. No logic: network.ts turns an architecture into blocks with shapes.

import type { Architecture, BaseNetwork } from './architecture.js';
import { coefficients } from './scaling.js';

/** EfficientNet-B0 (arXiv 1905.11946, Table 1), from which the others are scaled. */
export const efficientNet: BaseNetwork = {
  stem: 32, head: 1280, squeezeRatio: 0.25,
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 6, out: 24, repeats: 2 },
    { kernel: 5, stride: 2, expand: 6, out: 40, repeats: 2 },
    { kernel: 3, stride: 2, expand: 6, out: 80, repeats: 3 },
    { kernel: 5, stride: 1, expand: 6, out: 112, repeats: 3 },
    { kernel: 5, stride: 2, expand: 6, out: 192, repeats: 4 },
    { kernel: 3, stride: 1, expand: 6, out: 320, repeats: 1 },
  ],
};

/** EfficientNet-Lite (tensorflow/tpu, efficientnet/lite): B0 without excite, fit for integers. */
const lite: BaseNetwork = {
  ...efficientNet, squeezeRatio: 0, activation: 'relu6', fixedStem: true, headScaling: 'fixed', fixedEnds: true,
};

/** TinyNet (arXiv 2010.14819): B0 shrunk, its layers rounded to the nearest. */
const tinyNet: BaseNetwork = { ...efficientNet, fixedStem: true, headScaling: 'widened', rounding: { depth: 'nearest' } };

/** EfficientNet-EdgeTPU-S (tensorflow/tpu, efficientnet/edgetpu). Its first stage expands 24 channels, whatever the stem gives. */
const edgeTpu: BaseNetwork = {
  stem: 32, head: 1280, squeezeRatio: 0, activation: 'relu',
  stages: [
    { kind: 'fused', kernel: 3, stride: 1, expand: 4, out: 24, repeats: 1, expandFrom: 24, plain: true },
    { kind: 'fused', kernel: 3, stride: 2, expand: 8, out: 32, repeats: 2 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 8, out: 48, repeats: 4 },
    { kernel: 5, stride: 2, expand: 8, out: 96, repeats: 5 },
    { kernel: 5, stride: 1, expand: 8, out: 144, repeats: 4 },
    { kernel: 5, stride: 2, expand: 8, out: 192, repeats: 2 },
  ],
};

/** EfficientNetV2-B0 (google/automl, efficientnetv2), which rounds channels down without a limit. */
const v2Base: BaseNetwork = {
  stem: 32, head: 1280, squeezeRatio: 0.25, rounding: { limit: 0 },
  stages: [
    { kind: 'conv', kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 32, repeats: 2 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 48, repeats: 2 },
    { kernel: 3, stride: 2, expand: 4, out: 96, repeats: 3 },
    { kernel: 3, stride: 1, expand: 6, out: 112, repeats: 5 },
    { kernel: 3, stride: 2, expand: 6, out: 192, repeats: 8 },
  ],
};

/** EfficientNetV2-S (arXiv 2104.00298, Table 4), then M, L and XL of google/automl. */
const v2S: BaseNetwork = {
  stem: 24, head: 1280, squeezeRatio: 0.25,
  stages: [
    { kind: 'conv', kernel: 3, stride: 1, expand: 1, out: 24, repeats: 2 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 48, repeats: 4 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 64, repeats: 4 },
    { kernel: 3, stride: 2, expand: 4, out: 128, repeats: 6 },
    { kernel: 3, stride: 1, expand: 6, out: 160, repeats: 9 },
    { kernel: 3, stride: 2, expand: 6, out: 256, repeats: 15 },
  ],
};

const v2M: BaseNetwork = {
  stem: 24, head: 1280, squeezeRatio: 0.25,
  stages: [
    { kind: 'conv', kernel: 3, stride: 1, expand: 1, out: 24, repeats: 3 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 48, repeats: 5 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 80, repeats: 5 },
    { kernel: 3, stride: 2, expand: 4, out: 160, repeats: 7 },
    { kernel: 3, stride: 1, expand: 6, out: 176, repeats: 14 },
    { kernel: 3, stride: 2, expand: 6, out: 304, repeats: 18 },
    { kernel: 3, stride: 1, expand: 6, out: 512, repeats: 5 },
  ],
};

const v2L: BaseNetwork = {
  stem: 32, head: 1280, squeezeRatio: 0.25,
  stages: [
    { kind: 'conv', kernel: 3, stride: 1, expand: 1, out: 32, repeats: 4 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 64, repeats: 7 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 96, repeats: 7 },
    { kernel: 3, stride: 2, expand: 4, out: 192, repeats: 10 },
    { kernel: 3, stride: 1, expand: 6, out: 224, repeats: 19 },
    { kernel: 3, stride: 2, expand: 6, out: 384, repeats: 25 },
    { kernel: 3, stride: 1, expand: 6, out: 640, repeats: 7 },
  ],
};

const v2XL: BaseNetwork = {
  stem: 32, head: 1280, squeezeRatio: 0.25,
  stages: [
    { kind: 'conv', kernel: 3, stride: 1, expand: 1, out: 32, repeats: 4 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 64, repeats: 8 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 96, repeats: 8 },
    { kernel: 3, stride: 2, expand: 4, out: 192, repeats: 16 },
    { kernel: 3, stride: 1, expand: 6, out: 256, repeats: 24 },
    { kernel: 3, stride: 2, expand: 6, out: 512, repeats: 32 },
    { kernel: 3, stride: 1, expand: 6, out: 640, repeats: 8 },
  ],
};

/** timm's own V2-S, made from the paper before its code was published; T is V2-S scaled. */
const v2RwS: BaseNetwork = {
  stem: 24, head: 1792, squeezeRatio: 0.25,
  stages: [
    { kind: 'fused', kernel: 3, stride: 1, expand: 1, out: 24, repeats: 2 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 48, repeats: 4 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 64, repeats: 4 },
    { kernel: 3, stride: 2, expand: 4, out: 128, repeats: 6 },
    { kernel: 3, stride: 1, expand: 6, out: 160, repeats: 9 },
    { kernel: 3, stride: 2, expand: 6, out: 272, repeats: 15 },
  ],
};

/** The same 1.2 times deeper, its last two stages 1.6 times. */
const v2RwM: BaseNetwork = {
  ...v2RwS,
  stages: [
    { kind: 'fused', kernel: 3, stride: 1, expand: 1, out: 24, repeats: 3 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 48, repeats: 5 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 64, repeats: 5 },
    { kernel: 3, stride: 2, expand: 4, out: 128, repeats: 8 },
    { kernel: 3, stride: 1, expand: 6, out: 160, repeats: 15 },
    { kernel: 3, stride: 2, expand: 6, out: 272, repeats: 24 },
  ],
};

/** MobileNetV2 (arXiv 1801.04381, Table 2). */
const mobileNetV2: BaseNetwork = {
  stem: 32, head: 1280, headScaling: 'widened', squeezeRatio: 0, activation: 'relu6',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 6, out: 24, repeats: 2 },
    { kernel: 3, stride: 2, expand: 6, out: 32, repeats: 3 },
    { kernel: 3, stride: 2, expand: 6, out: 64, repeats: 4 },
    { kernel: 3, stride: 1, expand: 6, out: 96, repeats: 3 },
    { kernel: 3, stride: 2, expand: 6, out: 160, repeats: 3 },
    { kernel: 3, stride: 1, expand: 6, out: 320, repeats: 1 },
  ],
};

/** timm's `d` networks: deeper and wider, but not at the ends. */
const mobileNetV2Deep: BaseNetwork = { ...mobileNetV2, fixedStem: true, headScaling: 'fixed', fixedEnds: true };

/** MnasNet (arXiv 1807.11626): B1 without excite, A1 with it in three stages, and Small. */
const mnasNetB1: BaseNetwork = {
  stem: 32, head: 1280, headScaling: 'fixed', squeezeRatio: 0, activation: 'relu',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 3, out: 24, repeats: 3 },
    { kernel: 5, stride: 2, expand: 3, out: 40, repeats: 3 },
    { kernel: 5, stride: 2, expand: 6, out: 80, repeats: 3 },
    { kernel: 3, stride: 1, expand: 6, out: 96, repeats: 2 },
    { kernel: 5, stride: 2, expand: 6, out: 192, repeats: 4 },
    { kernel: 3, stride: 1, expand: 6, out: 320, repeats: 1 },
  ],
};

const mnasNetA1: BaseNetwork = {
  stem: 32, head: 1280, headScaling: 'fixed', squeezeRatio: 0, activation: 'relu',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 6, out: 24, repeats: 2 },
    { kernel: 5, stride: 2, expand: 3, out: 40, repeats: 3, squeeze: 0.25 },
    { kernel: 3, stride: 2, expand: 6, out: 80, repeats: 4 },
    { kernel: 3, stride: 1, expand: 6, out: 112, repeats: 2, squeeze: 0.25 },
    { kernel: 5, stride: 2, expand: 6, out: 160, repeats: 3, squeeze: 0.25 },
    { kernel: 3, stride: 1, expand: 6, out: 320, repeats: 1 },
  ],
};

const mnasNetSmall: BaseNetwork = {
  stem: 8, head: 1280, headScaling: 'fixed', squeezeRatio: 0, activation: 'relu',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 8, repeats: 1 },
    { kernel: 3, stride: 2, expand: 3, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 6, out: 16, repeats: 2 },
    { kernel: 5, stride: 2, expand: 6, out: 32, repeats: 4, squeeze: 0.25 },
    { kernel: 3, stride: 1, expand: 6, out: 32, repeats: 3, squeeze: 0.25 },
    { kernel: 5, stride: 2, expand: 6, out: 88, repeats: 3, squeeze: 0.25 },
    { kernel: 3, stride: 1, expand: 6, out: 144, repeats: 1 },
  ],
};

/** FBNet-C (arXiv 1812.03443, Figure 4) as timm has it. */
const fbNetC: BaseNetwork = {
  stem: 16, head: 1984, headScaling: 'fixed', squeezeRatio: 0, activation: 'relu',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1, keepsExpansion: true },
    { kernel: 3, stride: 2, expand: 6, out: 24, repeats: 1 },
    { kernel: 3, stride: 1, expand: 1, out: 24, repeats: 2, keepsExpansion: true, continues: true },
    { kernel: 5, stride: 2, expand: 6, out: 32, repeats: 1 },
    { kernel: 5, stride: 1, expand: 3, out: 32, repeats: 1, continues: true },
    { kernel: 5, stride: 1, expand: 6, out: 32, repeats: 1, continues: true },
    { kernel: 3, stride: 1, expand: 6, out: 32, repeats: 1, continues: true },
    { kernel: 5, stride: 2, expand: 6, out: 64, repeats: 1 },
    { kernel: 5, stride: 1, expand: 3, out: 64, repeats: 1, continues: true },
    { kernel: 5, stride: 1, expand: 6, out: 64, repeats: 2, continues: true },
    { kernel: 5, stride: 1, expand: 6, out: 112, repeats: 3 },
    { kernel: 5, stride: 1, expand: 3, out: 112, repeats: 1, continues: true },
    { kernel: 5, stride: 2, expand: 6, out: 184, repeats: 4 },
    { kernel: 3, stride: 1, expand: 6, out: 352, repeats: 1 },
  ],
};

/** Single-Path NAS (arXiv 1904.02877). */
const spnasNet: BaseNetwork = {
  stem: 32, head: 1280, headScaling: 'fixed', squeezeRatio: 0, activation: 'relu',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 3, out: 24, repeats: 3 },
    { kernel: 5, stride: 2, expand: 6, out: 40, repeats: 1 },
    { kernel: 3, stride: 1, expand: 3, out: 40, repeats: 3, continues: true },
    { kernel: 5, stride: 2, expand: 6, out: 80, repeats: 1 },
    { kernel: 3, stride: 1, expand: 3, out: 80, repeats: 3, continues: true },
    { kernel: 5, stride: 1, expand: 6, out: 96, repeats: 1 },
    { kernel: 5, stride: 1, expand: 3, out: 96, repeats: 3, continues: true },
    { kernel: 5, stride: 2, expand: 6, out: 192, repeats: 4 },
    { kernel: 3, stride: 1, expand: 6, out: 320, repeats: 1 },
  ],
};

/** What all MobileNetV3 share (arXiv 1905.02244): excite of a share of the expanded channels. */
const mobileNetV3 = { stem: 16, squeezeOf: 'expanded', squeezeActivation: 'relu', gateActivation: 'hard-sigmoid' } as const;

/** MobileNetV3-Large (Table 1), Small (Table 2), and their minimal kin: kernels of 3, no excite, ReLU only. */
const mobileNetV3Large: BaseNetwork = {
  ...mobileNetV3, head: 960, hidden: 1280, headRepeats: 1, squeezeRatio: 0, activation: 'hard-swish',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1, activation: 'relu' },
    { kernel: 3, stride: 2, expand: 4, out: 24, repeats: 1, activation: 'relu' },
    { kernel: 3, stride: 1, expand: 3, out: 24, repeats: 1, activation: 'relu', continues: true },
    { kernel: 5, stride: 2, expand: 3, out: 40, repeats: 3, activation: 'relu', squeeze: 0.25 },
    { kernel: 3, stride: 2, expand: 6, out: 80, repeats: 1 },
    { kernel: 3, stride: 1, expand: 2.5, out: 80, repeats: 1, continues: true },
    { kernel: 3, stride: 1, expand: 2.3, out: 80, repeats: 2, continues: true },
    { kernel: 3, stride: 1, expand: 6, out: 112, repeats: 2, squeeze: 0.25 },
    { kernel: 5, stride: 2, expand: 6, out: 160, repeats: 3, squeeze: 0.25 },
  ],
};

const mobileNetV3Small: BaseNetwork = {
  ...mobileNetV3, head: 576, hidden: 1024, squeezeRatio: 0.25, activation: 'hard-swish',
  stages: [
    { kernel: 3, stride: 2, expand: 1, out: 16, repeats: 1, activation: 'relu' },
    { kernel: 3, stride: 2, expand: 4.5, out: 24, repeats: 1, activation: 'relu', squeeze: 0 },
    { kernel: 3, stride: 1, expand: 3.67, out: 24, repeats: 1, activation: 'relu', squeeze: 0, continues: true },
    { kernel: 5, stride: 2, expand: 4, out: 40, repeats: 1 },
    { kernel: 5, stride: 1, expand: 6, out: 40, repeats: 2, continues: true },
    { kernel: 5, stride: 1, expand: 3, out: 48, repeats: 2 },
    { kernel: 5, stride: 2, expand: 6, out: 96, repeats: 3 },
  ],
};

/** timm's Large from before the paper's code: squeezes not rounded to 8, no bias in the hidden layer. */
const mobileNetV3Rw: BaseNetwork = {
  stem: 16, head: 960, hidden: 1280, hiddenBias: false,
  squeezeRatio: 0, squeezeOf: 'expanded', squeezeDivisor: 1, gateActivation: 'hard-sigmoid', activation: 'hard-swish',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1, activation: 'relu', plain: true },
    ...mobileNetV3Large.stages.slice(1),
  ],
};

/** Narrower than 0.75 the stem stays as it is. */
const mobileNetV3SmallNarrow: BaseNetwork = { ...mobileNetV3Small, fixedStem: true };

const mobileNetV3LargeMinimal: BaseNetwork = {
  stem: 16, head: 960, hidden: 1280, squeezeRatio: 0, activation: 'relu',
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 4, out: 24, repeats: 1 },
    { kernel: 3, stride: 1, expand: 3, out: 24, repeats: 1, continues: true },
    { kernel: 3, stride: 2, expand: 3, out: 40, repeats: 3 },
    { kernel: 3, stride: 2, expand: 6, out: 80, repeats: 1 },
    { kernel: 3, stride: 1, expand: 2.5, out: 80, repeats: 1, continues: true },
    { kernel: 3, stride: 1, expand: 2.3, out: 80, repeats: 2, continues: true },
    { kernel: 3, stride: 1, expand: 6, out: 112, repeats: 2 },
    { kernel: 3, stride: 2, expand: 6, out: 160, repeats: 3 },
  ],
};

const mobileNetV3SmallMinimal: BaseNetwork = {
  stem: 16, head: 576, hidden: 1024, squeezeRatio: 0, activation: 'relu',
  stages: [
    { kernel: 3, stride: 2, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 4.5, out: 24, repeats: 1 },
    { kernel: 3, stride: 1, expand: 3.67, out: 24, repeats: 1, continues: true },
    { kernel: 3, stride: 2, expand: 4, out: 40, repeats: 1 },
    { kernel: 3, stride: 1, expand: 6, out: 40, repeats: 2, continues: true },
    { kernel: 3, stride: 1, expand: 3, out: 48, repeats: 2 },
    { kernel: 3, stride: 2, expand: 6, out: 96, repeats: 3 },
  ],
};

/** timm's smallest, for tests. */
const testNet: BaseNetwork = {
  stem: 24, head: 256, squeezeRatio: 0.25,
  stages: [
    { kind: 'conv', kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 24, repeats: 1 },
    { kind: 'fused', kernel: 3, stride: 2, expand: 4, out: 32, repeats: 1 },
    { kernel: 3, stride: 2, expand: 4, out: 48, repeats: 1 },
    { kernel: 3, stride: 2, expand: 4, out: 64, repeats: 1 },
  ],
};

/** Every network by name. Widths, depths and sizes are published ones; none follows from a formula. */
const table = {
  b0: { name: 'b0', base: efficientNet, ...coefficients.b0 },
  b1: { name: 'b1', base: efficientNet, ...coefficients.b1 },
  b2: { name: 'b2', base: efficientNet, ...coefficients.b2 },
  b3: { name: 'b3', base: efficientNet, ...coefficients.b3 },
  b4: { name: 'b4', base: efficientNet, ...coefficients.b4 },
  b5: { name: 'b5', base: efficientNet, ...coefficients.b5 },
  b6: { name: 'b6', base: efficientNet, ...coefficients.b6 },
  b7: { name: 'b7', base: efficientNet, ...coefficients.b7 },
  b8: { name: 'b8', base: efficientNet, ...coefficients.b8 },
  l2: { name: 'l2', base: efficientNet, ...coefficients.l2 },
  'l2-475': { name: 'l2-475', base: efficientNet, ...coefficients.l2, resolution: 475 },

  lite0: { name: 'lite0', base: lite, width: 1.0, depth: 1.0, resolution: 224 },
  lite1: { name: 'lite1', base: lite, width: 1.0, depth: 1.1, resolution: 240 },
  lite2: { name: 'lite2', base: lite, width: 1.1, depth: 1.2, resolution: 260 },
  lite3: { name: 'lite3', base: lite, width: 1.2, depth: 1.4, resolution: 280 },
  lite4: { name: 'lite4', base: lite, width: 1.4, depth: 1.8, resolution: 300 },

  'edgetpu-s': { name: 'edgetpu-s', base: edgeTpu, width: 1.0, depth: 1.0, resolution: 224 },
  'edgetpu-m': { name: 'edgetpu-m', base: edgeTpu, width: 1.0, depth: 1.1, resolution: 240 },
  'edgetpu-l': { name: 'edgetpu-l', base: edgeTpu, width: 1.2, depth: 1.4, resolution: 300 },

  'v2-b0': { name: 'v2-b0', base: v2Base, width: 1.0, depth: 1.0, resolution: 224 },
  'v2-b1': { name: 'v2-b1', base: v2Base, width: 1.0, depth: 1.1, resolution: 240 },
  'v2-b2': { name: 'v2-b2', base: v2Base, width: 1.1, depth: 1.2, resolution: 260 },
  'v2-b3': { name: 'v2-b3', base: v2Base, width: 1.2, depth: 1.4, resolution: 300 },
  'v2-s': { name: 'v2-s', base: v2S, width: 1.0, depth: 1.0, resolution: 384 },
  'v2-m': { name: 'v2-m', base: v2M, width: 1.0, depth: 1.0, resolution: 480 },
  'v2-l': { name: 'v2-l', base: v2L, width: 1.0, depth: 1.0, resolution: 480 },
  'v2-xl': { name: 'v2-xl', base: v2XL, width: 1.0, depth: 1.0, resolution: 512 },
  'v2-rw-t': { name: 'v2-rw-t', base: v2S, width: 0.8, depth: 0.9, resolution: 288 },
  'v2-rw-s': { name: 'v2-rw-s', base: v2RwS, width: 1.0, depth: 1.0, resolution: 384 },
  'v2-rw-m': { name: 'v2-rw-m', base: v2RwM, width: 1.2, depth: 1.0, resolution: 416 },

  'tinynet-a': { name: 'tinynet-a', base: tinyNet, width: 1.0, depth: 1.2, resolution: 192 },
  'tinynet-b': { name: 'tinynet-b', base: tinyNet, width: 0.75, depth: 1.1, resolution: 188 },
  'tinynet-c': { name: 'tinynet-c', base: tinyNet, width: 0.54, depth: 0.85, resolution: 184 },
  'tinynet-d': { name: 'tinynet-d', base: tinyNet, width: 0.54, depth: 0.695, resolution: 152 },
  'tinynet-e': { name: 'tinynet-e', base: tinyNet, width: 0.51, depth: 0.6, resolution: 106 },

  'mobilenetv2-035': { name: 'mobilenetv2-035', base: mobileNetV2, width: 0.35, depth: 1.0, resolution: 224 },
  'mobilenetv2-050': { name: 'mobilenetv2-050', base: mobileNetV2, width: 0.5, depth: 1.0, resolution: 224 },
  'mobilenetv2-075': { name: 'mobilenetv2-075', base: mobileNetV2, width: 0.75, depth: 1.0, resolution: 224 },
  'mobilenetv2-100': { name: 'mobilenetv2-100', base: mobileNetV2, width: 1.0, depth: 1.0, resolution: 224 },
  'mobilenetv2-110d': { name: 'mobilenetv2-110d', base: mobileNetV2Deep, width: 1.1, depth: 1.2, resolution: 224 },
  'mobilenetv2-120d': { name: 'mobilenetv2-120d', base: mobileNetV2Deep, width: 1.2, depth: 1.4, resolution: 224 },
  'mobilenetv2-140': { name: 'mobilenetv2-140', base: mobileNetV2, width: 1.4, depth: 1.0, resolution: 224 },

  'mnasnet-b1-050': { name: 'mnasnet-b1-050', base: mnasNetB1, width: 0.5, depth: 1.0, resolution: 224 },
  'mnasnet-b1-075': { name: 'mnasnet-b1-075', base: mnasNetB1, width: 0.75, depth: 1.0, resolution: 224 },
  'mnasnet-b1': { name: 'mnasnet-b1', base: mnasNetB1, width: 1.0, depth: 1.0, resolution: 224 },
  'mnasnet-b1-130': { name: 'mnasnet-b1-130', base: mnasNetB1, width: 1.3, depth: 1.0, resolution: 224 },
  'mnasnet-b1-140': { name: 'mnasnet-b1-140', base: mnasNetB1, width: 1.4, depth: 1.0, resolution: 224 },
  'mnasnet-a1-050': { name: 'mnasnet-a1-050', base: mnasNetA1, width: 0.5, depth: 1.0, resolution: 224 },
  'mnasnet-a1-075': { name: 'mnasnet-a1-075', base: mnasNetA1, width: 0.75, depth: 1.0, resolution: 224 },
  'mnasnet-a1': { name: 'mnasnet-a1', base: mnasNetA1, width: 1.0, depth: 1.0, resolution: 224 },
  'mnasnet-a1-140': { name: 'mnasnet-a1-140', base: mnasNetA1, width: 1.4, depth: 1.0, resolution: 224 },
  'mnasnet-small': { name: 'mnasnet-small', base: mnasNetSmall, width: 1.0, depth: 1.0, resolution: 224 },
  'fbnet-c': { name: 'fbnet-c', base: fbNetC, width: 1.0, depth: 1.0, resolution: 224 },
  spnasnet: { name: 'spnasnet', base: spnasNet, width: 1.0, depth: 1.0, resolution: 224 },

  'mobilenetv3-large-075': { name: 'mobilenetv3-large-075', base: mobileNetV3Large, width: 0.75, depth: 1.0, resolution: 224 },
  'mobilenetv3-large': { name: 'mobilenetv3-large', base: mobileNetV3Large, width: 1.0, depth: 1.0, resolution: 224 },
  'mobilenetv3-large-150d': { name: 'mobilenetv3-large-150d', base: mobileNetV3Large, width: 1.5, depth: 1.2, resolution: 256 },
  'mobilenetv3-rw': { name: 'mobilenetv3-rw', base: mobileNetV3Rw, width: 1.0, depth: 1.0, resolution: 224 },
  'mobilenetv3-large-minimal': { name: 'mobilenetv3-large-minimal', base: mobileNetV3LargeMinimal, width: 1.0, depth: 1.0, resolution: 224 },
  'mobilenetv3-small-050': { name: 'mobilenetv3-small-050', base: mobileNetV3SmallNarrow, width: 0.5, depth: 1.0, resolution: 224 },
  'mobilenetv3-small-075': { name: 'mobilenetv3-small-075', base: mobileNetV3Small, width: 0.75, depth: 1.0, resolution: 224 },
  'mobilenetv3-small': { name: 'mobilenetv3-small', base: mobileNetV3Small, width: 1.0, depth: 1.0, resolution: 224 },
  'mobilenetv3-small-minimal': { name: 'mobilenetv3-small-minimal', base: mobileNetV3SmallMinimal, width: 1.0, depth: 1.0, resolution: 224 },

  'test-efficientnet': { name: 'test-efficientnet', base: testNet, width: 1.0, depth: 1.0, resolution: 160 },
} as const satisfies Readonly<Record<string, Architecture>>;

/** A name of this package's own; timm's, torchvision's and others are aliases (names.ts). */
export type ArchitectureName = keyof typeof table;

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = table;
