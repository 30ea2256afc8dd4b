import { describe, expect, test } from 'vitest';
import { expressionOf, Search } from './find';
import { OutputLines, type Stream } from './lines';

function filled(count: number, text: (line: number) => string = (line) => `line ${line}`) {
  const lines = new OutputLines();
  let position = 0;
  const add = (count: number, stream: Stream = 'stdout') => {
    for (let i = 0; i < count; i++) {
      const written = `${text(lines.count)}\n`;
      lines.append({ stream, position, length: written.length, line: lines.count, ms: 0, text: written });
      position += written.length;
    }
  };
  add(count);
  return { lines, add };
}

const query = (text: string, options = {}) => ({ text, isRegex: false, matchCase: false, ...options });

function found(search: Search): number[] {
  while (!search.isComplete) search.step(1000);
  return Array.from({ length: search.count }, (_, index) => search.hitAt(index));
}

test('finds every line that has the text, in any case', () => {
  const { lines } = filled(1000, (line) => (line % 250 === 7 ? `An ERROR in ${line}` : `line ${line}`));
  expect(found(new Search(lines, query('error')))).toEqual([7, 257, 507, 757]);
  expect(found(new Search(lines, query('error', { matchCase: true })))).toEqual([]);
});

test('a text is no pattern unless it is asked to be', () => {
  const { lines } = filled(20, (line) => `[${line}] a.b`);
  expect(found(new Search(lines, query('[1]')))).toEqual([1]);
  expect(found(new Search(lines, query('^\\[1.\\]', { isRegex: true })))).toEqual([
    10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
  ]);
  expect(() => expressionOf(query('(', { isRegex: true }))).toThrow(SyntaxError);
});

test('colours inside a word do not hide it', () => {
  const { lines } = filled(10, (line) => (line === 4 ? 'fa\x1b[31mil\x1b[0med' : 'ok'));
  expect(found(new Search(lines, query('failed')))).toEqual([4]);
});

test('a rare word is found on a page full of colours, progress bars and divided lines', () => {
  const { lines, add } = filled(2000, (line) =>
    line === 1500 ? 'the nee\x1b[1mdle\x1b[0m' : line % 2 ? `\x1b[32m${line}\x1b[0m` : `10 %\rline ${line}`,
  );
  expect(found(new Search(lines, query('NEEDLE')))).toEqual([1500]);
  lines.append({ stream: 'stderr', position: 1e6, length: 6, line: lines.count, ms: 0, text: '\x1b]0;ab' });
  lines.append({ stream: 'stdout', position: 1e6 + 6, length: 8, line: lines.count, ms: 0, text: 'needle\n' });
  add(0);
  expect(found(new Search(lines, query('needle')))).toEqual([1500, lines.count - 1]);
});

test('goes on with lines that come later', () => {
  const { lines, add } = filled(300);
  const search = new Search(lines, query('line 30'));
  expect(found(search)).toEqual([30]);
  add(10);
  expect(found(search)).toEqual([30, 300, 301, 302, 303, 304, 305, 306, 307, 308, 309]);
});

test('searches only the stream that is shown', () => {
  const { lines, add } = filled(2);
  add(2, 'stderr');
  expect(found(new Search(lines, query('line'), 'stderr'))).toEqual([2, 3]);
});

test('a step ends when its time is over', () => {
  const { lines } = filled(5000);
  const search = new Search(lines, query('line'));
  let clock = 0;
  search.step(2, () => clock++);
  expect(search.isComplete).toBe(false);
  expect(search.count).toBeGreaterThan(0);
});

describe('the place of a line among the hits', () => {
  const { lines } = filled(100);
  const search = new Search(lines, query('5'));
  found(search);
  test('is the first at or after it', () => {
    expect(search.hitAt(search.indexFrom(16))).toBe(25);
    expect(search.hitAt(search.indexFrom(25))).toBe(25);
    expect(search.indexFrom(96)).toBe(search.count);
  });
});
