import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ProblemError, unreachable } from '../api/errors';
import { FakeRun } from './fake-run';
import { Keeper } from './keeper';
import { OutputPages, PAGE_LINES } from './pages';

let run: FakeRun;
let pages: OutputPages;
let keeper: Keeper;

beforeEach(() => {
  vi.useFakeTimers();
  run = new FakeRun().fill(10_000);
  pages = new OutputPages();
  keeper = new Keeper(pages, run);
});

afterEach(() => {
  keeper.stop();
  vi.useRealTimers();
});

const view = (from: number, count = 40) => Array.from({ length: count }, (_, index) => from + index);
const settled = () => vi.advanceTimersByTimeAsync(0);
const askedLines = () => run.asked.filter((one) => one.startsWith('lines'));

test('opens at the end with one small request', async () => {
  await keeper.refresh();
  expect(run.asked).toEqual(['tail 200']);
  expect(pages.count).toBe(10_000);
  expect(pages.isShown(9_999)).toBe(true);
  expect(keeper.isOpened).toBe(true);
});

test('asks for the page in view first, then for its neighbours, and for nothing that is here', async () => {
  await keeper.refresh();
  keeper.look(view(5 * PAGE_LINES + 10));
  await settled();
  expect(askedLines()).toEqual(['lines 1280+256', 'lines 1024+256', 'lines 1536+256']);
  keeper.look(view(5 * PAGE_LINES + 20));
  await settled();
  expect(askedLines()).toHaveLength(3);
  expect(pages.isExact(5 * PAGE_LINES + 59)).toBe(true);
});

test('takes back requests for what is no longer looked at', async () => {
  await keeper.refresh();
  let open = () => {};
  run.gate = new Promise((resolve) => {
    open = resolve;
  });
  keeper.look(view(1000));
  keeper.look(view(8000));
  open();
  await settled();
  expect(pages.isExact(1000)).toBe(false);
  expect(pages.isExact(8000)).toBe(true);
  expect(keeper.problem).toBeNull();
});

describe('while lines keep coming', () => {
  test('what was pushed is shown as it is, and asked for after a pause', async () => {
    await keeper.refresh();
    run.fill(50);
    pages.push(run.frame());
    keeper.moved();
    keeper.look(view(10_010));
    await settled();
    expect(askedLines()).toEqual([]);
    const stop = pages.subscribe(() => keeper.look(view(10_010)));
    await vi.advanceTimersByTimeAsync(1000);
    stop();
    expect(pages.isExact(10_049)).toBe(true);
  });

  test('what lies between two pushes is asked for when it is looked at', async () => {
    await keeper.refresh();
    run.fill(1000);
    pages.push(run.frame(200));
    keeper.moved();
    keeper.look(view(10_400));
    await settled();
    expect(pages.isExact(10_439)).toBe(true);
  });
});

test('an answer without anything new is not asked for again until there is more', async () => {
  await keeper.refresh();
  pages.count = 10_100; // the server says so, and does not give the lines
  keeper.look(view(10_050));
  await settled();
  keeper.look(view(10_050));
  await settled();
  const asked = askedLines().length;
  for (let i = 0; i < 5; i++) {
    keeper.look(view(10_050));
    await settled();
  }
  expect(askedLines()).toHaveLength(asked);
});

test('nothing is asked of output that was removed', async () => {
  run.isRemoved = true;
  await keeper.refresh();
  keeper.look(view(100));
  await settled();
  expect(askedLines()).toEqual([]);
});

describe('without an answer', () => {
  test('it says why, tries again, and goes on', async () => {
    await keeper.refresh();
    run.failure = new ProblemError(unreachable());
    keeper.look(view(100));
    await settled();
    expect(keeper.problem?.code).toBe('unreachable');
    const asked = run.asked.length;
    keeper.look(view(100));
    await settled();
    expect(run.asked.length).toBe(asked);
    run.failure = null;
    await vi.advanceTimersByTimeAsync(3000);
    expect(keeper.problem).toBeNull();
    expect(pages.isExact(139)).toBe(true);
  });

  test('it tries again at once when it is told to', async () => {
    run.failure = new ProblemError(unreachable());
    await keeper.refresh();
    expect(keeper.isOpened).toBe(false);
    run.failure = null;
    keeper.retry();
    await settled();
    expect(keeper.isOpened).toBe(true);
  });
});

describe('reading', () => {
  test('goes through any number of lines, held or not, in order', async () => {
    await keeper.refresh();
    const read: string[] = [];
    const lines = Array.from({ length: 5000 }, (_, index) => index + 100);
    for await (const [line, held] of keeper.read(lines, new AbortController().signal)) {
      expect(held.text).toBe(`line ${line}`);
      read.push(held.text);
    }
    expect(read).toHaveLength(5000);
    expect(askedLines().length).toBeLessThan(10);
  });

  test('goes on where lines are so long that an answer holds only some', async () => {
    run = new FakeRun().fill(600, () => 'x'.repeat(500));
    run.charactersMax = 20_000;
    keeper = new Keeper(pages, run);
    await keeper.refresh();
    let count = 0;
    for await (const [, held] of keeper.read(view(0, 600), new AbortController().signal)) count += held.text.length;
    expect(count).toBe(600 * 500);
  });
});
