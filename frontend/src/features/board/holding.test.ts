import { describe, expect, it } from 'vitest';
import { held } from './holding';

const shown = (before: string[], now: string[]) => {
  const { tasks, gone, waiting } = held(before, now);
  return [tasks.map((task) => (gone.has(task) ? `(${task})` : task)).join(' '), waiting];
};

describe('a column under the pointer', () => {
  it('lets nothing in above the cards that are seen', () => {
    expect(shown(['b', 'c'], ['a', 'b', 'c'])).toEqual(['b c', 1]);
    expect(shown(['b', 'd'], ['b', 'c', 'd'])).toEqual(['b d', 1]);
  });

  it('keeps the place of a card that has left', () => {
    expect(shown(['a', 'b', 'c'], ['b', 'c'])).toEqual(['(a) b c', 0]);
    expect(shown(['a', 'b'], ['n'])).toEqual(['(a) (b)', 1]);
  });

  it('keeps the order that was seen', () => {
    expect(shown(['a', 'b'], ['b', 'a'])).toEqual(['a b', 0]);
  });

  it('grows at its end', () => {
    expect(shown(['a', 'b'], ['a', 'b', 'c', 'd'])).toEqual(['a b c d', 0]);
  });
});
