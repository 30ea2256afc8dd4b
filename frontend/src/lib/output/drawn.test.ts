import { describe, expect, it } from 'vitest';
import { type Drawn, Heights, MARGIN_PX, REACH_PX } from './drawn';

const HEIGHT = 50;
const COUNT = 10_000;
const NOTHING: Drawn = { from: 0, end: 0, above: 0, below: 0 };

const whole = (heights: Heights, { from, end, above, below }: Drawn) => above + heights.between(from, end) + below;

describe('blocks that are drawn', () => {
  it('are those near what is looked at, and all others are space', () => {
    const heights = new Heights(() => HEIGHT);
    for (const top of [0, 333, 250_000, COUNT * HEIGHT - 600]) {
      const drawn = heights.near(top, top + 600, COUNT, NOTHING);
      expect(drawn.above).toBeLessThanOrEqual(Math.max(0, top - MARGIN_PX));
      expect(drawn.above + heights.between(drawn.from, drawn.end)).toBeGreaterThanOrEqual(
        Math.min(COUNT * HEIGHT, top + 600 + MARGIN_PX),
      );
      expect(drawn.end - drawn.from).toBeLessThan(60);
      expect(whole(heights, drawn)).toBe(COUNT * HEIGHT);
    }
  });

  it('stay while they reach far enough, and move on with what is looked at', () => {
    const heights = new Heights(() => HEIGHT);
    const drawn = heights.near(100_000, 100_600, COUNT, NOTHING);
    const slack = MARGIN_PX - REACH_PX;
    expect(heights.near(100_000 - slack, 100_600 - slack, COUNT, drawn).from).toBe(drawn.from);
    expect(heights.near(100_000 + slack, 100_600 + slack, COUNT, drawn).end).toBe(drawn.end);
    expect(heights.near(99_000, 99_600, COUNT, drawn).from).toBeLessThan(drawn.from);
    expect(heights.near(101_000, 101_600, COUNT, drawn).end).toBeGreaterThan(drawn.end);
  });

  it('keep their place when it turns out how high they are', () => {
    const heights = new Heights(() => HEIGHT);
    const drawn = heights.near(100_000, 100_600, COUNT, NOTHING);
    for (let block = drawn.from; block < drawn.end; block++) heights.measured(block, 170);
    const later = heights.near(105_000, 105_600, COUNT, drawn);
    expect(later.from).toBeGreaterThan(drawn.from);
    expect(later.above).toBe(drawn.above + (later.from - drawn.from) * 170);
  });

  it('are the last ones at the end, also while more come', () => {
    const heights = new Heights(() => HEIGHT);
    expect(heights.last(40, COUNT)).toEqual({ from: COUNT - 40, end: COUNT, above: (COUNT - 40) * HEIGHT, below: 0 });
    const before = heights.near(1000, 1600, COUNT, NOTHING);
    const after = heights.near(1000, 1600, COUNT + 7, before);
    expect(after).toEqual({ ...before, below: before.below + 7 * HEIGHT });
  });
});
