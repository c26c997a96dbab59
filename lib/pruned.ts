// SPDX-License-Identifier: Apache-2.0
// Networks from which channels were removed after training: kernels, strides and the order of blocks are
// the architecture's, every count of channels is the checkpoint's.

import { weightsMismatch } from './fold.js';
import type { Checkpoint } from './formats/tensor.js';
import { outputsOf, type LayerNames, type NamingScheme } from './naming.js';
import type { Block, Network } from './network.js';

/**
 * The network with the channels that the checkpoint's weights have. What is missing there keeps its
 * size, so that mapWeights can say what is wrong. Throws ERR_WEIGHTS_MISMATCH where a block would have
 * to add maps of different channels.
 */
export function adoptShapes(network: Network, checkpoint: Checkpoint, scheme: NamingScheme): Network {
  const outputs = (names: LayerNames | undefined, otherwise: number): number =>
    (names === undefined ? undefined : outputsOf(checkpoint, scheme, names)) ?? otherwise;
  const stem = outputs(scheme.stem, network.stem.out);
  let channels = stem;
  const blocks = network.blocks.map((block, i): Block => {
    const names = scheme.block(block, i);
    const adopted = adoptBlock(block, channels, (layer, otherwise) => outputs(names[layer], otherwise));
    if (adopted.residual && adopted.in !== adopted.out) {
      throw weightsMismatch(`blocks.${i} adds its input of ${adopted.in} channels to an output of ${adopted.out}; expected as many`);
    }
    channels = adopted.out;
    return adopted;
  });
  const features = outputs(scheme.head(network).conv, network.head.features);
  return { ...network, stem: { ...network.stem, out: stem }, blocks, head: { ...network.head, in: channels, features } };
}

type Outputs = (layer: 'expand' | 'conv' | 'reduce' | 'project', otherwise: number) => number;

function adoptBlock(block: Block, channels: number, outputs: Outputs): Block {
  if (block.kind === 'fused') {
    const expanded = outputs('conv', block.expanded);
    return { ...block, in: channels, expanded, out: block.hasProject ? outputs('project', block.out) : expanded };
  }
  const expanded = block.hasExpand ? outputs('expand', block.expanded) : channels;
  const squeeze = block.squeeze === 0 ? 0 : outputs('reduce', block.squeeze);
  return { ...block, in: channels, expanded, squeeze, out: outputs('project', block.out) };
}
