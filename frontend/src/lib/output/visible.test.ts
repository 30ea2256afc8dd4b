import { describe, expect, test } from 'vitest';
import { FakeRun } from './fake-run';
import { OutputPages } from './pages';
import { VisibleLines, WithContext } from './visible';

async function filled(count: number) {
  const pages = new OutputPages();
  pages.putTail(await new FakeRun().fill(count).tail(10));
  return pages;
}

const all = (visible: VisibleLines) => Array.from({ length: visible.count }, (_, row) => visible.lineAt(row));

test('without a filter every line is a row', async () => {
  const visible = new VisibleLines(await filled(100));
  expect([visible.count, visible.lineAt(42), visible.rowOf(42), visible.lineAt(100)]).toEqual([100, 42, 42, -1]);
});

test('a list of lines are the rows', async () => {
  const visible = new VisibleLines(await filled(100), { kind: 'only', list: { lines: [3, 13, 23], upTo: 100 } });
  expect(all(visible)).toEqual([3, 13, 23]);
  expect([visible.rowOf(13), visible.rowOf(14), visible.rowOf(99)]).toEqual([1, 2, 2]);
});

test('all lines but those of a list are the rows, as far as is known', async () => {
  const visible = new VisibleLines(await filled(20), { kind: 'without', list: { lines: [0, 1, 5, 9], upTo: 12 } });
  expect(all(visible)).toEqual([2, 3, 4, 6, 7, 8, 10, 11]);
  expect([2, 6, 10].map((line) => visible.rowOf(line))).toEqual([0, 3, 6]);
  expect(visible.lineAt(visible.rowOf(5))).toBe(6);
});

describe('lines with those around them', () => {
  test('are there once, and not beyond the ends', () => {
    const list = { lines: [1, 3, 10], upTo: 12 };
    const context = new WithContext(list, 2);
    context.sync(12);
    expect(context.lines).toEqual([0, 1, 2, 3, 4, 5, 8, 9, 10, 11]);
  });

  test('grow as the list does', () => {
    const list = { lines: [9], upTo: 10 };
    const context = new WithContext(list, 1);
    context.sync(10);
    expect(context.lines).toEqual([8, 9]);
    list.lines.push(14);
    context.sync(20);
    expect(context.lines).toEqual([8, 9, 10, 13, 14, 15]);
    context.sync(20);
    expect(context.lines).toHaveLength(6);
  });

  test('leave out what the stream filter hides', () => {
    const context = new WithContext({ lines: [5], upTo: 10 }, 2, (line) => line % 2 === 0);
    context.sync(10);
    expect(context.lines).toEqual([4, 5, 6]);
  });
});
