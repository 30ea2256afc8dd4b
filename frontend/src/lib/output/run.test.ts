import { beforeEach, describe, expect, test } from 'vitest';
import type { LogEvent } from '../api/types';
import type { Handlers } from '../live/socket';
import type { Subscription } from '../live/wire';
import { Run } from './run.svelte';

/** A socket that remembers who subscribed and lets the test play the server. */
class FakeSocket {
  subscriptions: { subscription: Subscription; handlers: Handlers; isOpen: boolean }[] = [];

  subscribe(subscription: Subscription, handlers: Handlers): () => void {
    const entry = { subscription, handlers, isOpen: true };
    this.subscriptions.push(entry);
    return () => {
      entry.isOpen = false;
    };
  }

  get open() {
    return this.subscriptions.filter((entry) => entry.isOpen);
  }
}

const event = (type: string, payload: Record<string, unknown>): LogEvent => ({
  seq: 1,
  at: '2026-11-24T14:00:00.000000Z',
  type,
  actor: null,
  payload,
});
const note = (text: string) => event('task.note', { text });

let socket: FakeSocket;
let run: Run;

beforeEach(() => {
  socket = new FakeSocket();
  run = new Run();
});

test('a run is read from its beginning, without its lines', () => {
  run.follow(socket, 'task_1');
  expect(socket.open[0]?.subscription).toMatchObject({ after: 0, taskId: 'task_1' });
  expect(socket.open[0]?.subscription.types).not.toContain('task.output');
});

test('what the agent said becomes its transcript', () => {
  run.take([
    event('task.response', { status: 200, contentType: 'text/event-stream' }),
    event('task.progress', { kind: 'text', upTo: 1, text: 'Hel' }),
    event('task.progress', { kind: 'text', upTo: 2, text: 'lo' }),
  ]);
  expect(run.transcript.blocks).toMatchObject([{ kind: 'text', text: 'Hello' }]);
  expect(run.response?.status).toBe(200);
});

describe('a log that was replaced', () => {
  test('is read anew, and what was shown before is gone', () => {
    const stop = run.follow(socket, 'task_1');
    run.take([note('old'), event('task.outputGap', { from: 3, to: 9, reason: 'lost' })]);
    expect(run.gaps).toMatchObject([{ from: 3, to: 9 }]);
    socket.open[0]?.handlers.reset?.();
    expect([run.notes.length, run.gaps.length]).toEqual([0, 0]);
    expect(socket.open).toHaveLength(1);
    socket.open[0]?.handlers.events?.([note('new')], 9);
    expect(run.notes[0]?.text).toBe('new');
    stop();
    expect(socket.open).toHaveLength(0);
  });
});
