// SPDX-License-Identifier: Apache-2.0
// Relatives of these networks that timm 1.0.31 has in the same two files, and that this package does not
// run: which names, and what in them is missing here. A test compares the names with timm's.

/** timm's names, without a tag, and what their networks need. */
const unsupported: readonly (readonly [names: RegExp, needs: string])[] = [
  [/^(tf_)?mixnet_(s|m|l|xl|xxl)$/, 'depthwise convolutions with kernels of several sizes in one layer (MixNet)'],
  [/^(tf_)?efficientnet_cc_b[01]_[48]e$/, 'kernels that are mixed anew for every image (CondConv)'],
  [/^efficientnet_b[03](_g8)?_gn$|^test_efficientnet_gn$/, 'group normalisation, which cannot be folded into the convolutions'],
  [/^test_efficientnet_ln$/, 'layer normalisation, which cannot be folded into the convolutions'],
  [/^(efficientnet_b0_g16|test_efficientnet)_evos$/, 'the normalisation EvoNorm, which cannot be folded into the convolutions'],
  [/^efficientnet_blur_b0$/, 'blurred strides'],
  [/^efficientnet_(x|h)_b[35]$/, 'a rearrangement of pixels into channels'],
  [/^gc_efficientnetv2_rw_t$/, 'attention over the whole image in place of the excite (GlobalContext)'],
  [/^mobilenet_edgetpu_v2_(xs|s|m|l)$/, 'dense convolutions in groups (MobileNet-EdgeTPU is another family)'],
  [/^mobilenet_edgetpu_100$/, 'a definition that this package does not have (MobileNet-EdgeTPU is another family)'],
  [/^mobilenetv1_(100|100h|125)$/, 'an activation after the projection (MobileNetV1 is another family)'],
  [/^lcnet_(035|050|075|100|150)$/, 'an activation after the projection (LCNet is another family)'],
  [/^fbnetv3_[bdg]$/, 'a definition that this package does not have (FBNetV3 is another family)'],
  [/^mobilenetv4_(conv|hybrid)_[a-z0-9_]+$/, 'universal inverted bottlenecks and attention (MobileNetV4 is another family)'],
];

/** What the network of a timm name needs that is missing here; undefined for every other name. */
export function missingFor(name: string): string | undefined {
  return unsupported.find(([names]) => names.test(name))?.[1];
}
