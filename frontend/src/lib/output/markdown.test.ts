import { describe, expect, test } from 'vitest';
import { MarkdownStream, safeAddress } from './markdown';

const types = (tokens: { type: string }[]) => tokens.map((token) => token.type).filter((type) => type !== 'space');

/** Feed a text letter by letter; every block must be finished once, in order, with its whole source. */
function streamed(text: string): string {
  const stream = new MarkdownStream();
  let finished = '';
  for (let length = 1; length <= text.length; length += 3) {
    finished += (stream.update(text.slice(0, length), false)?.finished ?? []).map((token) => token.raw).join('');
  }
  return finished + (stream.update(text, true)?.finished ?? []).map((token) => token.raw).join('');
}

const SAMPLE = `# Title

Some *text* with \`code\`
over two lines.

- one
- two

  with a paragraph
- three

| a | b |
|---|---|
| 1 | 2 |

\`\`\`sh
echo "# not a heading"

- not a list
\`\`\`

> quoted

[docs]: https://example.org/docs

Last [docs] line`;

test('every block is finished once, whatever way the text arrives', () => {
  expect(streamed(SAMPLE)).toBe(SAMPLE);
});

test('only the last block is open', () => {
  const stream = new MarkdownStream();
  const first = stream.update('# Title\n\nText that is', false);
  expect(types(first?.finished ?? [])).toEqual(['heading']);
  expect(types(first?.open ?? [])).toEqual(['paragraph']);
  const second = stream.update('# Title\n\nText that is going on\n\nand', false);
  expect(types(second?.finished ?? [])).toEqual(['paragraph']);
});

test('a code block stays open until its fence is closed', () => {
  const stream = new MarkdownStream();
  expect(types(stream.update('```\nlet a;\n\nlet b;\n', false)?.open ?? [])).toEqual(['code']);
});

test('the dash of a list to come is no heading', () => {
  const stream = new MarkdownStream();
  expect(types(stream.update('Files:\n-', false)?.open ?? [])).toEqual(['paragraph']);
});

test('link definitions of finished blocks hold later', () => {
  const stream = new MarkdownStream();
  stream.update('[docs]: https://example.org\n\nfirst\n\n', false);
  const blocks = stream.update('[docs]: https://example.org\n\nfirst\n\nsee [docs]', true);
  const last = blocks?.finished.at(-1) as { tokens?: { type: string; href?: string }[] };
  expect(last.tokens?.at(-1)?.href).toBe('https://example.org');
});

test('another text is not taken for a continuation', () => {
  const stream = new MarkdownStream();
  stream.update('one', false);
  expect(stream.update('two', false)).toBeNull();
});

describe('addresses', () => {
  test.each(['https://example.org/a', 'http://127.0.0.1/', 'mailto:mia@example.org'])('%s is linked', (href) => {
    expect(safeAddress(href)).not.toBeNull();
  });
  test.each([
    'javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    '../secret',
    'JaVaScRiPt:x',
  ])('%s is not', (href) => {
    expect(safeAddress(href)).toBeNull();
  });
});
