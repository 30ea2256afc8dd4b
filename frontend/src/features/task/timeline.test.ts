import { describe, expect, test } from 'vitest';
import type { LogEvent } from '../../lib/api/types';
import { gapBefore, stepsOf } from './timeline';

const robin = { id: 'key_1', name: 'Robin' };

function history(...items: [seconds: number, type: string, payload?: Record<string, unknown>][]): LogEvent[] {
  return items.map(([seconds, type, payload = {}], index) => ({
    seq: index + 1,
    at: new Date(Date.UTC(2026, 10, 24, 14, 0, 0) + seconds * 1000).toISOString(),
    type,
    actor: robin,
    payload,
  }));
}

const labels = (events: LogEvent[]) => stepsOf(events).map((step) => step.label);

test('a command that ran at once has four moments', () => {
  const events = history(
    [0, 'task.created'],
    [5, 'task.started', { phase: 'queued' }],
    [5.1, 'task.phase', { phase: 'starting' }],
    [5.3, 'task.phase', { phase: 'streaming' }],
    [60, 'task.completed'],
  );
  expect(labels(events)).toEqual(['Created', 'Run', 'Running', 'Done']);
  expect(gapBefore(stepsOf(events), 1)).toBe(5000);
});

test('waiting that somebody notices is shown', () => {
  const events = history([0, 'task.phase', { phase: 'queued' }], [90, 'task.phase', { phase: 'streaming' }]);
  expect(labels(events)).toEqual(['Queued', 'Running']);
});

test('a decision is said once, with who made it', () => {
  const steps = stepsOf(
    history(
      [0, 'task.review'],
      [60, 'approval.resolved', { status: 'rejected', feedback: 'Not yet.' }],
      [60, 'task.failed'],
    ),
  );
  expect(steps.map((step) => [step.label, step.actor])).toEqual([
    ['In review', null],
    ['Rejected', 'Robin'],
  ]);
  expect(steps[1]?.detail).toBe('Not yet.');
});

describe('what is left out', () => {
  test('output, progress and anything unknown', () => {
    expect(labels(history([0, 'task.output'], [1, 'task.progress'], [2, 'task.somethingNew']))).toEqual([]);
  });
});

test('the order is that of the log, not of the clock', () => {
  const events = history([0, 'task.created'], [1, 'task.cancelled']);
  expect(labels(events.toReversed())).toEqual(['Created', 'Cancelled']);
});
