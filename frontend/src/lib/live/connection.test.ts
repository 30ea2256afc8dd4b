import { describe, expect, it } from 'vitest';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, backoffMs, type Connection, next, SILENCE_MS_MAX, start } from './connection';

const live = (at: number): Connection => next(next(start(0), { kind: 'opened', at }), { kind: 'caught-up', at });

describe('the connection', () => {
  it('goes from connecting over catching up to live', () => {
    const connecting = start(0);
    expect(connecting.phase).toBe('connecting');
    const open = next(connecting, { kind: 'opened', at: 10 });
    expect(open.phase).toBe('catching-up');
    expect(next(open, { kind: 'caught-up', at: 20 })).toMatchObject({ phase: 'live', failures: 0, offlineSince: null });
  });

  it('stays not current until everything missed has come', () => {
    const lost = next(live(1_000), { kind: 'closed', at: 2_000, code: 1006, dice: 0 });
    const open = next(next(lost, { kind: 'try-now', at: 2_100 }), { kind: 'opened', at: 2_200 });
    expect(open).toMatchObject({ phase: 'catching-up', offlineSince: 1_000 });
  });

  it('says that the data is as of the last moment it heard something', () => {
    const heard = next(live(1_000), { kind: 'heard', at: 3_000 });
    const lost = next(heard, { kind: 'tick', at: 3_001 + SILENCE_MS_MAX, dice: 0 });
    expect(lost).toMatchObject({ phase: 'offline', offlineSince: 3_000, lostAt: 3_001 + SILENCE_MS_MAX });
  });

  it('is lost after five seconds without a heartbeat, and not before', () => {
    const link = live(1_000);
    expect(next(link, { kind: 'tick', at: 1_000 + SILENCE_MS_MAX, dice: 0 }).phase).toBe('live');
    expect(next(link, { kind: 'tick', at: 1_001 + SILENCE_MS_MAX, dice: 0 }).phase).toBe('offline');
  });

  it('tries again when the time has come', () => {
    const lost = next(live(0), { kind: 'closed', at: 1_000, code: 1006, dice: 0 });
    expect(lost.retryAt).toBe(1_000 + BACKOFF_MS_MIN);
    expect(next(lost, { kind: 'tick', at: 1_499, dice: 0 }).phase).toBe('offline');
    expect(next(lost, { kind: 'tick', at: 1_500, dice: 0 }).phase).toBe('connecting');
  });

  it('waits longer after each failure, up to ten seconds', () => {
    let link = live(0);
    const waits: number[] = [];
    for (let index = 0; index < 8; index += 1) {
      link = next(link, { kind: 'closed', at: 0, code: 1006, dice: 0 });
      waits.push(link.retryAt ?? 0);
      link = next(link, { kind: 'try-now', at: 0 });
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  });

  it('spreads its tries by dice, within the limits', () => {
    for (const failures of [1, 2, 5, 50]) {
      for (const dice of [0, 0.3, 0.999]) {
        const wait = backoffMs(failures, dice);
        expect(wait).toBeGreaterThanOrEqual(BACKOFF_MS_MIN);
        expect(wait).toBeLessThanOrEqual(BACKOFF_MS_MAX);
      }
    }
    expect(backoffMs(6, 1)).toBe(5_000);
  });

  it('tries at once when the network comes back or the tab is shown', () => {
    const lost = next(live(0), { kind: 'closed', at: 1_000, code: 1006, dice: 0 });
    expect(next(lost, { kind: 'woke', at: 1_001, dice: 0 }).phase).toBe('connecting');
  });

  it('does not trust a socket that was silent while the machine slept', () => {
    expect(next(live(0), { kind: 'woke', at: 60_000, dice: 0 })).toMatchObject({
      phase: 'connecting',
      offlineSince: 0,
    });
    expect(next(live(0), { kind: 'woke', at: 2_000, dice: 0 }).phase).toBe('live');
  });

  it('is not held up when the clock is set back by a day', () => {
    const day = 86_400_000;
    const lost = next(live(day), { kind: 'closed', at: day + 1_000, code: 1006, dice: 0 });
    expect(next(lost, { kind: 'tick', at: 2_000, dice: 0 }).phase).toBe('connecting');
    const silent = next(live(day), { kind: 'tick', at: 2_000, dice: 0 });
    expect(next(silent, { kind: 'tick', at: 2_001 + SILENCE_MS_MAX, dice: 0 }).phase).toBe('offline');
  });

  it('gives up a socket that never opens', () => {
    const link = start(0);
    expect(next(link, { kind: 'tick', at: 8_000, dice: 0 }).phase).toBe('connecting');
    expect(next(link, { kind: 'tick', at: 8_001, dice: 0 }).phase).toBe('offline');
  });

  it('counts the failures of a server that accepts and closes at once', () => {
    let link = start(0);
    for (let index = 0; index < 3; index += 1) {
      link = next(link, { kind: 'opened', at: 0 });
      link = next(link, { kind: 'closed', at: 0, code: 1012, dice: 0 });
      link = next(link, { kind: 'try-now', at: 0 });
    }
    expect(link.failures).toBe(3);
  });

  it('asks to sign in again when the server says so, and stays there', () => {
    const out = next(live(0), { kind: 'closed', at: 10, code: 4401, dice: 0 });
    expect(out.phase).toBe('signed-out');
    expect(next(out, { kind: 'tick', at: 99_999, dice: 0 }).phase).toBe('signed-out');
    expect(next(out, { kind: 'try-now', at: 100_000 }).phase).toBe('connecting');
  });
});
