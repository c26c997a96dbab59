// SPDX-License-Identifier: Apache-2.0
// Reports: escaping, ticks, labels that do not collide, pictures that are well formed, pages that
// fetch nothing, and the same charts as text.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { accuracyByMacs } from '../../lib/cli/accuracy-charts.js';
import { fitAxis, formatPlain, formatSi } from '../../lib/report/axis.js';
import { barChart } from '../../lib/report/bar-chart.js';
import { figure, html, page, picture, table, terminalChart, type XyChart } from '../../lib/report/index.js';
import { overlaps, placeLabels, textWidth } from '../../lib/report/labels.js';
import { escapeMarkup } from '../../lib/report/markup.js';
import { xyChart } from '../../lib/report/xy-chart.js';
import { random } from './synthetic.js';

/** Fails unless every tag is closed in order and every attribute quoted, as XML asks. */
function assertWellFormed(text: string): void {
  const open: string[] = [];
  const rest = text.replace(
    /<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
    (_, closing: string, name: string, _attributes, empty: string) => {
      if (closing === '/') assert.equal(open.pop(), name);
      else if (empty === '') open.push(name);
      return '';
    },
  );
  assert.deepEqual(open, []);
  assert.ok(!/[<>]/.test(rest), rest.match(/.{0,40}[<>].{0,40}/)?.[0]);
  assert.ok(!/&(?!(?:amp|lt|gt|quot|#39);)/.test(rest), 'a bare ampersand');
  assert.ok(!/NaN|undefined|Infinity/.test(text), text.match(/.{0,60}(?:NaN|undefined|Infinity)/)?.[0]);
}

const family: XyChart = {
  title: 'accuracy against work',
  x: { title: 'MACs', scale: 'log' },
  y: { title: 'top-1 (%)', format: formatPlain },
  series: [
    {
      name: 'family',
      line: 'solid',
      points: [
        [0.39e9, 77.1, 'B0'],
        [0.7e9, 79.1, 'B1'],
        [1e9, 80.1, 'B2'],
        [37e9, 84.3, 'B7'],
      ].map(([x, y, label]) => ({ x: Number(x), y: Number(y), label: String(label) })),
    },
    {
      name: 'others <&>',
      hollow: true,
      muted: true,
      line: 'dotted',
      points: [{ x: 4.1e9, y: 76, label: '"ResNet" & co', low: 75, high: 77 }],
    },
  ],
  rules: [
    { x: 2e9, label: 'here' },
    { y: 80, label: 'eighty' },
  ],
};

describe('report, markup', () => {
  it('escapes whatever is not markup', () => {
    assert.equal(
      String(html`<b title="${'"<&>\''}">${['a<', html`<i>${1}</i>`, false, undefined, 2]}</b>`),
      '<b title="&quot;&lt;&amp;&gt;&#39;">a&lt;<i>1</i>2</b>',
    );
    assert.equal(escapeMarkup('a\u0000\u001b[2J\ud800b\u{1f600}'), 'a\ufffd\ufffd[2J\ufffdb\u{1f600}');
  });

  it('lets nobody make markup from a look-alike', () => {
    const alike = { toString: () => '<script>' } as unknown as string;
    assert.throws(() => String(html`${alike}`));
  });
});

describe('report, axes', () => {
  it('formats with three digits and a prefix', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0'],
      [1, '1'],
      [999.6, '1 k'],
      [5_288_548, '5.29 M'],
      [385_867_752, '386 M'],
      [37.7e9, '37.7 G'],
      [0.0123, '12.3 m'],
      [-1500, '-1.5 k'],
      [1e18, '1000 P'],
    ];
    for (const [value, text] of cases) assert.equal(formatSi(value), text);
    assert.deepEqual([0.30000000000000004, 1200, 1234567].map(formatPlain), ['0.3', '1,200', '1,234,570']);
  });

  it('chooses round ticks inside the range, as many as fit', () => {
    const next = random(3);
    let cases = 0;
    for (let i = 0; i < 400; i++, cases++) {
      const log = i % 2 === 1;
      const values = Array.from(
        { length: 1 + Math.floor(next() * 5) },
        () => 10 ** (next() * 14 - 4) * (log || next() < 0.7 ? 1 : -1),
      );
      const limit = 3 + Math.floor(next() * 6);
      const { min, max, ticks, position } = fitAxis(
        { title: '', scale: log ? 'log' : 'linear' },
        values,
        (found) => found.length <= limit,
      );
      assert.ok(ticks.length >= 1 && ticks.length <= limit, `${ticks.length} ticks for ${values.join()}`);
      for (const value of [...values, ...ticks])
        assert.ok(position(value) >= -1e-6 && position(value) <= 1 + 1e-6, `${value} in ${min}..${max}`);
      assert.ok(
        ticks.every((tick) => String(tick).length < 16),
        ticks.join(),
      );
    }
    assert.equal(cases, 400);
  });

  it('copes with one value, none, and ends that the caller gives', () => {
    assert.deepEqual(fitAxis({ title: '' }, [], () => true).position(0.5) > 0, true);
    assert.ok(Math.abs(fitAxis({ title: '', scale: 'log' }, [7], () => true).position(7) - 0.5) < 1e-9);
    const fixed = fitAxis({ title: '', min: 0, max: 10 }, [3], () => true);
    assert.deepEqual([fixed.min, fixed.max, fixed.position(5)], [0, 10, 0.5]);
  });
});

describe('report, labels', () => {
  it('cover neither each other nor the points, and stay inside', () => {
    const next = random(5);
    let placedLabels = 0;
    for (let round = 0; round < 60; round++) {
      const requests = Array.from({ length: 24 }, (_, i) => ({
        x: 20 + next() * 560,
        y: 20 + next() * 260,
        text: `point ${i * 37}`,
      }));
      const points = requests.map(({ x, y }) => ({ x: x - 4, y: y - 4, width: 8, height: 8 }));
      const bounds = { x: 0, y: 0, width: 600, height: 300 };
      const placed = placeLabels(requests, 12, bounds, points, []).filter((label) => label !== undefined);
      placed.forEach((label, i) => {
        assert.ok(label.x >= 0 && label.y >= 0 && label.x + label.width <= 600 && label.y + label.height <= 300);
        assert.ok(!points.some((point) => overlaps(point, label)));
        assert.ok(!placed.slice(i + 1).some((other) => overlaps(other, label)));
      });
      placedLabels += placed.length;
    }
    assert.ok(placedLabels > 60 * 20, `${placedLabels} labels placed`);
  });

  it('are left out rather than heaped up', () => {
    const requests = Array.from({ length: 80 }, () => ({ x: 100, y: 50, text: 'the same place' }));
    const placed = placeLabels(requests, 12, { x: 0, y: 0, width: 200, height: 100 }, [], []);
    const shown = placed.filter((label) => label !== undefined);
    assert.ok(shown.length >= 1 && shown.length < 10, String(shown.length));
    assert.ok(textWidth('MMM', 12) > textWidth('lll', 12));
  });
});

describe('report, pictures', () => {
  it('are well formed and hold their labels and tooltips', () => {
    const text = String(xyChart(family, { width: 600, height: 320 }));
    assertWellFormed(text);
    for (const part of [
      '>B7</text>',
      '&quot;ResNet&quot; &amp; co</text>',
      'others &lt;&amp;&gt;',
      '>eighty</text>',
      'family, B1\nMACs: 700 M\ntop-1 (%): 79.1',
    ])
      assert.ok(text.includes(part), part);
  });

  it('leave out what has no place, and say so where nothing is left', () => {
    const broken: XyChart = {
      ...family,
      series: [
        {
          name: 'x',
          points: [
            { x: 0, y: 1 },
            { x: -5, y: 1 },
            { x: NaN, y: 2 },
            { x: 3, y: Infinity },
          ],
        },
      ],
    };
    assert.ok(String(xyChart(broken, { width: 300, height: 200 })).includes('no data'));
    const half = String(
      xyChart(
        {
          ...broken,
          series: [
            {
              name: 'x',
              points: [
                { x: 0, y: 1 },
                { x: 5, y: 1 },
              ],
            },
          ],
        },
        { width: 300, height: 200 },
      ),
    );
    assertWellFormed(half);
    assert.equal(half.match(/class="mark"/g)?.length, 1);
  });

  it('draw bars from zero and name what was not measured', () => {
    const text = String(
      barChart(
        {
          title: 't',
          categories: ['a', 'b'],
          series: [
            { name: 'one', values: [2, 4] },
            { name: 'two', values: [1, undefined], hollow: true },
          ],
          axis: { title: 'ms' },
        },
        500,
      ),
    );
    assertWellFormed(text);
    const widths = [...text.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map((match) => Number(match[1]));
    assert.equal(widths.length, 3);
    assert.ok(Math.abs((widths[2] ?? 0) / (widths[0] ?? 1) - 2) < 0.02, widths.join());
    assert.equal(text.match(/not measured/g)?.length, 2);
  });
});

describe('report, a picture of its own', () => {
  it('is what the README shows', () => {
    const svg = picture(accuracyByMacs(), { width: 820, height: 440 });
    assertWellFormed(svg);
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="852" height="472"/);
    assert.ok(svg.includes('prefers-color-scheme: dark') && !/<script|href|url\(/.test(svg));
    // Written by scripts/scaling-picture.js.
    assert.equal(readFileSync(join(__dirname, '..', '..', '..', 'docs', 'scaling.svg'), 'utf8'), svg);
  });
});

describe('report, bars as a picture of their own', () => {
  it('are as high as their number asks', () => {
    const bars = (count: number): string => picture({ title: 'a < b', categories: Array<string>(count).fill('x'), series: [{ name: 'one', values: [2] }], axis: { title: 'ms' } }, { width: 400 });
    assertWellFormed(bars(1));
    const heightOf = (count: number): number => Number(/^<svg [^>]* height="(\d+)"/.exec(bars(count))?.[1]);
    assert.ok(heightOf(1) > 60 && heightOf(11) === heightOf(1) + 10 * 30, `${heightOf(1)}, ${heightOf(11)}`);
  });
});

describe('report, page', () => {
  const text = page({
    title: 'A & <b>',
    lead: 'lead',
    facts: [['threads', '1']],
    sections: [
      { title: 's', content: [figure(family, 'caption'), table({ columns: [{ title: 'n' }], rows: [['<x>']], best: 0 })] },
    ],
    footer: 'end',
  });

  it('is one file that fetches nothing and runs nothing', () => {
    assert.ok(text.startsWith('<!DOCTYPE html>'));
    assert.ok(text.includes("default-src 'none'"));
    assert.ok(!/<script|<link|<img|<iframe|@import|url\(|\bsrc=|\bhref=|https?:/i.test(text));
  });

  it('is well formed, escaped, and knows light, dark and paper', () => {
    const body = text.slice(text.indexOf('<body>'));
    assertWellFormed(body.replace('</html>', ''));
    assert.ok(text.includes('<title>A &amp; &lt;b&gt;</title>') && text.includes('&lt;x&gt;'));
    for (const part of ['prefers-color-scheme: dark', '@media print', 'max-width: 480px', 'lang="en"'])
      assert.ok(text.includes(part), part);
    assert.equal(text.match(/<svg/g)?.length, 3);
  });
});

describe('report, terminal', () => {
  it('draws the same chart as text of the wanted width', () => {
    const lines = terminalChart(family, { columns: 72, rows: 14 });
    assert.ok(
      lines.every((line) => [...line].length <= 72),
      lines.join('\n'),
    );
    const text = lines.join('\n');
    for (const part of ['top-1 (%)', 'MACs', '● B0', 'B7', '╌', '╎ here', 'family'])
      assert.ok(text.includes(part), `${part} in\n${text}`);
    assert.equal(lines.filter((line) => line.includes('│') || line.includes('┤')).length, 14);
  });

  it('says so where there is nothing to draw', () => {
    assert.deepEqual(terminalChart({ ...family, series: [] }, { columns: 40, rows: 5 }), ['accuracy against work', '(no data)']);
  });
});
