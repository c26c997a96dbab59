// SPDX-License-Identifier: Apache-2.0
// Text that is already HTML or SVG, apart from text that still has to be escaped: the tag `html`
// escapes whatever is not Markup. Builds no page.

// Not exported: only the functions of this file make one, so that nothing unescaped gets in.
class MarkupText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** A piece of HTML or SVG. */
export type Markup = MarkupText;

/** What may stand in a template: numbers and text are escaped, lists are joined, false and undefined are nothing. */
export type Content = Markup | string | number | false | undefined | readonly Content[];

/**
 * A template whose literal parts are markup and whose values are escaped unless they are Markup.
 *
 * @example String(html`<b>${'a < b'}</b>`) // '<b>a &lt; b</b>'
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new MarkupText(parts.reduce((text, part, i) => text + render(values[i - 1]) + part));
}

/** The pieces in a row. */
export function join(pieces: readonly Content[]): Markup {
  return new MarkupText(pieces.map(render).join(''));
}

function render(content: Content): string {
  if (content === undefined || content === false) return '';
  if (content instanceof MarkupText) return content.toString();
  if (typeof content === 'number') return String(content);
  if (typeof content === 'string') return escapeMarkup(content);
  return content.map(render).join('');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Safe as text and inside quoted attributes; characters that XML forbids become U+FFFD. */
export function escapeMarkup(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
    .replace(
      /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      '\ufffd',
    );
}
