// Figures of the overview as they are drawn. Pure.
import type { Metrics, Overview } from '../../lib/api/types';

export type Outcome = 'done' | 'failed' | 'cancelled';
export const OUTCOMES: readonly Outcome[] = ['done', 'failed', 'cancelled'];

/** What ended from `start` until `end` (ms). */
export interface Bucket extends Record<Outcome, number> {
  start: number;
  end: number;
}

const HOUR_MS = 3_600_000;

/** Hours of the clock as bars of one hour or more; the newest bar is whole, an incomplete one is the oldest. */
export function bucketsOf(throughput: Overview['throughput'], hoursPerBar: number): Bucket[] {
  const buckets: Bucket[] = [];
  for (let end = throughput.length; end > 0; end -= hoursPerBar) {
    const hours = throughput.slice(Math.max(0, end - hoursPerBar), end);
    const [first] = hours;
    if (!first) break;
    const start = Date.parse(first.hour);
    const bucket: Bucket = { start, end: start + hours.length * HOUR_MS, done: 0, failed: 0, cancelled: 0 };
    for (const hour of hours) for (const outcome of OUTCOMES) bucket[outcome] += hour[outcome] ?? 0;
    buckets.unshift(bucket);
  }
  return buckets;
}

export const totalOf = (bucket: Record<Outcome, number>): number => bucket.done + bucket.failed + bucket.cancelled;

/** The top of an axis of counts: a round number whose middle is a whole number too. */
export function niceMax(n: number): number {
  if (n <= 2) return 2;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 4, 5, 6, 8, 10].map((step) => step * power).find((top) => top >= n && top % 2 === 0) ?? 10 * power;
}

/** The mean of one value over several desktops, moment by moment, newest last; shorter histories end at the same now. */
export function meanSeries(
  histories: readonly (readonly Metrics[])[],
  name: 'cpu' | 'memory' | 'disk',
): (number | null)[] {
  const length = Math.max(0, ...histories.map((history) => history.length));
  return Array.from({ length }, (_, index) => {
    const values = histories
      .map((history) => history[history.length - length + index]?.[name])
      .filter((value) => value !== null && value !== undefined);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  });
}

/** The list behind a figure of what ended. */
export function endedLink(facts: { status?: Outcome; since: number; until?: number; sameAs?: string }): string {
  const params = new URLSearchParams({ order: 'ended', since: new Date(facts.since).toISOString() });
  if (facts.until !== undefined) params.set('until', new Date(facts.until).toISOString());
  params.set('status', facts.status ?? OUTCOMES.join(','));
  if (facts.sameAs) params.set('same', facts.sameAs);
  return `/search?${params}`;
}
