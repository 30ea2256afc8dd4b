import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Reading } from './reading.svelte';

describe('what a screen reads', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('stays while the next answer does not come', async () => {
    let answer: () => Promise<number> = async () => 1;
    const reading = new Reading(() => answer());
    await reading.load();
    answer = async () => {
      throw new Error('away');
    };
    await reading.load();
    expect([reading.data, reading.problem?.detail]).toEqual([1, 'away']);
  });

  it('is read once for many changes', async () => {
    const read = vi.fn(async () => 1);
    const reading = new Reading(read);
    await reading.load();
    for (let change = 0; change < 100; change += 1) reading.refresh();
    await vi.advanceTimersByTimeAsync(1_900);
    expect(read).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(read).toHaveBeenCalledTimes(2);
    reading.stop();
  });

  it('is the answer to the newest question', async () => {
    const answers: ((value: string) => void)[] = [];
    const reading = new Reading(() => new Promise<string>((resolve) => answers.push(resolve)));
    const first = reading.load();
    const second = reading.load();
    answers[1]?.('second');
    answers[0]?.('first');
    await Promise.all([first, second]);
    expect(reading.data).toBe('second');
  });
});
