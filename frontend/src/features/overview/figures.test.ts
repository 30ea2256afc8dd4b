import { describe, expect, it } from 'vitest';
import type { Metrics } from '../../lib/api/types';
import { bucketsOf, endedLink, meanSeries, niceMax } from './figures';

const hours = Array.from({ length: 5 }, (_, hour) => ({
  hour: `2026-03-01T0${hour}:00:00.000000Z`,
  done: hour,
  failed: 1,
  cancelled: 0,
}));

describe('bars', () => {
  it('are hours, or several of them with the newest whole', () => {
    expect(bucketsOf(hours, 1).map((it) => it.done)).toEqual([0, 1, 2, 3, 4]);
    const pairs = bucketsOf(hours, 2);
    expect(pairs.map((it) => [it.done, it.failed])).toEqual([
      [0, 1],
      [3, 2],
      [7, 2],
    ]);
    expect(pairs[0]?.end).toBe(pairs[1]?.start);
    expect(bucketsOf([], 2)).toEqual([]);
  });

  it('stand below a round number', () => {
    expect([0, 1, 3, 5, 7, 10, 11, 35, 45, 240].map(niceMax)).toEqual([2, 2, 4, 6, 8, 10, 20, 40, 50, 400]);
  });

  it('have an axis of whole numbers, since nothing ends by halves', () => {
    for (let n = 0; n <= 2_000; n += 1) {
      expect(niceMax(n)).toBeGreaterThanOrEqual(n);
      expect((niceMax(n) / 2) % 1, `the middle below ${n}`).toBe(0);
    }
  });
});

it('the load of a fleet is the mean of those that report, moment by moment', () => {
  const of = (...values: (number | null)[]) => values.map((cpu) => ({ cpu })) as Metrics[];
  expect(meanSeries([of(0.2, 0.4), of(0.6), of(null)], 'cpu')).toEqual([0.2, 0.5]);
  expect(meanSeries([], 'cpu')).toEqual([]);
});

it('a bar leads to what ended in it', () => {
  const url = new URL(endedLink({ status: 'failed', since: 0, until: 3_600_000 }), 'http://here');
  expect(Object.fromEntries(url.searchParams)).toEqual({
    order: 'ended',
    since: '1970-01-01T00:00:00.000Z',
    until: '1970-01-01T01:00:00.000Z',
    status: 'failed',
  });
});
