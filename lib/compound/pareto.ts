// SPDX-License-Identifier: Apache-2.0
// The Pareto front: what is left when everything is dropped that something else beats.

export type Goal = 'maximize' | 'minimize';

/**
 * Items that no other is at least as good as in every objective and better in one, in their order.
 * Equal items stay together; an item with a missing number (NaN) is not comparable and left out.
 */
export function paretoFront<Item>(
  items: readonly Item[],
  goals: readonly Goal[],
  values: (item: Item) => readonly number[],
): readonly Item[] {
  const rows = items
    .map((item) => ({ item, costs: goals.map((goal, i) => (goal === 'maximize' ? -1 : 1) * (values(item)[i] ?? NaN)) }))
    .filter(({ costs }) => costs.every((cost) => !Number.isNaN(cost)));
  return rows.filter(({ costs }) => !rows.some((other) => dominates(other.costs, costs))).map(({ item }) => item);
}

function dominates(a: readonly number[], b: readonly number[]): boolean {
  return a.every((cost, i) => cost <= (b[i] ?? Infinity)) && a.some((cost, i) => cost < (b[i] ?? Infinity));
}
