import { expect, test } from 'vitest';
import { OutputLines, type Stream } from './lines';
import { VisibleLines } from './visible';

function filled(count: number, limit = 1e9): { lines: OutputLines; add: (count: number) => void } {
  const lines = new OutputLines({ bytes: 1e9, lines: limit });
  let position = 0;
  const add = (count: number) => {
    for (let i = 0; i < count; i++) {
      const stream: Stream = lines.count % 10 === 3 ? 'stderr' : 'stdout';
      const text = `line ${lines.count}\n`;
      lines.append({ stream, position, length: text.length, line: lines.count, ms: 0, text });
      position += text.length;
    }
  };
  add(count);
  return { lines, add };
}

test('without a filter every held line is a row', () => {
  const { lines } = filled(100);
  const visible = new VisibleLines(lines);
  expect(visible.count).toBe(100);
  expect(visible.lineAt(42)).toBe(42);
  expect(visible.rowOf(42)).toBe(42);
});

test('a filter shows the lines of one stream, and the ones that come', () => {
  const { lines, add } = filled(100);
  const visible = new VisibleLines(lines, 'stderr');
  expect(visible.count).toBe(10);
  expect(visible.lineAt(1)).toBe(13);
  add(10);
  expect(visible.sync()).toBe(0);
  expect(visible.count).toBe(11);
});

test('a line that is filtered out leads to the next one shown', () => {
  const visible = new VisibleLines(filled(100).lines, 'stderr');
  expect(visible.lineAt(visible.rowOf(14))).toBe(23);
  expect(visible.lineAt(visible.rowOf(99))).toBe(93);
});

test.each([null, 'stderr'] as const)('rows dropped at the top are counted (%s)', (only) => {
  const { lines, add } = filled(1000, 1000);
  const visible = new VisibleLines(lines, only);
  const line = visible.lineAt(80);
  add(500);
  const gone = visible.sync();
  expect(gone).toBeGreaterThan(0);
  expect(visible.lineAt(80 - Math.min(80, gone))).toBe(Math.max(line, visible.lineAt(0)));
  expect(visible.lineAt(visible.count - 1)).toBeGreaterThanOrEqual(1490);
});

test('a store that was cleared shows nothing', () => {
  const { lines } = filled(100);
  const visible = new VisibleLines(lines, 'stdout');
  lines.clear();
  visible.sync();
  expect(visible.count).toBe(0);
});
