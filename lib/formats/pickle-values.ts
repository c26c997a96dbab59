// SPDX-License-Identifier: Apache-2.0
// What a pickle can describe here: plain values, containers, and inert descriptions of storages and
// tensors. Nothing is read or checked; see pickle.ts.

import type { ElementType } from './tensor.js';

export class PickleDict {
  readonly entries = new Map<string | number, PickleValue>();
}

/** A stretch of elements of one type, which the container holds under `key`. */
export interface PickleStorage {
  readonly kind: 'storage';
  readonly type: ElementType;
  readonly key: string;
  /** Elements. */
  readonly length: number;
}

/** A strided look at a storage, all in elements; not yet checked against the storage. */
export interface PickleTensor {
  readonly kind: 'tensor';
  readonly storage: PickleStorage;
  readonly offset: number;
  readonly size: readonly number[];
  readonly stride: readonly number[];
}

export interface PickleTuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

export interface PickleList<Kind extends 'list' | 'set'> {
  readonly kind: Kind;
  readonly items: PickleValue[];
}

export interface PickleGlobal {
  readonly kind: 'global';
  readonly name: string;
  /** The element type where the name is a storage class. */
  readonly type?: ElementType;
}

type Described = PickleTuple | PickleList<'list'> | PickleList<'set'> | PickleGlobal | PickleStorage | PickleTensor;

export type PickleValue = null | boolean | number | string | PickleDict | Described;

export function isKind<Kind extends Described['kind']>(value: PickleValue | undefined, kind: Kind): value is Extract<Described, { readonly kind: Kind }> {
  return typeof value === 'object' && value !== null && !(value instanceof PickleDict) && value.kind === kind;
}
