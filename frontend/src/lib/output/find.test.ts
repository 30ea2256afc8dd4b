import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ProblemError } from '../api/errors';
import { FakeRun } from './fake-run';
import { expressionOf, Search, StreamLines } from './find';
import { OutputPages, type Stream } from './pages';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const query = (text: string, options = {}) => ({ text, isRegex: false, matchCase: false, ...options });

async function searched(run: FakeRun, text: string, stream: Stream | null = null, options = {}) {
  const pages = new OutputPages();
  pages.putTail(await run.tail(10));
  const search = new Search(run, pages, query(text, options), stream, () => {});
  await vi.advanceTimersByTimeAsync(0);
  return { search, pages };
}

test('finds lines over the whole run, in as many looks as the server needs', async () => {
  const run = new FakeRun().fill(1000, (line) => (line % 250 === 7 ? 'An ERROR' : `line ${line}`));
  run.scanMax = 300;
  const { search } = await searched(run, 'error');
  expect(search.hits).toEqual([7, 257, 507, 757]);
  expect([search.total, search.isComplete, search.isListed]).toEqual([4, true, true]);
  expect(run.asked.filter((one) => one.startsWith('find'))).toHaveLength(4);
});

test('goes on with lines that come later, but not with one that has not ended', async () => {
  const run = new FakeRun().fill(100);
  const { search, pages } = await searched(run, 'line 1');
  const before = search.total;
  run.fill(100);
  run.write('line 1 is not');
  pages.push(run.frame());
  expect(search.isComplete).toBe(false);
  search.lookAgain();
  await vi.advanceTimersByTimeAsync(600);
  expect(search.total).toBe(before + 100);
  expect(search.isComplete).toBe(true);
});

test('begins with the first lines that are there', async () => {
  const run = new FakeRun().fill(100);
  const pages = new OutputPages();
  const search = new Search(run, pages, query('line 7'), null, () => {});
  expect(run.asked).toEqual([]);
  pages.putTail(await run.tail(10));
  search.lookAgain();
  await vi.advanceTimersByTimeAsync(0);
  expect([search.total, search.isComplete]).toEqual([11, true]);
});

describe('the way from one to the next', () => {
  test('goes round at both ends', async () => {
    const run = new FakeRun().fill(100, (line) => (line % 30 === 10 ? 'hit' : 'other'));
    const { search } = await searched(run, 'hit');
    expect(await search.nearest(11, 1)).toBe(40);
    expect(await search.nearest(40, 1)).toBe(40);
    expect(await search.nearest(71, 1)).toBe(10);
    expect(await search.nearest(40, -1)).toBe(10);
    expect(await search.nearest(10, -1)).toBe(70);
    expect([10, 40, 41].map((line) => search.placeOf(line))).toEqual([0, 1, null]);
  });

  test('leads everywhere in a run where nearly every line matches', async () => {
    const run = new FakeRun().fill(60_000, (line) => (line % 2 ? 'hit' : 'other'));
    const { search } = await searched(run, 'hit');
    expect([search.total, search.hits.length, search.isListed]).toEqual([30_000, 10_000, false]);
    expect(await search.nearest(50_000, 1)).toBe(50_001);
    expect(await search.nearest(50_002, 1)).toBe(50_003);
    expect(await search.nearest(50_001, -1)).toBe(49_999);
    expect(await search.nearest(20_001, -1)).toBe(19_999);
    expect(await search.nearest(60_000, 1)).toBe(1);
    expect(await search.nearest(0, -1)).toBe(59_999);
    expect(search.placeOf(50_001)).toBeNull();
    const asked = run.asked.length;
    for (let line = 50_001; line < 50_400; line += 2) expect(await search.nearest(line, 1)).toBe(line);
    expect(run.asked.length - asked).toBeLessThan(3);
  });

  test('leads to the one place where the rest has none', async () => {
    const run = new FakeRun().fill(60_000, (line) => (line < 11_000 || line === 12_345 ? 'hit' : 'other'));
    const { search } = await searched(run, 'hit');
    expect(await search.nearest(59_999, -1)).toBe(12_345);
    expect(await search.nearest(12_345, -1)).toBe(10_999);
  });

  test('more can be listed', async () => {
    const run = new FakeRun().fill(25_000, () => 'hit');
    const { search } = await searched(run, 'hit');
    await search.listMore();
    expect(search.hits).toHaveLength(20_000);
    await search.listMore();
    expect([search.hits.length, search.isListed, search.hits[24_999]]).toEqual([25_000, true, 24_999]);
  });
});

test('a pattern that the server refuses is said, in its words', async () => {
  const run = new FakeRun().fill(10);
  const pages = new OutputPages();
  pages.putTail(await run.tail(10));
  run.failure = new ProblemError({ title: 'Bad', status: 422, code: 'bad_pattern', detail: 'missing )' });
  const search = new Search(run, pages, query('(', { isRegex: true }), null, () => {});
  await vi.advanceTimersByTimeAsync(0);
  expect(search.problem).toBe('missing )');
  expect(search.expression).toBeNull();
});

test('a text is no pattern unless it is asked to be', () => {
  expect(expressionOf(query('a.b[1]'))?.test('a.b[1]')).toBe(true);
  expect(expressionOf(query('a.b'))?.test('axb')).toBe(false);
  expect(expressionOf(query('a.b', { isRegex: true }))?.test('AxB')).toBe(true);
});

test('searches only the stream that is shown', async () => {
  const run = new FakeRun().fill(2);
  run.write('line\nline\n', 'stderr');
  const { search } = await searched(run, 'line', 'stderr');
  expect(search.hits).toEqual([2, 3]);
});

test('the lines of a stream are all listed, however many', async () => {
  const run = new FakeRun();
  for (let i = 0; i < 30_000; i++) run.written.push([i % 2 ? 'e' : 'o', 'x\n', 0]);
  const pages = new OutputPages();
  pages.putTail(await run.tail(10));
  const list = new StreamLines(run, pages, 'stderr');
  await vi.advanceTimersByTimeAsync(0);
  expect([list.lines.length, list.lines[14_999], list.upTo]).toEqual([15_000, 29_999, 30_000]);
  run.write('late\n', 'stderr');
  pages.push(run.frame());
  list.lookAgain();
  await vi.advanceTimersByTimeAsync(600);
  expect(list.lines.at(-1)).toBe(30_000);
  list.stop();
});
