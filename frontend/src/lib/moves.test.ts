import { describe, expect, it } from 'vitest';
import type { TaskStatus } from './api/types';
import { STATUSES } from './live/fold';
import { allows, moveTo, targetsOf, whyNotTo } from './moves';

describe('moving a card', () => {
  it('is refused with a reason wherever it leads nowhere', () => {
    for (const from of STATUSES)
      for (const to of STATUSES)
        expect(whyNotTo(from, to) === null, `${from} to ${to}`).toBe(from === to || !!moveTo(from, to));
  });

  it('follows the life of a task and nothing else', () => {
    const edges = STATUSES.flatMap((from) => STATUSES.map((to) => [from, moveTo(from, to), to] as const)).filter(
      ([, move]) => move,
    );
    expect(edges).toEqual([
      ['pending', 'run', 'running'],
      ['pending', 'cancel', 'cancelled'],
      ['running', 'cancel', 'cancelled'],
      ['review', 'approve', 'done'],
      ['review', 'reject', 'failed'],
      ['failed', 'retry', 'pending'],
      ['cancelled', 'retry', 'pending'],
    ]);
  });

  it('is never more than what the menu offers', () => {
    for (const from of STATUSES) for (const [, move] of targetsOf(from)) expect(allows(from, move)).toBe(true);
  });

  it('never runs what is not pending', () => {
    const runnable = STATUSES.filter((status: TaskStatus) => allows(status, 'run'));
    expect(runnable).toEqual(['pending']);
  });
});
