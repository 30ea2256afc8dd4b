import { describe, expect, test } from 'vitest';
import { OutputLines, type Stream } from './lines';
import { columnsIn, LINE_END, ordered, selectedRows, textOf, wordAround } from './selection';
import { VisibleLines } from './visible';

function written(...parts: [string, Stream?][]): OutputLines {
  const lines = new OutputLines();
  let position = 0;
  for (const [text, stream = 'stdout'] of parts) {
    lines.append({ stream, position, length: text.length, line: lines.count, ms: 0, text });
    position += text.length;
  }
  return lines;
}

const all = (lines: OutputLines) => ({
  anchor: { line: 0, column: 0 },
  focus: { line: lines.count - 1, column: LINE_END },
});

describe('copied text', () => {
  test('is what was printed, over any number of rows', () => {
    const text = Array.from({ length: 3000 }, (_, i) => `line ${i}`).join('\n');
    const lines = written([`${text}\n`]);
    expect(textOf(all(lines), lines, new VisibleLines(lines))).toBe(text);
  });

  test('begins and ends in the middle of lines, in either direction', () => {
    const lines = written(['first line\nsecond line\nthird line\n']);
    const visible = new VisibleLines(lines);
    const from = { line: 0, column: 6 };
    const to = { line: 2, column: 5 };
    expect(textOf({ anchor: from, focus: to }, lines, visible)).toBe('line\nsecond line\nthird');
    expect(textOf({ anchor: to, focus: from }, lines, visible)).toBe('line\nsecond line\nthird');
    expect(textOf({ anchor: from, focus: { line: 0, column: 8 } }, lines, visible)).toBe('li');
  });

  test('has no escapes and no overwritten progress', () => {
    const lines = written(['\x1b[31mred\x1b[0m\n10 %\r100 %\n']);
    expect(textOf(all(lines), lines, new VisibleLines(lines))).toBe('red\n100 %');
  });

  test('joins a line that was divided for its length, and divides where the stream changed', () => {
    const long = 'x'.repeat(70_000);
    const lines = written([`${long}\nout`], ['err', 'stderr'], ['end\n']);
    expect(textOf(all(lines), lines, new VisibleLines(lines))).toBe(`${long}\nout\nerr\nend`);
  });

  test('leaves out lines that the filter hides', () => {
    const lines = written(['a\n'], ['b\n', 'stderr'], ['c\n']);
    expect(textOf(all(lines), lines, new VisibleLines(lines, 'stdout'))).toBe('a\nc');
    expect(selectedRows(all(lines), new VisibleLines(lines, 'stdout'))).toBe(2);
  });
});

test('an empty selection is none', () => {
  expect(ordered({ anchor: { line: 3, column: 4 }, focus: { line: 3, column: 4 } })).toBeNull();
});

test('the selected columns of a line', () => {
  const selection = { anchor: { line: 4, column: 2 }, focus: { line: 2, column: 5 } };
  expect(columnsIn(selection, 1, 10)).toBeNull();
  expect(columnsIn(selection, 2, 10)).toEqual([5, 10]);
  expect(columnsIn(selection, 3, 10)).toEqual([0, 10]);
  expect(columnsIn(selection, 4, 10)).toEqual([0, 2]);
  expect(columnsIn(selection, 2, 3)).toEqual([3, 3]);
});

test('a double click takes a word or a path', () => {
  expect(wordAround('open /var/log/syslog now', 8)).toEqual([5, 20]);
  expect(wordAround('a == b', 3)).toEqual([2, 4]);
  expect(wordAround('', 0)).toEqual([0, 0]);
});
