import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Client } from '../api/client';
import type { LogEvent } from '../api/types';
import { ActivityState, isWanted } from './activity.svelte';

const event = (seq: number, type = 'task.created', desktopId = 'desk_1') =>
  ({ seq, type, at: '', actor: null, payload: { desktopId } }) as LogEvent;

/** A server whose past has these pages, newest first. */
function clientOf(...pages: LogEvent[][]): Client {
  let page = 0;
  return {
    get: vi.fn(async () => {
      const data = pages[page] ?? [];
      page += 1;
      const link = page < pages.length ? `</api/mission-control/activity?before=${page}>; rel="next"` : null;
      return { data, seq: 100, logId: null, total: null, headers: new Headers(link ? { link } : {}) };
    }),
  } as unknown as Client;
}

describe('the activity', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());
  const seqs = (activity: ActivityState) => activity.events.map(({ seq }) => seq);

  it('goes on where the past ends, once', async () => {
    const activity = new ActivityState(clientOf([event(3), event(2)], [event(1)]));
    await activity.load();
    activity.apply([event(3), event(4)]);
    activity.apply([event(5)]);
    await vi.advanceTimersByTimeAsync(300);
    expect(seqs(activity)).toEqual([2, 3, 4, 5]);
    await activity.loadOlder();
    expect([seqs(activity), activity.hasOlder]).toEqual([[1, 2, 3, 4, 5], false]);
  });

  it('looks further back where a page holds nothing', async () => {
    const activity = new ActivityState(clientOf([event(9)], [], [], [event(1)]));
    await activity.load();
    await activity.loadOlder();
    expect(seqs(activity)).toEqual([1, 9]);
  });

  it('holds what comes while it is paused', async () => {
    const activity = new ActivityState(clientOf([event(1)]));
    await activity.load();
    activity.isPaused = true;
    activity.apply([event(2), event(3)]);
    await vi.advanceTimersByTimeAsync(300);
    expect([seqs(activity), activity.missed]).toEqual([[1], 2]);
    activity.isPaused = false;
    expect([seqs(activity), activity.missed]).toEqual([[1, 2, 3], 0]);
  });

  it('does not say of what is shown now that something chosen before could not be read', async () => {
    let fail: (error: Error) => void = () => {};
    const before = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const client = clientOf([event(1, 'desktop.link')]);
    const activity = new ActivityState({
      ...client,
      get: vi.fn(client.get).mockReturnValueOnce(before),
    } as unknown as Client);
    const reading = activity.load();
    await activity.narrow({ kind: 'desktop', desktopId: '' });
    fail(new Error('too late'));
    await reading;
    expect([seqs(activity), activity.problem]).toEqual([[1], null]);
  });

  it('shows one kind of one desktop', () => {
    const filter = { kind: 'task', desktopId: 'desk_1' } as const;
    expect(isWanted(event(1), filter)).toBe(true);
    expect(isWanted(event(1, 'task.created', 'desk_2'), filter)).toBe(false);
    expect(isWanted(event(1, 'desktop.link'), filter)).toBe(false);
    expect(isWanted(event(1, 'key.created'), { kind: 'other', desktopId: '' })).toBe(true);
  });
});
