// SPDX-License-Identifier: Apache-2.0
// What the paper published about scaling, to be shown beside figures of our own. Figures only, each
// table with its source; nothing here was measured by this package.

/** arXiv 1905.11946, version 5. */
export const paper = 'Tan and Le, EfficientNet, arXiv 1905.11946v5';

export interface PublishedNetwork {
  readonly name: string;
  /** Parameters and multiply-accumulates (the paper's FLOPS) as printed, rounded by the paper. */
  readonly parameters?: number;
  readonly macs: number;
  /** ImageNet, per cent, one crop. */
  readonly top1: number;
}

/** Table 2: the family. */
export const publishedFamily: readonly (PublishedNetwork & { readonly parameters: number })[] = [
  { name: 'b0', parameters: 5.3e6, macs: 0.39e9, top1: 77.1 },
  { name: 'b1', parameters: 7.8e6, macs: 0.7e9, top1: 79.1 },
  { name: 'b2', parameters: 9.2e6, macs: 1.0e9, top1: 80.1 },
  { name: 'b3', parameters: 12e6, macs: 1.8e9, top1: 81.6 },
  { name: 'b4', parameters: 19e6, macs: 4.2e9, top1: 82.9 },
  { name: 'b5', parameters: 30e6, macs: 9.9e9, top1: 83.6 },
  { name: 'b6', parameters: 43e6, macs: 19e9, top1: 84.0 },
  { name: 'b7', parameters: 66e6, macs: 37e9, top1: 84.3 },
];

export type Dimension = 'depth' | 'width' | 'resolution' | 'compound';
export const dimensions: readonly Dimension[] = ['depth', 'width', 'resolution', 'compound'];

export interface PublishedScaling extends PublishedNetwork {
  /** Undefined for the network that was scaled. */
  readonly dimension: Dimension | undefined;
  /** The multipliers, as the paper writes them. */
  readonly setting: string;
}

/** Table 7: B0 scaled in one dimension and in all three. */
export const publishedB0: readonly PublishedScaling[] = [
  { name: 'B0', dimension: undefined, setting: 'd 1, w 1, r 1', macs: 0.4e9, top1: 77.3 },
  { name: 'B0', dimension: 'depth', setting: 'd 4', macs: 1.8e9, top1: 79.0 },
  { name: 'B0', dimension: 'width', setting: 'w 2', macs: 1.8e9, top1: 78.9 },
  { name: 'B0', dimension: 'resolution', setting: 'r 2', macs: 1.9e9, top1: 79.1 },
  { name: 'B0', dimension: 'compound', setting: 'd 1.4, w 1.2, r 1.3', macs: 1.8e9, top1: 81.1 },
];

/** Table 3: older networks scaled in one dimension and in all three. */
export const publishedOthers: readonly PublishedScaling[] = [
  { name: 'MobileNetV1', dimension: undefined, setting: 'd 1, w 1, r 1', macs: 0.6e9, top1: 70.6 },
  { name: 'MobileNetV1', dimension: 'width', setting: 'w 2', macs: 2.2e9, top1: 74.2 },
  { name: 'MobileNetV1', dimension: 'resolution', setting: 'r 2', macs: 2.2e9, top1: 72.7 },
  { name: 'MobileNetV1', dimension: 'compound', setting: 'd 1.4, w 1.2, r 1.3', macs: 2.3e9, top1: 75.6 },
  { name: 'MobileNetV2', dimension: undefined, setting: 'd 1, w 1, r 1', macs: 0.3e9, top1: 72.0 },
  { name: 'MobileNetV2', dimension: 'depth', setting: 'd 4', macs: 1.2e9, top1: 76.8 },
  { name: 'MobileNetV2', dimension: 'width', setting: 'w 2', macs: 1.1e9, top1: 76.4 },
  { name: 'MobileNetV2', dimension: 'resolution', setting: 'r 2', macs: 1.2e9, top1: 74.8 },
  { name: 'MobileNetV2', dimension: 'compound', setting: 'd, w and r', macs: 1.3e9, top1: 77.4 },
  { name: 'ResNet-50', dimension: undefined, setting: 'd 1, w 1, r 1', macs: 4.1e9, top1: 76.0 },
  { name: 'ResNet-50', dimension: 'depth', setting: 'd 4', macs: 16.2e9, top1: 78.1 },
  { name: 'ResNet-50', dimension: 'width', setting: 'w 2', macs: 14.7e9, top1: 77.7 },
  { name: 'ResNet-50', dimension: 'resolution', setting: 'r 2', macs: 16.4e9, top1: 77.5 },
  { name: 'ResNet-50', dimension: 'compound', setting: 'd, w and r', macs: 16.7e9, top1: 78.8 },
];

/** Where the older networks' parameters come from: timm's results, `results-imagenet.csv`. */
export const timmResults = 'timm, results-imagenet.csv';

/** MobileNetV2 scaled by hand, in width and in depth: parameters and top-1 as timm lists them. */
export const publishedMobileNets: readonly {
  readonly name: string;
  readonly parameters: number;
  readonly top1: number;
  readonly setting: string;
}[] = [
  { name: 'mobilenetv2_050', parameters: 1.97e6, top1: 65.928, setting: 'w 0.5' },
  { name: 'mobilenetv2_100', parameters: 3.5e6, top1: 72.91, setting: 'w 1' },
  { name: 'mobilenetv2_110d', parameters: 4.52e6, top1: 75.056, setting: 'w 1.1, d 1.2' },
  { name: 'mobilenetv2_120d', parameters: 5.83e6, top1: 77.3, setting: 'w 1.2, d 1.4' },
  { name: 'mobilenetv2_140', parameters: 6.11e6, top1: 76.528, setting: 'w 1.4' },
];
