import { describe, expect, test } from 'vitest';
import { FakeRun } from './fake-run';
import { OutputPages, type Stream } from './pages';
import {
  columnsIn,
  LINE_END,
  ordered,
  SelectedText,
  type Selection,
  selectedLines,
  selectedRows,
  wordAround,
} from './selection';
import { VisibleLines } from './visible';

async function written(...parts: [string, Stream?][]): Promise<OutputPages> {
  const run = new FakeRun();
  for (const [text, stream] of parts) run.write(text, stream);
  const pages = new OutputPages();
  pages.end();
  pages.put(await run.lines(0, 5000));
  return pages;
}

const all = (pages: OutputPages) => ({
  anchor: { line: 0, column: 0 },
  focus: { line: pages.count - 1, column: LINE_END },
});

function textOf(selection: Selection, pages: OutputPages, visible = new VisibleLines(pages)): string {
  const text = new SelectedText(selection);
  for (const line of selectedLines(selection, visible)) {
    const held = pages.at(line);
    if (held) text.add(line, held);
  }
  return text.toString();
}

describe('copied text', () => {
  test('is what was printed, over any number of rows', async () => {
    const text = Array.from({ length: 3000 }, (_, i) => `line ${i}`).join('\n');
    const pages = await written([`${text}\n`]);
    expect(textOf(all(pages), pages)).toBe(text);
  });

  test('begins and ends in the middle of lines, in either direction', async () => {
    const pages = await written(['first line\nsecond line\nthird line\n']);
    const from = { line: 0, column: 6 };
    const to = { line: 2, column: 5 };
    expect(textOf({ anchor: from, focus: to }, pages)).toBe('line\nsecond line\nthird');
    expect(textOf({ anchor: to, focus: from }, pages)).toBe('line\nsecond line\nthird');
    expect(textOf({ anchor: from, focus: { line: 0, column: 8 } }, pages)).toBe('li');
  });

  test('has no escapes and no overwritten progress', async () => {
    const pages = await written(['\x1b[31mred\x1b[0m\n10 %\r100 %\n']);
    expect(textOf(all(pages), pages)).toBe('red\n100 %');
  });

  test('joins a line that was divided for its length, and divides where the stream changed', () => {
    const line = (text: string, stream: Stream, endsWithNewline: boolean) => ({
      text,
      stream,
      endsWithNewline,
      ms: 0,
      style: { foreground: '', background: '', attributes: 0 },
    });
    const text = new SelectedText({ anchor: { line: 0, column: 0 }, focus: { line: 4, column: LINE_END } });
    text.add(0, line('a very long', 'stdout', false));
    text.add(1, line(' line', 'stdout', true));
    text.add(2, line('out', 'stdout', false));
    text.add(3, line('err', 'stderr', false));
    text.add(4, line('end', 'stdout', true));
    expect(text.toString()).toBe('a very long line\nout\nerr\nend');
  });

  test('leaves out lines that the filter hides', async () => {
    const pages = await written(['a\n'], ['b\n', 'stderr'], ['c\n']);
    const visible = new VisibleLines(pages, { kind: 'without', list: { lines: [1], upTo: 3 } });
    expect(textOf(all(pages), pages, visible)).toBe('a\nc');
    expect(selectedRows(all(pages), visible)).toBe(2);
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
