import { describe, expect, test } from 'vitest';
import { FakeRun } from './fake-run';
import { goesOn, OutputPages, PAGE_LINES } from './pages';

const texts = (pages: OutputPages, from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => pages.at(from + index)?.text);

/** A page and what was asked of a run for it. */
async function opened(run: FakeRun, tail = 200) {
  const pages = new OutputPages();
  pages.putTail(await run.tail(tail));
  return pages;
}

test('what was read of the end is shown before any page is here', async () => {
  const pages = await opened(new FakeRun().fill(1000), 3);
  expect(pages.count).toBe(1000);
  expect(texts(pages, 996, 1000)).toEqual([undefined, 'line 997', 'line 998', 'line 999']);
  expect(pages.isExact(999)).toBe(false);
  expect(pages.missingFrom(3)).toBe(768);
});

test('parts of a line that is too long for one are told from lines', async () => {
  const run = new FakeRun().fill(1);
  run.write('other\n', 'stderr');
  expect((await opened(run)).hasParts).toBe(false);
  run.write('no end, which another stream interrupts', 'stderr');
  run.write('after it\n');
  expect((await opened(run)).hasParts).toBe(false);
  run.written.push(['o', 'a long', 0], ['o', ' line', 0], ['o', '\n', 0], ['o', '\n', 0]);
  const pages = await opened(run);
  expect(pages.hasParts).toBe(true);
  const parts = [1, 2, 3, 4, 5, 6, 7].filter((line) => goesOn(pages.at(line - 1), pages.at(line)));
  expect(parts).toEqual([5, 6]);
});

test('a page holds its lines as they were recorded', async () => {
  const run = new FakeRun();
  run.write('out\n');
  run.write('no end', 'stderr');
  run.write('\x1b[31mred\nstill red\n\x1b[0mplain\n');
  const pages = new OutputPages();
  pages.put(await run.lines(0, PAGE_LINES));
  expect(texts(pages, 0, 5)).toEqual(['out', 'no end', '\x1b[31mred', 'still red', '\x1b[0mplain']);
  expect([0, 1, 2].map((line) => pages.at(line)?.stream)).toEqual(['stdout', 'stderr', 'stdout']);
  expect([0, 1, 2].map((line) => pages.at(line)?.endsWithNewline)).toEqual([true, false, true]);
  expect(pages.at(3)?.style.foreground).toBe('1');
  expect(pages.missingFrom(0)).toBeNull();
});

test('a style that was in force before a page is in force in it', async () => {
  const run = new FakeRun().fill(10);
  const pages = new OutputPages();
  const answer = await run.lines(0, 10);
  const bold = { foreground: '', background: '', attributes: 1 };
  pages.put({ ...answer, styles: { ...answer.styles, stdout: bold } });
  expect(pages.at(0)?.style).toEqual(bold);
});

test('an answer over several pages fills them all', async () => {
  const run = new FakeRun().fill(700);
  const pages = new OutputPages();
  pages.put(await run.lines(0, 1024));
  expect([0, 1, 2].map((page) => pages.missingFrom(page))).toEqual([null, null, null]);
  expect(pages.at(699)?.text).toBe('line 699');
});

test('an answer that was cut for its size is gone on with', async () => {
  const run = new FakeRun().fill(256, () => 'x'.repeat(1000));
  run.charactersMax = 100_000;
  const pages = new OutputPages();
  pages.put(await run.lines(0, PAGE_LINES));
  const from = pages.missingFrom(0);
  expect(from).toBe(99);
  run.charactersMax = 1e9;
  pages.put(await run.lines(90, PAGE_LINES)); // it overlaps what is held
  expect(pages.missingFrom(0)).toBeNull();
  expect(pages.heldBytes).toBeLessThan(300_000);
});

test('lines behind a hole in a page are passed over', async () => {
  const run = new FakeRun().fill(256);
  const pages = new OutputPages();
  pages.put(await run.lines(100, 156));
  expect(pages.missingFrom(0)).toBe(0);
  expect(pages.at(100)).toBeUndefined();
});

describe('the line at the end that has not ended', () => {
  test('is shown and grows, and is in no page', async () => {
    const run = new FakeRun().fill(10);
    run.write('10 %');
    const pages = await opened(run);
    pages.put(await run.lines(0, PAGE_LINES));
    expect(pages.at(10)?.text).toBe('10 %');
    expect(pages.isExact(10)).toBe(false);
    expect(pages.wholeCount).toBe(10);
    run.write('\r20 %');
    pages.push(run.frame(1));
    expect(pages.at(10)?.text).toBe('10 %\r20 %');
    run.write('\r100 %\n');
    pages.push(run.frame(1));
    expect(pages.wholeCount).toBe(11);
    expect(pages.missingFrom(0)).toBe(10);
    pages.put(await run.lines(10, 1));
    expect(pages.isExact(10)).toBe(true);
    expect(pages.at(10)?.text).toBe('10 %\r20 %\r100 %');
  });

  test('is not shortened by an answer that is older', async () => {
    const run = new FakeRun();
    run.write('pass');
    const old = run.frame();
    run.write('word: ');
    const pages = await opened(run);
    pages.push(old);
    expect(pages.at(0)?.text).toBe('password: ');
  });

  test('is whole when the run is over', async () => {
    const run = new FakeRun().fill(3);
    run.write('the end');
    const pages = await opened(run);
    expect(pages.missingFrom(0)).toBe(0);
    pages.end();
    pages.put(await run.lines(0, PAGE_LINES));
    expect(pages.isExact(3)).toBe(true);
  });
});

describe('lines that are pushed', () => {
  test('join, and pages win over them', async () => {
    const run = new FakeRun().fill(300);
    const pages = await opened(run);
    run.fill(10);
    pages.push(run.frame(10));
    expect(texts(pages, 299, 301)).toEqual(['line 299', 'line 300']);
    run.written[305] = ['o', 'as recorded\n', 5];
    pages.put(await run.lines(256, PAGE_LINES));
    expect(pages.at(305)?.text).toBe('as recorded');
  });

  test('leave out what lies between two of them', () => {
    const run = new FakeRun().fill(100);
    const pages = new OutputPages();
    pages.push(run.frame(10));
    run.fill(100);
    pages.push(run.frame(10));
    expect(pages.count).toBe(200);
    expect(pages.isShown(150)).toBe(false);
    expect(pages.isShown(95)).toBe(false);
    expect(pages.isShown(190)).toBe(true);
  });

  test('keep the colour that an earlier one left switched on, also when they come again', () => {
    const run = new FakeRun();
    run.write('\x1b[32mgreen\nstill');
    const pages = new OutputPages();
    pages.push(run.frame());
    run.write(' green\nand this\n');
    pages.push(run.frame(2));
    expect([0, 1, 2].map((line) => pages.at(line)?.style.foreground)).toEqual(['', '2', '2']);
    expect(pages.at(1)?.text).toBe('still green');
  });

  test('are forgotten when they are many', () => {
    const run = new FakeRun();
    const pages = new OutputPages();
    for (let i = 0; i < 100; i++) {
      run.fill(20);
      pages.push(run.frame(20));
    }
    expect(pages.isShown(1999)).toBe(true);
    expect(pages.isShown(1500)).toBe(true);
    expect(pages.isShown(1300)).toBe(false);
  });
});

test('what was not looked at for longest makes room', async () => {
  const run = new FakeRun().fill(PAGE_LINES * 20, () => 'x'.repeat(100));
  const pages = new OutputPages(300_000);
  for (let page = 0; page < 12; page++) {
    pages.put(await run.lines(page * PAGE_LINES, PAGE_LINES));
    pages.touch(0);
  }
  expect(pages.heldBytes).toBeLessThan(340_000);
  expect([0, 1, 11].map((page) => pages.isExact(page * PAGE_LINES))).toEqual([true, false, true]);
});

test('output that was removed is said to be', async () => {
  const run = new FakeRun().fill(10);
  run.isRemoved = true;
  const pages = await opened(run);
  expect(pages.isRemoved).toBe(true);
  expect(pages.count).toBe(10);
});
