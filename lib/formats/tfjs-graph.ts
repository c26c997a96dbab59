// SPDX-License-Identifier: Apache-2.0
// The topology of a TensorFlow.js graph model as a checkpoint. The converter leaves constants without
// telling names, so the network is found by structure (graph-match.ts). Not a runtime for graphs: what is
// no network of the family is refused. The files are read by tfjs.ts.

import { invalidCheckpoint, quote } from './bytes.js';
import type { GraphConstant } from './graph.js';
import { graphCheckpoint } from './graph-network.js';
import { asArray, asObject, asString, type JsonObject } from './json-value.js';
import type { Checkpoint } from './tensor.js';
import { tensorflowGraph, type TensorflowNode } from './tensorflow-graph.js';

const kMaxNodes = 100_000;

/** Tensors are `stem.weight`, `blocks.0.depthwise.bias` and so on, in the engine's layout. */
export function graphModel(nodes: ReadonlyMap<string, TensorflowNode>, constants: ReadonlyMap<string, GraphConstant>, metadata: ReadonlyMap<string, string>): Checkpoint {
  return graphCheckpoint('tfjs-graph', tensorflowGraph(nodes, constants), metadata);
}

/** The nodes of modelTopology, by name. */
export function parseNodes(topology: JsonObject): Map<string, TensorflowNode> {
  const list = asArray(topology['node'], 'modelTopology.node');
  if (list.length > kMaxNodes) throw invalidCheckpoint('The graph has too many nodes');
  const nodes = new Map<string, TensorflowNode>();
  for (const value of list) {
    const node = asObject(value, 'a node of the graph');
    const name = asString(node['name'], 'the name of a node');
    if (nodes.has(name)) throw invalidCheckpoint(`Two nodes of the graph are named ${quote(name)}`);
    const inputs = node['input'] === undefined ? [] : asArray(node['input'], `the inputs of ${quote(name)}`);
    nodes.set(name, {
      name,
      op: asString(node['op'], `the op of ${quote(name)}`),
      // "^x" orders execution only; "x:0" is x's first output, as "x" is.
      inputs: inputs.map((input) => asString(input, `an input of ${quote(name)}`).replace(/:0$/, '')).filter((input) => !input.startsWith('^')),
      attributes: node['attr'] === undefined ? {} : asObject(node['attr'], `the attributes of ${quote(name)}`),
    });
  }
  return nodes;
}
