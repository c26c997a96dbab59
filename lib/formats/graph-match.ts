// SPDX-License-Identifier: Apache-2.0
// Finds a network of the family in a graph by following inputs from its output back to the image,
// checking every operation on the way: which constants are which layer's, and all that blocks are made
// of. Names in the graph are not relied on, because exporters share and rename constants.

import { EfficientNetError } from '../errors.js';
import { quote } from './bytes.js';
import type { Graph } from './graph.js';
import { graphInput, type GraphInput } from './graph-input.js';
import type { GraphActivation, GraphLayer } from './graph-layer.js';
import { Patterns } from './graph-patterns.js';

export interface MatchedStem {
  readonly layer: GraphLayer;
  readonly activation: GraphActivation;
}

/** Expansion, depthwise convolution, squeeze and excite, projection; what a block lacks is undefined. */
export interface MatchedMBConv {
  readonly kind: 'mbconv';
  readonly input: string;
  readonly expand: GraphLayer | undefined;
  readonly depthwise: GraphLayer;
  readonly excite: MatchedExcite | undefined;
  readonly project: GraphLayer;
  readonly activation: GraphActivation;
  readonly residual: boolean;
}

export interface MatchedExcite {
  readonly reduce: GraphLayer;
  readonly excite: GraphLayer;
  readonly activation: GraphActivation;
  readonly gate: GraphActivation;
  readonly window: readonly [number, number] | undefined;
}

/** A dense convolution and, but for the simplest, a projection. */
export interface MatchedFused {
  readonly kind: 'fused';
  readonly input: string;
  readonly conv: GraphLayer;
  readonly project: GraphLayer | undefined;
  readonly activation: GraphActivation;
  readonly residual: boolean;
}

export type MatchedBlock = MatchedMBConv | MatchedFused;

export interface MatchedHead {
  readonly conv: GraphLayer;
  readonly activation: GraphActivation;
  readonly window: readonly [number, number] | undefined;
  readonly hidden: { readonly layer: GraphLayer; readonly activation: GraphActivation } | undefined;
  /** Undefined where the graph gives the embedding. */
  readonly classifier: GraphLayer | undefined;
}

export interface MatchedGraph {
  readonly image: GraphInput;
  readonly stem: MatchedStem;
  readonly blocks: readonly MatchedBlock[];
  readonly head: MatchedHead;
}

/** L2 has 88; a graph that is a cycle would have no end. */
const kMaxBlocks = 1000;

/** Throws ERR_UNSUPPORTED, naming the node, where the graph does anything that no network of the family does. */
export function matchGraph(graph: Graph): MatchedGraph {
  return new Matcher(graph).match();
}

class Matcher {
  readonly #graph: Graph;
  readonly #patterns: Patterns;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#patterns = new Patterns(graph);
  }

  match(): MatchedGraph {
    const head = this.#head();
    const reversed: MatchedBlock[] = [];
    let cursor = head.conv.input;
    let stem = this.#stem(cursor);
    while (stem === undefined) {
      if (reversed.length === kMaxBlocks) this.#graph.fail(cursor, `the stem within ${kMaxBlocks} blocks of the classifier`);
      const block = this.#block(cursor);
      reversed.push(block);
      cursor = block.input;
      stem = this.#stem(cursor);
    }
    return { image: stem.image, stem, blocks: reversed.reverse(), head };
  }

  // ---- head -------------------------------------------------------------------------------------------

  #head(): MatchedHead {
    const classifier = this.#classifier();
    const name = classifier?.input ?? this.#graph.outputs[0] ?? '';
    const pooled = this.#patterns.mean(name);
    if (pooled !== undefined) return { ...this.#headConv(pooled), hidden: undefined, classifier };
    const inner = this.#vector(name);
    const activation = this.#patterns.activation(inner) ?? this.#graph.fail(inner, 'a mean over height and width, or an activation,');
    const layer = this.#unpadded(activation.input, 'the hidden layer of the classifier');
    const mean = this.#patterns.mean(layer.input) ?? this.#graph.fail(this.#vector(layer.input), 'a mean over height and width');
    return { ...this.#headConv(mean), hidden: { layer, activation: activation.kind }, classifier };
  }

  #headConv({ input, window }: { readonly input: string; readonly window?: readonly [number, number] }): Pick<MatchedHead, 'conv' | 'activation' | 'window'> {
    const { kind, input: inner } = this.#patterns.activation(input) ?? this.#graph.fail(input, "the head convolution's activation");
    return { conv: this.#unpadded(inner, 'the 1x1 convolution of the head'), activation: kind, window };
  }

  /** The one layer that the graph's outputs are made by; undefined if the only output is the embedding. */
  #classifier(): GraphLayer | undefined {
    const found = new Map<string, GraphLayer>();
    let last = this.#graph.outputs[0] ?? '';
    for (const output of this.#graph.outputs) {
      last = this.#vector(output);
      const layer = this.#patterns.layer(last);
      if (layer !== undefined) found.set(layer.name, layer);
    }
    const [classifier] = found.values();
    if (classifier === undefined) {
      const embeds = this.#graph.outputs.length === 1 && this.#isEmbedding(this.#graph.outputs[0] ?? '', last);
      return embeds ? undefined : this.#graph.fail(last, 'a classifier, dense or a 1x1 convolution, that makes the output');
    }
    if (found.size > 1) {
      throw new EfficientNetError('ERR_UNSUPPORTED', `Expected a graph with one classifier but found ${found.size}: ${[...found.keys()].slice(0, 3).map(quote).join(', ')}`);
    }
    return this.#patterns.isPointwise(classifier) ? classifier : this.#graph.fail(last, 'a classifier, dense or a 1x1 convolution,');
  }

  /** A mean over height and width, or a hidden layer behind one; `vector` is what `output` only arranges. */
  #isEmbedding(output: string, vector: string): boolean {
    if (this.#patterns.mean(output) !== undefined) return true;
    const activation = this.#patterns.activation(vector);
    const hidden = activation === undefined ? undefined : this.#patterns.layer(this.#vector(activation.input));
    return hidden !== undefined && this.#patterns.mean(hidden.input) !== undefined;
  }

  /** A value of one number per channel, past what only arranges it, and past a softmax. */
  #vector(name: string): string {
    let cursor = this.#graph.origin(name);
    for (let count = 0; count < 32; count++) {
      const operation = this.#graph.operation(cursor);
      if (operation?.kind !== 'reshape' && operation?.kind !== 'softmax') return cursor;
      cursor = this.#graph.origin(operation.input);
    }
    return cursor;
  }

  #unpadded(name: string, what: string): GraphLayer {
    const vector = this.#vector(name);
    const layer = this.#patterns.layer(vector);
    return layer !== undefined && this.#patterns.isPointwise(layer) ? layer : this.#graph.fail(vector, what);
  }

  // ---- stem -------------------------------------------------------------------------------------------

  /** The first layer, if `name` is its activation: a convolution whose input leads to the image. */
  #stem(name: string): (MatchedStem & { readonly image: GraphInput }) | undefined {
    const activation = this.#patterns.activation(name);
    const layer = activation === undefined ? undefined : this.#patterns.layer(activation.input);
    if (activation === undefined || layer === undefined || layer.size.depthwise || layer.size.kernel === 1) return undefined;
    const image = graphInput(this.#graph, layer.input);
    if (image !== undefined) return { layer, activation: activation.kind, image };
    // Three channels are an image's, so the way to it holds something unknown.
    return layer.size.in === 3 ? this.#graph.fail(layer.input, 'plain arithmetic between the image and the stem') : undefined;
  }

  // ---- blocks -----------------------------------------------------------------------------------------

  /** The block whose output is `name`: what one makes, or the sum of that and the block's input. */
  #block(name: string): MatchedBlock {
    const operation = this.#graph.operation(name);
    if (operation?.kind !== 'add' || this.#patterns.layer(name) !== undefined) {
      return this.#plainBlock(name, false) ?? this.#graph.fail(this.#culprit(name), "a block's projection, or the sum of one and the block's input,");
    }
    // The block's input can be a projection too, so try both: only one leads to the other.
    for (const [made, input] of [[operation.left, operation.right], [operation.right, operation.left]] as const) {
      const block = this.#plainBlock(made, true);
      if (block !== undefined && this.#graph.origin(block.input) === this.#graph.origin(input)) return block;
    }
    return this.#graph.fail(name, "the sum of a block's projection and its input");
  }

  /** Where a value that should be a layer's stops being one: past its activation and arithmetic. */
  #culprit(name: string): string {
    let cursor = this.#patterns.activation(name)?.input ?? name;
    // Longer than any arithmetic after a convolution; a cycle has no end.
    for (let count = 0; count < 32; count++) cursor = this.#patterns.stepInput(cursor) ?? cursor;
    return cursor;
  }

  #plainBlock(name: string, residual: boolean): MatchedBlock | undefined {
    const project = this.#patterns.layer(name);
    if (project === undefined) return this.#unprojected(name, residual);
    if (!this.#patterns.isPointwise(project)) return undefined;
    const found = this.#patterns.activation(project.input);
    if (found === undefined) return this.#excited(project, residual);
    const layer = this.#patterns.layer(found.input) ?? this.#graph.fail(found.input, 'a convolution');
    if (layer.size.depthwise) return this.#mbconv(layer, found.kind, undefined, project, residual);
    return { kind: 'fused', input: layer.input, conv: layer, project, activation: found.kind, residual };
  }

  /** One dense convolution and its activation: the whole block. */
  #unprojected(name: string, residual: boolean): MatchedFused | undefined {
    const found = this.#patterns.activation(name);
    const conv = found === undefined ? undefined : this.#patterns.layer(found.input);
    if (found === undefined || conv === undefined || conv.size.depthwise || conv.size.kernel === 1) return undefined;
    return { kind: 'fused', input: conv.input, conv, project: undefined, activation: found.kind, residual };
  }

  /** A block with squeeze and excite, whose projection takes a product. */
  #excited(project: GraphLayer, residual: boolean): MatchedMBConv {
    const name = project.input;
    const product = this.#patterns.gated(name) ?? this.#graph.fail(name, "an activation, or the product of a block's features and their gate,");
    for (const [activated, gated] of [[product.left, product.right], [product.right, product.left]] as const) {
      const gate = this.#patterns.gate(this.#vector(gated), product.scale);
      if (gate === undefined) continue;
      const excite = plus(this.#unpadded(gate.input, 'the 1x1 convolution of the excite'), gate.offset);
      const inner = this.#vector(excite.input);
      const activation = this.#patterns.activation(inner) ?? this.#graph.fail(inner, "the squeeze's activation");
      const reduce = this.#unpadded(activation.input, 'the 1x1 convolution of the squeeze');
      const mean = this.#patterns.mean(reduce.input);
      if (mean === undefined || this.#graph.origin(mean.input) !== this.#graph.origin(activated)) {
        return this.#graph.fail(reduce.input, 'the mean of what the gate multiplies');
      }
      const found = this.#patterns.activation(activated) ?? this.#graph.fail(activated, "the depthwise convolution's activation");
      const depthwise = this.#patterns.layer(found.input) ?? this.#graph.fail(found.input, 'a depthwise convolution');
      const squeeze = { reduce, excite, activation: activation.kind, gate: gate.kind, window: mean.window };
      return this.#mbconv(depthwise, found.kind, squeeze, project, residual);
    }
    return this.#graph.fail(name, 'the sigmoid of the excite');
  }

  #mbconv(depthwise: GraphLayer, activation: GraphActivation, excite: MatchedExcite | undefined, project: GraphLayer, residual: boolean): MatchedMBConv {
    if (!depthwise.size.depthwise) return this.#graph.fail(depthwise.name, 'a depthwise convolution');
    const expand = this.#expansion(depthwise.input, activation);
    return { kind: 'mbconv', input: expand?.input ?? depthwise.input, expand, depthwise, excite, project, activation, residual };
  }

  #expansion(name: string, activation: GraphActivation): GraphLayer | undefined {
    const found = this.#patterns.activation(name);
    const layer = found === undefined ? undefined : this.#patterns.layer(found.input);
    if (found === undefined || layer === undefined || !this.#patterns.isPointwise(layer)) return undefined;
    if (found.kind !== activation) return this.#graph.fail(name, `the activation of the block's depthwise convolution, ${activation},`);
    return layer;
  }
}

/** The layer with a number added to all that it makes. */
function plus(layer: GraphLayer, offset: number): GraphLayer {
  if (offset === 0) return layer;
  const values = { type: 'f64', shape: [1], bytes: new Uint8Array(Float64Array.of(offset).buffer) } as const;
  return { ...layer, steps: [...layer.steps, { kind: 'add', name: layer.name, values }] };
}
